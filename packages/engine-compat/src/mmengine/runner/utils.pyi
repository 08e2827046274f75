"""Written by scripts/compat_stubs.py."""

from engine_runner import calc_dynamic_intervals, set_random_seed

__all__ = ["calc_dynamic_intervals", "set_random_seed"]
