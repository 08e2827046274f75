"""Written by scripts/compat_stubs.py."""

from engine_runner import (
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    TestLoop,
    ValLoop,
    _InfiniteDataloaderIterator,
)

__all__ = [
    "EpochBasedTrainLoop",
    "IterBasedTrainLoop",
    "TestLoop",
    "ValLoop",
    "_InfiniteDataloaderIterator",
]
