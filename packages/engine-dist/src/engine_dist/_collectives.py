"""Run collectives on tensors and on containers of tensors, with one process or many."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import torch
import torch.distributed as torch_dist
from torch.distributed import ReduceOp

from engine_dist import _wire
from engine_dist._errors import RanksDisagree
from engine_dist._groups import (
    Group,
    comm_device_types,
    get_comm_device,
    get_rank,
    get_world_size,
    global_rank,
)
from engine_dist._pickling import bytes_of
from engine_dist._tensors import (
    Data,
    flatten,
    group_by_dtype,
    list_tensors,
    unflatten_into,
    view_bytes,
)
from engine_dist.watch import guard_collective

Op: TypeAlias = str | ReduceOp.RedOpType
"""The name of a reduction, or torch's constant for it."""

_OPS = {
    "sum": ReduceOp.SUM,
    "mean": ReduceOp.SUM,  # divided afterwards: gloo does not support an average
    "product": ReduceOp.PRODUCT,
    "produce": ReduceOp.PRODUCT,
    "min": ReduceOp.MIN,
    "max": ReduceOp.MAX,
    "band": ReduceOp.BAND,
    "bor": ReduceOp.BOR,
    "bxor": ReduceOp.BXOR,
}
_MEGABYTE = 1024 * 1024
# No backend reduces these dtypes. The wider dtype gives the same bits after converting back.
_WIDER = {torch.int16: torch.int32}


def barrier(group: Group = None) -> None:
    """Wait until every rank of the group has arrived; do nothing when not distributed.

    Raises:
        RankLost: A rank died or did not arrive within the group's timeout.
    """
    if get_world_size(group) > 1:
        with guard_collective("barrier", group):
            torch_dist.barrier(group)


def all_reduce(data: Data, op: Op = "sum", group: Group = None) -> None:
    """Reduce tensors across the ranks, in place; all ranks get bitwise equal results.

    Does nothing when not distributed.

    Args:
        data: A tensor, or nested containers of tensors, equal in structure and shape on all ranks.
            Tensors on another device than the group's are moved there and back.
        op: ``sum``, ``mean``, ``product`` (also ``produce``), ``min``, ``max``, ``band``, ``bor``,
            ``bxor``, or a `torch.distributed.ReduceOp`. The mean of integers is rounded towards
            zero.
        group: The process group; None for all ranks.

    Raises:
        TypeError: ``data`` contains no tensor.
        ValueError: ``op`` is none of these.
        RankLost: A rank died or did not arrive within the group's timeout.
    """
    reduction, mean = _resolve(op)
    if get_world_size(group) <= 1:
        return
    with guard_collective("all_reduce", group):
        for tensors in group_by_dtype(_tensors_of(data)):
            _reduce_together(tensors, reduction, mean, group)


def all_reduce_dict(data: dict[str, torch.Tensor], op: Op = "sum", group: Group = None) -> None:
    """Reduce the tensors of a dict across the ranks, in place, matched by key.

    Keys, shapes and dtypes must be equal on all ranks; the order of the keys may differ. Does
    nothing when not distributed.

    Args:
        data: Tensors by name; one collective is used per dtype.
        op: As in `all_reduce`.
        group: The process group; None for all ranks.

    Raises:
        TypeError: A value is not a tensor.
        RanksDisagree: A rank has other keys, shapes or dtypes than the first rank. All ranks raise
            it.
        RankLost: A rank died or did not arrive within the group's timeout.
    """
    reduction, mean = _resolve(op)
    if get_world_size(group) <= 1:
        return
    for key, value in data.items():
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"data[{key!r}] must be a tensor, got {value!r}")
    with guard_collective("all_reduce_dict", group):
        keys = sorted(data)
        _agree([(key, tuple(data[key].shape), data[key].dtype) for key in keys], group)
        for tensors in group_by_dtype([data[key] for key in keys]):
            _reduce_together(tensors, reduction, mean, group)


def all_reduce_params(
    params: Iterable[torch.Tensor],
    coalesce: bool = True,
    bucket_size_mb: int = -1,
    op: Op = "sum",
    group: Group = None,
) -> None:
    """Reduce parameters or buffers across the ranks, in place.

    Does nothing when not distributed.

    Args:
        params: The tensors, in the same order on all ranks.
        coalesce: Whether to send many tensors in one collective, instead of one each.
        bucket_size_mb: The maximum megabytes per collective when coalescing; -1 for no limit.
        op: As in `all_reduce`.
        group: The process group; None for all ranks.

    Raises:
        RankLost: A rank died or did not arrive within the group's timeout.
    """
    reduction, mean = _resolve(op)
    if get_world_size(group) <= 1:
        return
    # `param.data`, because writing in place into a leaf that requires a gradient raises.
    tensors = [param.data if isinstance(param, torch.nn.Parameter) else param for param in params]
    limit = bucket_size_mb * _MEGABYTE if bucket_size_mb > 0 else float("inf")
    with guard_collective("all_reduce_params", group):
        for bucket in _buckets(tensors, limit) if coalesce else ([tensor] for tensor in tensors):
            _reduce_together(bucket, reduction, mean, group)


def all_gather(data: Data, group: Group = None, *, same_shape: bool = False) -> list[Data]:
    """Gather the data of all ranks on every rank, in the order of the ranks.

    Args:
        data: A tensor of any shape, or nested containers that hold tensors among other picklable
            values. Shapes, dtypes and structure may differ from rank to rank.
        group: The process group; None for all ranks.
        same_shape: Whether ``data`` is one tensor of equal shape and dtype on all ranks. This saves
            the exchange of shapes, and with it a wait for the device.

    Returns:
        One item per rank, on the device of this rank's data, without gradients. ``[data]`` when not
        distributed; an empty list outside the group.

    Raises:
        RankLost: A rank died or did not arrive within the group's timeout.
    """
    world_size = get_world_size(group)
    if world_size == 1:
        return [data]
    if world_size < 1:
        return []
    with guard_collective("all_gather", group):
        if same_shape:
            return _gather_alike(data, group)
        return _wire.gather_data(data, group)


def gather(
    data: Data, dst: int = 0, group: Group = None, *, group_dst: int | None = None
) -> list[Data]:
    """Gather the data of all ranks on one rank, in the order of the ranks; works on any backend.

    Args:
        data: As in `all_gather`.
        dst: The global rank that receives, as in torch.
        group: The process group; None for all ranks.
        group_dst: The receiving rank within the group, instead of ``dst``.

    Returns:
        One item per rank on ``dst``, an empty list elsewhere; ``[data]`` when not distributed.

    Raises:
        ValueError: ``dst`` is not in the group.
        RankLost: A rank died or did not arrive within the group's timeout.
    """
    world_size = get_world_size(group)
    if world_size == 1:
        return [data]
    if world_size < 1:
        return []
    root = global_rank(dst, group_dst, group)
    with guard_collective("gather", group):
        return _wire.gather_data(data, group, root=root)


def broadcast(
    data: Data, src: int = 0, group: Group = None, *, group_src: int | None = None
) -> None:
    """Copy the tensors of one rank to all ranks, in place.

    Does nothing when not distributed.

    Args:
        data: A tensor, or nested containers of tensors, equal in structure and shape on all ranks.
        src: The global rank that sends, as in torch.
        group: The process group; None for all ranks.
        group_src: The sending rank within the group, instead of ``src``.

    Raises:
        TypeError: ``data`` contains no tensor.
        ValueError: ``src`` is not in the group.
        RankLost: A rank died or did not arrive within the group's timeout.
    """
    if get_world_size(group) <= 1:
        return
    root = global_rank(src, group_src, group)
    with guard_collective("broadcast", group):
        for tensors in group_by_dtype(_tensors_of(data)):
            device = _comm_device_of(tensors[0], group)
            direct = _is_direct(tensors, device)
            flat = tensors[0].detach().view(-1) if direct else flatten(tensors, device)
            # As bytes, because backends support fewer dtypes than torch.
            torch_dist.broadcast(view_bytes(flat), root, group)
            if not direct and root != torch_dist.get_rank():
                unflatten_into(tensors, flat)


def sync_random_seed(group: Group = None) -> int:
    """Return a random number that is equal on all ranks, for example to shuffle in the same order.

    The group's first rank draws it from numpy's global generator. It is reproducible if that
    generator was seeded.

    Returns:
        An integer in ``[0, 2**31)``.
    """
    seed = torch.tensor(np.random.randint(2**31), dtype=torch.int64)
    if get_world_size(group) > 1:
        broadcast(seed, group=group, group_src=0)
    return int(seed)


def _resolve(op: Op) -> tuple[ReduceOp.RedOpType, bool]:
    if isinstance(op, str):
        if op.lower() not in _OPS:
            raise ValueError(f"op must be one of {', '.join(_OPS)}, got {op!r}")
        return _OPS[op.lower()], op.lower() == "mean"
    return (ReduceOp.SUM, True) if op == ReduceOp.AVG else (op, False)


def _tensors_of(data: Data) -> list[torch.Tensor]:
    tensors = list_tensors(data)
    if not tensors:
        raise TypeError(f"data must contain a tensor, got {type(data).__name__} without one")
    return tensors


def _comm_device_of(tensor: torch.Tensor, group: Group) -> torch.device:
    """Return the device to send a tensor from: its own device if the group has a backend for it."""
    if tensor.device.type in comm_device_types(group):
        return tensor.device
    return get_comm_device(group)


def _is_direct(tensors: Sequence[torch.Tensor], device: torch.device) -> bool:
    """Return whether there is one tensor, whose memory the backend can use directly."""
    return (
        len(tensors) == 1
        and tensors[0].device == device
        and tensors[0].is_contiguous()
        and tensors[0].dtype not in _WIDER
    )


def _reduce_together(
    tensors: Sequence[torch.Tensor], op: ReduceOp.RedOpType, mean: bool, group: Group
) -> None:
    """Reduce tensors of one dtype in one collective."""
    device = _comm_device_of(tensors[0], group)
    direct = _is_direct(tensors, device)
    dtype = tensors[0].dtype
    # In the memory of the tensor where possible: copying large gradients takes as long as reducing
    # them.
    flat = tensors[0].detach() if direct else flatten(tensors, device)
    flat = flat.to(_WIDER.get(dtype, dtype))
    if mean and dtype is torch.bool:
        raise TypeError("op must not be mean for a bool tensor; convert it to a number first")
    torch_dist.all_reduce(flat, op, group)
    if mean:
        # Divide the reduced values, so that each rank gets bitwise equal results.
        exact = dtype.is_floating_point or dtype.is_complex
        rounding = None if exact else "trunc"
        world_size = get_world_size(group)
        torch.div(flat, world_size, rounding_mode=rounding, out=flat)
    if not direct:
        unflatten_into(tensors, flat)


def _buckets(tensors: Sequence[torch.Tensor], limit: float) -> Iterable[list[torch.Tensor]]:
    for alike in group_by_dtype(tensors):
        bucket: list[torch.Tensor] = []
        size = 0
        for tensor in alike:
            # A tensor larger than the limit gets its own bucket: it cannot be sent in parts.
            if bucket and size + tensor.nbytes > limit:
                yield bucket
                bucket, size = [], 0
            bucket.append(tensor)
            size += tensor.nbytes
        yield bucket


def _gather_alike(data: Data, group: Group) -> list[torch.Tensor]:
    if not isinstance(data, torch.Tensor):
        raise TypeError(f"data must be a tensor with same_shape=True, got {type(data).__name__}")
    flat = bytes_of(data).to(_comm_device_of(data, group))
    parts = [torch.empty_like(flat) for _ in range(get_world_size(group))]
    torch_dist.all_gather(parts, flat, group)
    return [part.view(data.dtype).view(data.shape).to(data.device) for part in parts]


def _agree(facts: object, group: Group) -> None:
    """Raise on every rank if ``facts`` differ between a rank and the first rank."""
    digest = hashlib.blake2b(repr(facts).encode(), digest_size=8).digest()
    # Compare digests of fixed length, because the facts may differ in length between ranks.
    mine = torch.frombuffer(bytearray(digest), dtype=torch.int64)
    every = [int(other) for other in _gather_alike(mine, group)]
    odd = [rank for rank, other in enumerate(every) if other != every[0]]
    if odd:
        raise RanksDisagree(
            f"ranks {odd} of the group have other keys, shapes or dtypes than its rank 0; "
            f"rank {get_rank(group)} has {facts}"
        )
