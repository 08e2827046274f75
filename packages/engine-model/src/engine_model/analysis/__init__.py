"""Count parameters, FLOPs and activations of a model, as numbers and tables per module."""

from engine_model.analysis._complexity import get_model_complexity_info
from engine_model.analysis._cost import ModelCost, ModuleCost, measure_cost
from engine_model.analysis._params import parameter_count, parameter_count_table

__all__ = [
    "ModelCost",
    "ModuleCost",
    "get_model_complexity_info",
    "measure_cost",
    "parameter_count",
    "parameter_count_table",
]
