"""Tune a training before it begins."""

from engine_runner.tuning._learning_rate import LearningRateCurve, find_learning_rate

__all__ = ["LearningRateCurve", "find_learning_rate"]
