from .inference import inference_model, init_model
from .toy_inferencer import ToyInferencer

__all__ = ["ToyInferencer", "inference_model", "init_model"]
