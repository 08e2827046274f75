"""Monitor the ranks, and name the lost rank when a collective fails."""

from engine_dist.watch._collective import guard_collective
from engine_dist.watch._process import record_failure

__all__ = ["guard_collective", "record_failure"]
