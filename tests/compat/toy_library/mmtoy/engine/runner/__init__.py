from .loops import AccumulatedIterLoop, CountedEpochLoop

__all__ = ["AccumulatedIterLoop", "CountedEpochLoop"]
