"""Loops: how training, validation and test iterate over their data."""

from engine_runner.loops._base import BaseLoop, TrainLoop, check_steps
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
    "check_steps",
]
