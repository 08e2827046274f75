"""Prepare the process of a run: threads, devices, workers and the process group."""

import logging
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from engine_dist import init_dist, is_distributed
from engine_dist.device import available_device
from engine_runner._errors import SettingsError
from engine_runner._integer import integer
from engine_utils import call_mistakes
from engine_utils.dl_utils import set_multi_processing

_log = logging.getLogger("engine.runner")


def setup_environment(env_cfg: Mapping[str, Any], launcher: str) -> None:
    """Start the process group if a launcher is named, and apply ``env_cfg``.

    Args:
        env_cfg: The arguments of `prepare_process`.
        launcher: ``"none"``, ``"pytorch"``, ``"slurm"`` or ``"mpi"``.

    Raises:
        SettingsError: ``env_cfg`` has an unknown key or an invalid value.
    """
    for mistake in call_mistakes(partial(prepare_process, launcher=launcher), env_cfg):
        raise SettingsError(mistake.message.replace("prepare_process", "env_cfg", 1))
    try:
        prepare_process(launcher, **env_cfg)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"env_cfg: {error}") from error


def prepare_process(
    launcher: str = "none",
    *,
    cudnn_benchmark: bool = False,
    mp_cfg: Mapping[str, Any] | None = None,
    dist_cfg: Mapping[str, Any] | None = None,
    resource_limit: int = 4096,
    torch_num_threads: int | None = None,
    backend: str | None = None,
    device: str | None = None,
) -> None:
    """Apply the settings of ``env_cfg`` to this process.

    Args:
        launcher: ``"none"``, ``"pytorch"``, ``"slurm"`` or ``"mpi"``.
        cudnn_benchmark: Let cuDNN choose the fastest convolution algorithms.
        mp_cfg: Arguments of `engine_utils.dl_utils.set_multi_processing`.
        dist_cfg: Arguments of `engine_dist.init_dist`, such as ``backend`` and ``timeout``.
        resource_limit: Files that this process may open.
        torch_num_threads: CPU threads of PyTorch in this process.
        backend: Deprecated place of ``dist_cfg.backend``.
        device: The device of the run: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"`` …; by default
            the accelerator that torch finds, else the CPU. With a launcher each rank has an
            accelerator of its own, so the device has no index.

    Raises:
        ValueError: This machine does not have the device, or a launcher chooses its index.
    """
    if cudnn_benchmark:
        torch.backends.cudnn.benchmark = True
    if torch_num_threads is not None:
        torch.set_num_threads(integer("torch_num_threads", torch_num_threads, at_least=1))
    distributed = launcher != "none"
    if device is not None:
        check_device(device, launcher)
    set_multi_processing(**(mp_cfg or {}), distributed=distributed)
    arguments = dict(dist_cfg or {})
    if backend is not None:
        _log.warning("env_cfg.backend is read as env_cfg.dist_cfg.backend; write it there")
        arguments["backend"] = backend
    if device == "cpu" and arguments.get("backend", "nccl") == "nccl":
        arguments["backend"] = "gloo"  # nccl sends no tensors of the CPU
    if distributed and not is_distributed():
        init_dist(launcher, **arguments)
    if sys.platform != "win32":
        _raise_open_file_limit(integer("resource_limit", resource_limit, at_least=1))


def check_device(device: str, launcher: str) -> None:
    """Raise for a device that a run cannot have.

    Args:
        device: Such as ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        launcher: How the processes were started.

    Raises:
        ValueError: This machine does not have it, or a launcher chooses its index.
    """
    available_device(device)
    if launcher != "none" and torch.device(device).index is not None:
        kind = torch.device(device).type
        raise ValueError(
            f"device must be without an index with the launcher {launcher!r}, which gives each "
            f"rank one of its own, got {device!r}; set {kind!r}"
        )


def _raise_open_file_limit(limit: int) -> None:
    # Workers of a data loader share each tensor through a file descriptor.
    import resource  # exists on POSIX only

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
