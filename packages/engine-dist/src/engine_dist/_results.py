"""Collect the results of all ranks on rank 0."""

import pickle
import weakref
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, Literal

import torch
import torch.distributed as torch_dist

from engine_dist import _wire
from engine_dist._groups import (
    Group,
    comm_device_types,
    get_default_group,
    get_rank,
    get_world_size,
    new_group,
)
from engine_dist._merge import RankResults, check_indices, merge_results
from engine_dist._pickling import dumps_tensors
from engine_dist.watch import guard_collective
from engine_utils import expand_home

# A gloo group for each default group that cannot send from the CPU. Weak references, so that both
# groups are freed when destroyed.
_cpu: "weakref.WeakKeyDictionary[torch_dist.ProcessGroup, weakref.ref[torch_dist.ProcessGroup]]"
_cpu = weakref.WeakKeyDictionary()


def collect_results(
    results: list[Any],
    size: int,
    device: Literal["cpu", "gpu"] = "cpu",
    tmpdir: str | None = None,
    *,
    indices: Sequence[int] | None = None,
) -> list[Any] | None:
    """Collect the results of all ranks on rank 0, in order and without padding.

    Samplers give rank ``r`` of ``n`` the samples ``r``, ``r + n``, …. They repeat a few samples at
    the end, so that all ranks have the same number. Therefore the results are interleaved, and cut
    to ``size``. For any other order, pass ``indices``: each sample is then returned once, at its
    position.

    Args:
        results: This rank's results, picklable.
        size: The number of results over all ranks, without repeated ones.
        device: The device that sends the results: ``cpu`` (over a group that can send from the CPU)
            or ``gpu`` (over the default group).
        tmpdir: A folder that all ranks reach, to use files instead; only with ``cpu``. The files
            are deleted.
        indices: The sample index of each result.

    Returns:
        The results on rank 0, None elsewhere.

    Raises:
        ValueError: ``device`` is neither ``cpu`` nor ``gpu``, ``tmpdir`` is given with ``gpu``, or
            ``indices`` do not cover ``size`` samples.
        RankLost: A rank died or did not arrive within the group's timeout.

    Example:
        >>> collect_results(["cat", "dog", "cat"], 2)
        ['cat', 'dog']
        >>> collect_results(["dog", "cat", "dog"], 2, indices=[1, 0, 1])
        ['cat', 'dog']
    """
    if device not in ("cpu", "gpu"):
        raise ValueError(f"device must be 'cpu' or 'gpu', got {device!r}")
    if device == "gpu" and tmpdir is not None:
        raise ValueError(f"tmpdir must be None with device='gpu', got {tmpdir!r}; leave it out")
    if indices is not None and len(indices) != len(results):
        raise ValueError(
            f"indices must have one item per result, got {len(indices)} for {len(results)} results"
        )
    samples = None if indices is None else [int(index) for index in indices]
    part = RankResults(results=results, indices=samples)
    parts = _gather_parts(part, device, tmpdir)
    if parts is None:
        return None
    if samples is not None:
        check_indices(parts, size)
    return merge_results(parts, size)


def collect_results_cpu(
    result_part: list[Any], size: int, tmpdir: str | None = None
) -> list[Any] | None:
    """Collect results on rank 0 through the CPU; see `collect_results`."""
    return collect_results(result_part, size, "cpu", tmpdir)


def collect_results_gpu(result_part: list[Any], size: int) -> list[Any] | None:
    """Collect results on rank 0 through the group's device; see `collect_results`."""
    return collect_results(result_part, size, "gpu")


def _gather_parts(part: RankResults, device: str, tmpdir: str | None) -> list[RankResults] | None:
    if get_world_size() == 1:
        return [part]
    with guard_collective("collect_results"):
        if tmpdir is not None:
            return _gather_through_files(part, Path(expand_home(tmpdir)))
        # nccl sends from its devices only, so for "cpu" a gloo group sends the bytes.
        if device == "gpu":
            parts = _wire.gather_objects(part, None, root=0)
        else:
            cpu = torch.device("cpu")
            parts = _wire.gather_objects(part, _cpu_group(), root=0, device=cpu)
    # On the other ranks the list is empty.
    return parts if get_rank() == 0 else None


def _gather_through_files(part: RankResults, folder: Path) -> list[RankResults] | None:
    """Gather through a subfolder of this call, so that runs may share ``folder``."""
    own = None
    if get_rank() == 0:
        folder.mkdir(parents=True, exist_ok=True)
        own = Path(mkdtemp(prefix="results_", dir=folder)).name
    shared = folder / _wire.gather_objects(own, None)[0]
    try:
        _write_part(shared, part)
        torch_dist.barrier()
        parts = None
        if get_rank() == 0:
            parts = [_read_part(shared, rank) for rank in range(get_world_size())]
    finally:
        if own is not None:
            rmtree(shared, ignore_errors=True)
    return parts


def _write_part(folder: Path, part: RankResults) -> None:
    try:
        (folder / f"part_{get_rank()}.pkl").write_bytes(dumps_tensors(part))
    except FileNotFoundError as error:
        raise _unreached(folder) from error


def _read_part(folder: Path, rank: int) -> RankResults:
    try:
        part: RankResults = pickle.loads((folder / f"part_{rank}.pkl").read_bytes())
    except FileNotFoundError as error:
        raise _unreached(folder) from error
    return part


def _unreached(folder: Path) -> FileNotFoundError:
    return FileNotFoundError(
        f"{folder} does not have the files of all ranks on rank {get_rank()}: tmpdir must be a "
        "folder that all ranks reach; leave it out to collect in memory"
    )


def _cpu_group() -> Group:
    """Return a group of all ranks that sends from the CPU; all ranks create it on first use."""
    world = get_default_group()
    if world is None or "cpu" in comm_device_types(world):
        return world
    if world not in _cpu:
        _cpu[world] = weakref.ref(new_group(backend="gloo"))
    return _cpu[world]()
