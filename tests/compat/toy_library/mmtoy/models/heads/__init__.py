from .toy_head import ToyHead

__all__ = ["ToyHead"]
