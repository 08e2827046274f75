"""Written by scripts/compat_stubs.py."""

from engine_runner.testing import RunnerTestCase

__all__ = ["RunnerTestCase"]
