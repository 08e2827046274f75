from .loops import AccumulatedIterLoop, CountedEpochLoop
from .toy_runner import OneThreadRunner

__all__ = ["AccumulatedIterLoop", "CountedEpochLoop", "OneThreadRunner"]
