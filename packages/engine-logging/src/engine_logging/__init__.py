"""Loggers that know their rank, and a hub for the numbers of a run."""

from ._history import HistoryBuffer
from ._logger import MMLogger, print_log
from ._message_hub import MessageHub

__all__ = ["HistoryBuffer", "MMLogger", "MessageHub", "print_log"]
