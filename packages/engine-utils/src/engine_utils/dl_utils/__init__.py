"""Utilities that need torch; run ``pip install "engine-utils[torch]"``."""

# ruff: noqa: E402 - the modules below import torch, so its absence is reported before them.
from engine_utils._extras import import_extra as _import_extra

_import_extra("torch", install="engine-utils[torch]", purpose="engine_utils.dl_utils")

import torch as _torch

from engine_utils.dl_utils._download import download_file
from engine_utils.dl_utils._environment import collect_env
from engine_utils.dl_utils._images import tensor2imgs
from engine_utils.dl_utils._layers import has_batch_norm, is_norm
from engine_utils.dl_utils._processes import set_multi_processing
from engine_utils.dl_utils._time_counter import TimeCounter
from engine_utils.dl_utils._tracing import is_jit_tracing, torch_meshgrid
from engine_utils.dl_utils._url import load_url

TORCH_VERSION = _torch.__version__
"""The version of torch, which can be compared to strings, tuples and ``Version`` objects."""

__all__ = [
    "TORCH_VERSION",
    "TimeCounter",
    "collect_env",
    "download_file",
    "has_batch_norm",
    "is_jit_tracing",
    "is_norm",
    "load_url",
    "set_multi_processing",
    "tensor2imgs",
    "torch_meshgrid",
]
