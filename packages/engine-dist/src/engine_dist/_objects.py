"""Collectives on picklable objects, and the collection of results over ranks."""

import itertools
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as torch_dist

from engine_dist import _wire
from engine_dist._collectives import global_rank
from engine_dist._groups import (
    Group,
    comm_device_types,
    get_comm_device,
    get_default_group,
    get_rank,
    get_world_size,
    new_group,
)
from engine_dist._guard import guard_collective

# A gloo group beside a default group that cannot send from the CPU, with that default group.
# Weak, so that they go when destroyed.
_cpu: "weakref.WeakKeyDictionary[torch_dist.ProcessGroup, weakref.ref[torch_dist.ProcessGroup]]"
_cpu = weakref.WeakKeyDictionary()


def all_gather_object(data: Any, group: Group = None) -> list[Any]:
    """Give every rank the objects of all ranks, in the order of the ranks.

    Args:
        data: Any picklable object, of any size on each rank. Tensors inside arrive on the
            receiver's own device of the same type.
        group: The process group; None for all ranks.

    Returns:
        One object a rank; ``[data]`` when not distributed, an empty list outside the group.

    Raises:
        RankLost: A rank died or did not come within the group's timeout.
    """
    world_size = get_world_size(group)
    if world_size == 1:
        return [data]
    if world_size < 1:
        return []
    with guard_collective("all_gather_object", group):
        return _wire.gather_objects(data, group)


def gather_object(
    data: Any, dst: int = 0, group: Group = None, *, group_dst: int | None = None
) -> list[Any] | None:
    """Give one rank the objects of all ranks, in the order of the ranks; any back end.

    Args:
        data: As in `all_gather_object`.
        dst: The receiving rank, by its global number as in torch.
        group: The process group; None for all ranks.
        group_dst: The receiving rank by its number in the group, instead of `dst`.

    Returns:
        One object a rank on `dst`, None elsewhere; ``[data]`` when not distributed.

    Raises:
        ValueError: `dst` is not in the group.
        RankLost: A rank died or did not come within the group's timeout.
    """
    world_size = get_world_size(group)
    if world_size == 1:
        return [data]
    if world_size < 1:
        return None
    root = global_rank(dst, group_dst, group)
    with guard_collective("gather_object", group):
        objects = _wire.gather_objects(data, group, root=root)
    return objects if torch_dist.get_rank() == root else None


def broadcast_object_list(
    data: list[Any],
    src: int = 0,
    group: Group = None,
    *,
    group_src: int | None = None,
    device: torch.device | None = None,
) -> None:
    """Replace the items of a list, in place, by those of one rank; nothing when not distributed.

    Args:
        data: A list of picklable objects on `src`; on the others a list of the same length.
        src: The sending rank, by its global number as in torch.
        group: The process group; None for all ranks.
        group_src: The sending rank by its number in the group, instead of `src`.
        device: Where the bytes lie while they travel; None for the group's own device.

    Raises:
        TypeError: `data` is not a list.
        ValueError: `src` is not in the group, or the list has another length there.
        RankLost: A rank died or did not come within the group's timeout.
    """
    if not isinstance(data, list):
        raise TypeError(f"broadcast_object_list fills a list in place, but got {data!r}")
    if get_world_size(group) <= 1:
        return
    root = global_rank(src, group_src, group)
    where = device or get_comm_device(group)
    sends = torch_dist.get_rank() == root
    with guard_collective("broadcast_object_list", group):
        content = _wire.to_tensor(_wire.dump(data) if sends else b"", where)
        length = torch.tensor([len(content)], device=where)
        torch_dist.broadcast(length, root, group)
        if not sends:
            content = torch.empty(int(length), dtype=torch.uint8, device=where)
        torch_dist.broadcast(content, root, group)
    if sends:
        return
    received = _wire.load(_wire.to_bytes(content))
    if len(received) != len(data):
        raise ValueError(f"rank {root} sent {len(received)} objects, this list has {len(data)}")
    data[:] = received


def collect_results(
    results: list[Any],
    size: int,
    device: Literal["cpu", "gpu"] = "cpu",
    tmpdir: str | None = None,
    *,
    indices: Sequence[int] | None = None,
) -> list[Any] | None:
    """Bring the results of all ranks to rank 0, in order and without the padding.

    Samplers give rank ``r`` of ``n`` the samples ``r``, ``r + n``, …, and repeat a few at the end
    so that all ranks get as many. Interleaving undoes the first and cutting at `size` the second.
    With `indices` any other order is exact too: each sample comes out once, at its place.

    Args:
        results: This rank's results, picklable.
        size: How many results there are over all ranks, without repeated ones.
        device: What carries them: ``cpu`` (in memory, over a group that can send from the CPU) or
            ``gpu`` (over the default group's device).
        tmpdir: A folder that all ranks reach, to go through files instead; only with ``cpu``.
        indices: The sample that each of `results` belongs to, as long as `results`.

    Returns:
        The results on rank 0, None elsewhere.

    Raises:
        ValueError: `device` is another, `tmpdir` is given with ``gpu``, or `indices` do not fit.
        RankLost: A rank died or did not come within the group's timeout.

    Example:
        >>> collect_results(["cat", "dog", "cat"], 2)
        ['cat', 'dog']
        >>> collect_results(["dog", "cat", "dog"], 2, indices=[1, 0, 1])
        ['cat', 'dog']
    """
    if device not in ("cpu", "gpu"):
        raise ValueError(f"device={device!r}; choose 'cpu' or 'gpu'")
    if device == "gpu" and tmpdir is not None:
        raise ValueError(f"tmpdir={tmpdir!r} has no use with device='gpu'; leave it out")
    if indices is not None and len(indices) != len(results):
        raise ValueError(f"{len(indices)} indices for {len(results)} results; give one each")
    part = (results, None if indices is None else [int(index) for index in indices])
    parts = _gather_parts(part, device, tmpdir)
    if parts is None:
        return None
    if indices is None:
        return _interleave([results for results, _ in parts])[:size]
    return _place(parts, size)


def collect_results_cpu(
    result_part: list[Any], size: int, tmpdir: str | None = None
) -> list[Any] | None:
    """Bring results to rank 0 through the CPU; see `collect_results`."""
    return collect_results(result_part, size, "cpu", tmpdir)


def collect_results_gpu(result_part: list[Any], size: int) -> list[Any] | None:
    """Bring results to rank 0 through the group's device; see `collect_results`."""
    return collect_results(result_part, size, "gpu")


def _gather_parts(part: Any, device: str, tmpdir: str | None) -> list[Any] | None:
    if get_world_size() == 1:
        return [part]
    with guard_collective("collect_results"):
        if tmpdir is not None:
            return _gather_through_files(part, Path(tmpdir))
        if device == "gpu":
            parts = _wire.gather_objects(part, None, root=0)
        else:
            cpu = torch.device("cpu")
            parts = _wire.gather_objects(part, _cpu_group(), root=0, device=cpu)
    return parts if get_rank() == 0 else None


def _gather_through_files(part: Any, folder: Path) -> list[Any] | None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"part_{get_rank()}.pkl"
    path.write_bytes(_wire.dump(part))
    torch_dist.barrier()
    parts = None
    if get_rank() == 0:
        parts = [_take_part(folder / f"part_{rank}.pkl") for rank in range(get_world_size())]
    torch_dist.barrier()  # or the next results would overwrite these before they are read
    return parts


def _take_part(path: Path) -> Any:
    try:
        part = _wire.load(path.read_bytes())
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} is missing on rank 0: tmpdir must be a folder that all ranks reach; "
            "leave it out to collect in memory"
        ) from error
    path.unlink()
    return part


def _cpu_group() -> Group:
    """Return a group of all ranks that sends from the CPU, made on first use by all of them."""
    world = get_default_group()
    if world is None or "cpu" in comm_device_types(world):
        return world
    if world not in _cpu:
        _cpu[world] = weakref.ref(new_group(backend="gloo"))
    return _cpu[world]()


def _interleave(parts: Sequence[list[Any]]) -> list[Any]:
    absent = object()
    rounds = itertools.zip_longest(*parts, fillvalue=absent)
    return [item for items in rounds for item in items if item is not absent]


def _place(parts: Sequence[tuple[list[Any], list[int] | None]], size: int) -> list[Any]:
    by_index: dict[int, Any] = {}
    for results, indices in parts:
        for index, result in zip(indices or (), results, strict=True):
            by_index.setdefault(index, result)
    if by_index.keys() != set(range(size)):
        missing = sorted(set(range(size)) - by_index.keys())[:5]
        extra = sorted(by_index.keys() - set(range(size)))[:5]
        raise ValueError(
            f"the indices of all ranks are not those of {size} results: "
            f"missing {missing or 'none'}, beyond the end {extra or 'none'}"
        )
    return [by_index[index] for index in range(size)]
