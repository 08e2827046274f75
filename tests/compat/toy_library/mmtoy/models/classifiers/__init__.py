from .toy_classifier import ToyClassifier

__all__ = ["ToyClassifier"]
