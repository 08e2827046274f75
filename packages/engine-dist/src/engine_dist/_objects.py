"""Run collectives on picklable objects."""

import pickle
from typing import Any

import torch
import torch.distributed as torch_dist

from engine_dist import _wire
from engine_dist._groups import Group, get_comm_device, get_world_size, global_rank
from engine_dist._pickling import dumps_tensors
from engine_dist.watch import guard_collective


def all_gather_object(data: Any, group: Group = None) -> list[Any]:
    """Gather the objects of all ranks on every rank, in the order of the ranks.

    Args:
        data: A picklable object; its size may differ between ranks. Tensors inside are loaded onto
            the receiver's current device of the same type.
        group: The process group; None for all ranks.

    Returns:
        One object per rank; ``[data]`` when not distributed, an empty list outside the group.

    Raises:
        RankLost: A rank died or did not arrive within the group's timeout.
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
    """Gather the objects of all ranks on one rank, in the order of the ranks; works on any backend.

    Args:
        data: As in `all_gather_object`.
        dst: The global rank that receives, as in torch.
        group: The process group; None for all ranks.
        group_dst: The receiving rank within the group, instead of ``dst``.

    Returns:
        One object per rank on ``dst``, None elsewhere; ``[data]`` when not distributed.

    Raises:
        ValueError: ``dst`` is not in the group.
        RankLost: A rank died or did not arrive within the group's timeout.
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
    """Replace the items of a list, in place, by those of one rank.

    Does nothing when not distributed.

    Args:
        data: A list of picklable objects on ``src``; on the others a list of the same length.
        src: The global rank that sends, as in torch.
        group: The process group; None for all ranks.
        group_src: The sending rank within the group, instead of ``src``.
        device: The device from which the bytes are sent; None for that of the group.

    Raises:
        TypeError: ``data`` is not a list.
        ValueError: ``src`` is not in the group, or the list has another length there.
        RankLost: A rank died or did not arrive within the group's timeout.
    """
    if not isinstance(data, list):
        raise TypeError(f"data must be a list, which is filled in place, got {data!r}")
    if get_world_size(group) <= 1:
        return
    root = global_rank(src, group_src, group)
    where = device or get_comm_device(group)
    sends = torch_dist.get_rank() == root
    with guard_collective("broadcast_object_list", group):
        content = _wire.to_tensor(dumps_tensors(data) if sends else b"", where)
        # Send the length first: the receivers must allocate a tensor for the bytes.
        length = torch.tensor([len(content)], device=where)
        torch_dist.broadcast(length, root, group)
        if not sends:
            content = torch.empty(int(length), dtype=torch.uint8, device=where)
        torch_dist.broadcast(content, root, group)
    if sends:
        return
    # Outside of the guarded block: an object that cannot be loaded is not a lost rank.
    received = pickle.loads(_wire.to_bytes(content))
    if len(received) != len(data):
        raise ValueError(
            f"data must be as long as on rank {root}, which sent {len(received)} objects, "
            f"got {len(data)}"
        )
    data[:] = received
