"""Loops: how training, validation and test go through their data."""

from engine_runner.loops._base import BaseLoop, TrainLoop
from engine_runner.loops._epochs import EpochBasedTrainLoop
from engine_runner.loops._evaluation import TestLoop, ValLoop
from engine_runner.loops._iterations import IterBasedTrainLoop

__all__ = [
    "BaseLoop",
    "EpochBasedTrainLoop",
    "IterBasedTrainLoop",
    "TestLoop",
    "TrainLoop",
    "ValLoop",
]
