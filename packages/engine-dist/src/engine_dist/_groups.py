"""Query process groups: rank, size, backend and device; also without a process group."""

import functools
import os
import weakref
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import ParamSpec, TypeAlias, TypeVar

import torch
import torch.distributed as torch_dist

from engine_dist.watch import guard_collective

Group: TypeAlias = torch_dist.ProcessGroup | None
"""A process group; None stands for the default group of all ranks."""

# The timeout that was passed to init_dist, so that groups made later have the same.
_timeout: timedelta | None = None

P = ParamSpec("P")
T = TypeVar("T")

# The local group that init_local_group created, by default group. Weak references, because a
# destroyed group must be freed: otherwise the server of its store would answer the next group with
# old addresses.
_local: "weakref.WeakKeyDictionary[torch_dist.ProcessGroup, weakref.ref[torch_dist.ProcessGroup]]"
_local = weakref.WeakKeyDictionary()


def is_distributed() -> bool:
    """Return whether a default process group exists in this process."""
    return torch_dist.is_available() and torch_dist.is_initialized()


def get_default_group() -> Group:
    """Return the group of all ranks, or None when not distributed."""
    return torch_dist.group.WORLD if is_distributed() else None


def get_backend(group: Group = None) -> str | None:
    """Return the lower-case name of the group's backend, or None when not distributed."""
    return str(torch_dist.get_backend(group)) if is_distributed() else None


def get_world_size(group: Group = None) -> int:
    """Return the number of ranks in the group: 1 when not distributed, -1 outside the group."""
    return torch_dist.get_world_size(group) if is_distributed() else 1


def get_rank(group: Group = None) -> int:
    """Return this process's rank in the group: 0 when not distributed, -1 outside the group."""
    return torch_dist.get_rank(group) if is_distributed() else 0


def get_dist_info(group: Group = None) -> tuple[int, int]:
    """Return ``(rank, world_size)`` of this process in the group; (0, 1) when not distributed."""
    return (get_rank(group), get_world_size(group))


def is_main_process(group: Group = None) -> bool:
    """Return whether this process is rank 0 of the group; always true when not distributed."""
    return get_rank(group) == 0


def master_only(func: Callable[P, T]) -> Callable[P, T | None]:
    """Run a function on rank 0 only; on every other rank, do nothing and return None.

    Args:
        func: The function or method. It must not call a collective, because the other ranks would
            never enter it.

    Example:
        >>> @master_only
        ... def announce(text: str) -> str:
        ...     return text.upper()
        >>> announce("ready")
        'READY'
    """

    @functools.wraps(func)
    def call(*args: P.args, **kwargs: P.kwargs) -> T | None:
        return func(*args, **kwargs) if is_main_process() else None

    return call


def init_local_group(node_rank: int, num_gpus_per_node: int) -> None:
    """Create the group of the ranks on this machine; every rank must call it.

    Ranks must be numbered machine by machine, as all launchers do.

    Args:
        node_rank: The number of this machine, from 0.
        num_gpus_per_node: The number of ranks on each machine.

    Raises:
        RuntimeError: No default process group exists.
        ValueError: ``num_gpus_per_node`` does not divide the number of ranks, or this rank is on
            another machine.
    """
    world = get_default_group()
    if world is None:
        raise RuntimeError("init_local_group needs a process group: call init_dist first")
    rank, world_size = get_dist_info()
    if num_gpus_per_node < 1 or world_size % num_gpus_per_node:
        raise ValueError(
            f"num_gpus_per_node must divide the {world_size} ranks, got {num_gpus_per_node}; "
            "give the number of ranks on each machine"
        )
    if rank // num_gpus_per_node != node_rank:
        raise ValueError(
            f"rank {rank} is on node {rank // num_gpus_per_node} with {num_gpus_per_node} ranks "
            f"per node, got node_rank={node_rank}"
        )
    # new_group is a collective of the whole world: every rank creates every group.
    for first in range(0, world_size, num_gpus_per_node):
        group = new_group(range(first, first + num_gpus_per_node))
        if first // num_gpus_per_node == node_rank:
            _local[world] = weakref.ref(group)


def set_group_timeout(timeout: timedelta | None) -> None:
    """Set the timeout of the groups that `new_group` makes; None for torch's default."""
    global _timeout
    _timeout = timeout


def new_group(
    ranks: Sequence[int] | None = None, backend: str | None = None
) -> torch_dist.ProcessGroup:
    """Make a group with the timeout of the default group; every rank must call it."""
    members = None if ranks is None else list(ranks)
    with guard_collective("new_group"):
        made: torch_dist.ProcessGroup = torch_dist.new_group(
            members, timeout=_timeout, backend=backend
        )
    return made


def global_rank(rank: int, group_rank: int | None, group: Group) -> int:
    """Return the global rank of a source or destination, and check that it is in the group."""
    members = torch_dist.get_process_group_ranks(group)
    if group_rank is not None:
        if not 0 <= group_rank < len(members):
            raise ValueError(f"rank {group_rank} is not one of the group's {len(members)} ranks")
        return members[group_rank]
    if rank not in members:
        raise ValueError(
            f"global rank {rank} is not in the group of ranks {members}; "
            "give one of them, or the rank's number in the group as group_src or group_dst"
        )
    return rank


def get_local_group() -> Group:
    """Return the group of the ranks on this machine, or None where init_local_group has not run."""
    world = get_default_group()
    group = None if world is None else _local.get(world)
    return None if group is None else group()


def get_local_size() -> int:
    """Return the number of ranks on this machine; 1 when not distributed.

    The value comes from `init_local_group`, else from ``LOCAL_WORLD_SIZE``, which launchers set.
    Without either, all ranks are assumed to be on one machine.
    """
    return _on_this_machine("LOCAL_WORLD_SIZE", get_world_size)


def get_local_rank() -> int:
    """Return this process's rank among those on this machine; 0 when not distributed.

    The value comes from `init_local_group`, else from ``LOCAL_RANK``, which launchers set. Without
    either, all ranks are assumed to be on one machine.
    """
    return _on_this_machine("LOCAL_RANK", get_rank)


def _on_this_machine(variable: str, ask: Callable[[Group], int]) -> int:
    group = get_local_group()
    if is_distributed() and group is None and variable in os.environ:
        return int(os.environ[variable])
    return ask(group)


def get_comm_device(group: Group = None) -> torch.device:
    """Return the device on which the group's backend expects tensors.

    It is the CPU when not distributed. It is the accelerator for a group with backends for both
    (``cpu:gloo,cuda:nccl``).
    """
    if not is_distributed():
        return torch.device("cpu")
    types = comm_device_types(group)
    accelerators = [kind for kind in types if kind != "cpu"]
    kind = accelerators[0] if accelerators else "cpu"
    if kind == "cpu":
        return torch.device("cpu")
    return torch.device(kind, torch.get_device_module(kind).current_device())


def comm_device_types(group: Group = None) -> tuple[str, ...]:
    """Return the device types that the group can send from, the CPU first."""
    return _device_types(torch_dist.get_backend_config(group))


@functools.cache
def _device_types(config: str) -> tuple[str, ...]:
    pairs = [entry.split(":", 1) for entry in config.split(",")]
    # gloo and mpi list every device type of torch, but copy accelerator memory through the CPU.
    kinds = {kind for kind, backend in pairs if kind == "cpu" or backend not in ("gloo", "mpi")}
    return tuple(sorted(kinds, key=lambda kind: kind != "cpu"))
