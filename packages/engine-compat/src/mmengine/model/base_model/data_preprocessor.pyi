"""Written by scripts/compat_stubs.py."""

from engine_model import BaseDataPreprocessor, ImgDataPreprocessor

__all__ = ["BaseDataPreprocessor", "ImgDataPreprocessor"]
