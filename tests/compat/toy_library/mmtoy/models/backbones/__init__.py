from .toy_net import ToyNet

__all__ = ["ToyNet"]
