"""Monitor the ranks, name the lost rank when a collective fails, and end or stop all together."""

from engine_dist.watch._collective import guard_collective
from engine_dist.watch._launcher import on_launcher_lost, watch_launcher
from engine_dist.watch._process import record_failure
from engine_dist.watch._stop import StopAgreement, end_process

__all__ = [
    "StopAgreement",
    "end_process",
    "guard_collective",
    "on_launcher_lost",
    "record_failure",
    "watch_launcher",
]
