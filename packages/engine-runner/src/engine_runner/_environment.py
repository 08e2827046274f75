"""The process around a run: threads, devices, process groups and random numbers."""

import logging
import random
import sys
from collections.abc import Mapping
from typing import Any

import torch

from engine_dist import get_rank, init_dist, is_distributed, sync_random_seed
from engine_runner._errors import SettingsError
from engine_runner._numbers import whole_number
from engine_utils.dl_utils import set_multi_processing

_log = logging.getLogger("engine.runner")
_ENV_KEYS = {
    "backend",
    "cudnn_benchmark",
    "dist_cfg",
    "mp_cfg",
    "resource_limit",
    "torch_num_threads",
}


def setup_environment(env_cfg: Mapping[str, Any], launcher: str) -> None:
    """Start the process group if a launcher is named, and apply the settings of ``env_cfg``.

    Args:
        env_cfg: ``cudnn_benchmark``, ``mp_cfg`` (``mp_start_method``, ``opencv_num_threads``),
            ``dist_cfg`` (``backend``, ``timeout`` in seconds …), ``resource_limit`` (open files),
            ``torch_num_threads`` (CPU threads of PyTorch in this process).
        launcher: ``"none"``, ``"pytorch"``, ``"slurm"`` or ``"mpi"``.

    Raises:
        SettingsError: ``env_cfg`` holds a key that nothing reads, or a value of no use.
    """
    unknown = sorted(set(env_cfg) - _ENV_KEYS)
    if unknown:
        raise SettingsError(f"env_cfg does not know {unknown}; its keys are {sorted(_ENV_KEYS)}")
    try:
        _apply(env_cfg, launcher)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"env_cfg: {error}") from error


def _apply(env_cfg: Mapping[str, Any], launcher: str) -> None:
    if env_cfg.get("cudnn_benchmark"):
        torch.backends.cudnn.benchmark = True
    if "torch_num_threads" in env_cfg:
        threads = env_cfg["torch_num_threads"]
        torch.set_num_threads(whole_number("torch_num_threads", threads, at_least=1))
    distributed = launcher != "none"
    mp_cfg = dict(env_cfg.get("mp_cfg") or {})
    set_multi_processing(**mp_cfg, distributed=distributed)
    if distributed and not is_distributed():
        init_dist(launcher, **_dist_arguments(env_cfg))
    if sys.platform != "win32":
        _raise_open_file_limit(int(env_cfg.get("resource_limit", 4096)))


def _dist_arguments(env_cfg: Mapping[str, Any]) -> dict[str, Any]:
    arguments = dict(env_cfg.get("dist_cfg") or {})
    if "backend" in env_cfg:
        _log.warning("env_cfg.backend is read as env_cfg.dist_cfg.backend; write it there")
        arguments["backend"] = env_cfg["backend"]
    return arguments


def _raise_open_file_limit(limit: int) -> None:
    """Let data loader workers share many tensors; each takes a file descriptor."""
    import resource  # POSIX only

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def set_random_seed(
    seed: int | None = None, deterministic: bool = False, diff_rank_seed: bool = False
) -> int:
    """Seed Python, NumPy and PyTorch on all devices.

    Args:
        seed: The seed; ``None`` draws one, the same on all ranks.
        deterministic: Let PyTorch use deterministic algorithms only, and say so when one has none.
        diff_rank_seed: Add the rank to the seed of this process.

    Returns:
        The seed without the rank's share, equal on all ranks.
    """
    if seed is None:
        seed = sync_random_seed()
    own = seed + get_rank() if diff_rank_seed else seed
    random.seed(own)
    numpy_random().seed(own % 2**32)
    torch.manual_seed(own)
    if deterministic:
        if torch.backends.cudnn.benchmark:
            _log.info("deterministic=True turns cudnn.benchmark off")
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.use_deterministic_algorithms(True, warn_only=True)
    return int(seed)


def numpy_random() -> Any:
    """Return NumPy's random module, whose global generator users' transforms draw from."""
    import numpy  # torch needs none; most pipelines do

    return numpy.random
