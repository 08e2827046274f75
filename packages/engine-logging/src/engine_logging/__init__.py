"""Loggers for one or many ranks, and a message hub for the scalars and runtime info of a run."""

from engine_logging._history import HistoryBuffer
from engine_logging._logger import MMLogger, print_log
from engine_logging._message_hub import MessageHub

__all__ = ["HistoryBuffer", "MMLogger", "MessageHub", "print_log"]
