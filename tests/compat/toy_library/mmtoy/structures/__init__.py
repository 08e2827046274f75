from .toy_data_sample import ToyDataSample

__all__ = ["ToyDataSample"]
