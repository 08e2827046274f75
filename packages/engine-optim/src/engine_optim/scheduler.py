"""Export the schedulers under their documented path, ``engine_optim.scheduler``."""

from engine_optim.schedulers import *  # noqa: F403  # one list of names, kept in schedulers
from engine_optim.schedulers import __all__

__all__ = list(__all__)
