"""Written by scripts/compat_stubs.py."""

from engine_runner.infer import BaseInferencer
from mmengine.infer import infer as infer

__all__ = ["BaseInferencer"]
