"""Count parameters, FLOPs and activations of a model, as numbers and tables per module."""

from engine_model.analysis._analyzer import OperatorAnalyzer
from engine_model.analysis._complexity import get_model_complexity_info
from engine_model.analysis._cost import ModelCost, ModuleCost, measure_cost
from engine_model.analysis._counts import (
    ActivationAnalyzer,
    FlopAnalyzer,
    activation_count,
    flop_count,
)
from engine_model.analysis._formulas import Handle
from engine_model.analysis._numbers import short_number
from engine_model.analysis._observe import can_observe, observe_flops
from engine_model.analysis._params import parameter_count, parameter_count_table
from engine_model.analysis._summary import summary_table
from engine_model.analysis._values import OpValue

__all__ = [
    "ActivationAnalyzer",
    "FlopAnalyzer",
    "Handle",
    "ModelCost",
    "ModuleCost",
    "OpValue",
    "OperatorAnalyzer",
    "activation_count",
    "can_observe",
    "flop_count",
    "get_model_complexity_info",
    "measure_cost",
    "observe_flops",
    "parameter_count",
    "parameter_count_table",
    "short_number",
    "summary_table",
]
