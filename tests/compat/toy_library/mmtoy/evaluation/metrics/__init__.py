from .accuracy import ToyAccuracy

__all__ = ["ToyAccuracy"]
