"""Loops: how training, validation and test iterate over their data."""

from engine_runner.loops._base import BaseLoop, TrainLoop, check_steps
from engine_runner.loops._endless import EndlessBatches, _InfiniteDataloaderIterator
from engine_runner.loops._epochs import EpochBasedTrainLoop
from engine_runner.loops._evaluation import TestLoop, ValLoop
from engine_runner.loops._intervals import calc_dynamic_intervals
from engine_runner.loops._iterations import IterBasedTrainLoop

__all__ = [
    "BaseLoop",
    "EndlessBatches",
    "EpochBasedTrainLoop",
    "IterBasedTrainLoop",
    "TestLoop",
    "TrainLoop",
    "ValLoop",
    "_InfiniteDataloaderIterator",
    "calc_dynamic_intervals",
    "check_steps",
]
