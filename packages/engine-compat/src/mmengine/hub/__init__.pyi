"""Written by scripts/compat_stubs.py."""

from engine_runner.hub import get_config, get_model
from mmengine.hub import hub as hub

__all__ = ["get_config", "get_model"]
