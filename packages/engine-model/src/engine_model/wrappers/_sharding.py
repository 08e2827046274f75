"""Shard a model: build the device mesh, shard the units, and choose where parameters are stored.

The functions import `torch.distributed.fsdp` when they run. The import takes most of a second, so
it must not slow down programs that do not shard.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.distributed import ProcessGroup
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from engine_dist import broadcast, get_comm_device, get_world_size
from engine_model._tta import BaseTTAModel
from engine_model.wrappers._policies import WrapPolicy, wrap_policy

if TYPE_CHECKING:
    from torch.distributed.fsdp import (
        BackwardPrefetch,
        CPUOffload,
        MixedPrecisionPolicy,
        OffloadPolicy,
    )


def shard(
    module: nn.Module,
    policy: str | WrapPolicy | Mapping[str, Any] | None,
    options: Mapping[str, Any],
) -> None:
    """Shard ``module`` in place, with the sub-modules that the policy chooses as units.

    Args:
        module: The module. For a `BaseTTAModel`, its inner model is sharded.
        policy: The policy, its name, or its config. With ``None`` the module is a single unit.
        options: Arguments of `torch.distributed.fsdp.fully_shard`.
    """
    from torch.distributed.fsdp import fully_shard

    # fully_shard gathers parameters in the forward of the module. The forward of a BaseTTAModel is
    # never called, because its test_step calls the inner model.
    if isinstance(module, BaseTTAModel):
        module = module.module
    # Shard the units first: fully_shard of the whole model takes the remaining parameters.
    if policy is not None:
        _shard_children(module, wrap_policy(policy), options)
    fully_shard(module, **options)


def shard_options(
    mesh: DeviceMesh, cpu_offload: "bool | CPUOffload | None", more: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of `torch.distributed.fsdp.fully_shard`.

    Args:
        mesh: The devices.
        cpu_offload: Whether to store parameters in CPU memory.
        more: Further arguments; ``mp_policy`` may be a dict.
    """
    options = {
        "mesh": mesh,
        "offload_policy": offload_policy(cpu_offload, mesh.device_type),
        **more,
    }
    if isinstance(more.get("mp_policy"), Mapping):
        options["mp_policy"] = _precision_policy(more["mp_policy"])
    return options


def device_mesh(group: ProcessGroup | None) -> DeviceMesh:
    """Return the device mesh of a process group, by default of all ranks."""
    kind = get_comm_device(group).type
    if group is not None:
        return DeviceMesh.from_group(group, kind)
    return init_device_mesh(kind, (get_world_size(),))


def current_device(kind: str) -> torch.device:
    """Return the current device of a device type."""
    if kind == "cpu":
        return torch.device("cpu")
    return torch.device(kind, torch.accelerator.current_device_index())


def check_prefetch(value: "str | BackwardPrefetch | None") -> None:
    """Check that ``value`` is a documented value of ``backward_prefetch``.

    Raises:
        ValueError: ``value`` is unknown.
    """
    from torch.distributed.fsdp import BackwardPrefetch

    names = [item.name for item in BackwardPrefetch]
    name = value.name if isinstance(value, BackwardPrefetch) else value
    if name is not None and name not in names:
        raise ValueError(f"backward_prefetch must be one of {', '.join(names)}, got {value!r}")


def offload_policy(value: "bool | CPUOffload | None", kind: str) -> "OffloadPolicy":
    """Return the policy that chooses where parameters are stored between their uses.

    Args:
        value: Whether to store parameters in CPU memory.
        kind: The device type that computes.

    Raises:
        TypeError: ``value`` has another type.
    """
    from torch.distributed.fsdp import CPUOffload, CPUOffloadPolicy, OffloadPolicy

    if isinstance(value, CPUOffload):
        value = value.offload_params
    if not isinstance(value, bool | None):
        raise TypeError(f"cpu_offload must be a bool, a CPUOffload or None, got {value!r}")
    # On a CPU mesh the parameters are in CPU memory already. CPUOffloadPolicy would pin that
    # memory, which needs an accelerator.
    return CPUOffloadPolicy() if value and kind != "cpu" else OffloadPolicy()


def _precision_policy(values: Mapping[str, Any]) -> "MixedPrecisionPolicy":
    """Build a policy from a dict, in which data types may be names such as ``"bfloat16"``."""
    from torch.distributed.fsdp import MixedPrecisionPolicy

    arguments = {
        key: getattr(torch, value) if isinstance(value, str) else value
        for key, value in values.items()
    }
    return MixedPrecisionPolicy(**arguments)


def broadcast_module(module: nn.Module, group: ProcessGroup | None) -> None:
    """Copy the parameters and buffers of the first rank of a group to all its ranks."""
    for tensor in (*module.parameters(), *module.buffers()):
        # A meta tensor has no values to send. It is filled after the model is sharded.
        if not tensor.is_meta:
            # Detach: a collective writes in place, which autograd does not allow for a parameter.
            broadcast(tensor.detach(), group=group, group_src=0)


def _shard_children(module: nn.Module, policy: WrapPolicy, options: Mapping[str, Any]) -> int:
    """Shard the sub-modules that the policy chooses, from the leaves up.

    Returns:
        The number of elements of parameters that are now in units.
    """
    from torch.distributed.fsdp import fully_shard

    in_units = 0
    for child in module.children():
        total = sum(parameter.numel() for parameter in child.parameters())
        if not policy(child, True, total):
            continue
        # Shard the children before their parent: a unit takes the remaining parameters, and the
        # policy gets their number.
        below = _shard_children(child, policy, options)
        # A container is never called, so as a unit its parameters would never be gathered.
        is_container = isinstance(child, nn.ModuleList | nn.ModuleDict)
        if not is_container and total > below and policy(child, False, total - below):
            fully_shard(child, **options)
            below = total
        in_units += below
    return in_units
