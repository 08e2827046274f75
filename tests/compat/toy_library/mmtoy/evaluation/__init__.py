from .metrics import ToyAccuracy

__all__ = ["ToyAccuracy"]
