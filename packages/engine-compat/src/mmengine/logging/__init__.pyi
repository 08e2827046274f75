"""Written by scripts/compat_stubs.py."""

from engine_logging import HistoryBuffer, MMLogger, MessageHub, print_log
from mmengine.logging import history_buffer as history_buffer
from mmengine.logging import logger as logger
from mmengine.logging import message_hub as message_hub

__all__ = ["HistoryBuffer", "MMLogger", "MessageHub", "print_log"]
