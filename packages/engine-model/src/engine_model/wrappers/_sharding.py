"""How a model is sharded: the mesh, the units, and where they live.

Importing this module loads `torch.distributed.fsdp`.
"""

import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.distributed import ProcessGroup
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import (
    BackwardPrefetch,
    CPUOffload,
    CPUOffloadPolicy,
    MixedPrecisionPolicy,
    OffloadPolicy,
    fully_shard,
)
from torch.distributed.fsdp.wrap import always_wrap_policy, size_based_auto_wrap_policy

from engine_dist import broadcast, get_comm_device, get_world_size
from engine_model._tta import BaseTTAModel
from engine_model.wrappers._sharded import FSDP_WRAP_POLICIES, WrapPolicy

FSDP_WRAP_POLICIES.register_module(module=always_wrap_policy)
FSDP_WRAP_POLICIES.register_module(
    name=["default_auto_wrap_policy", "size_based_auto_wrap_policy"],
    module=size_based_auto_wrap_policy,
)


def shard(
    module: nn.Module,
    policy: str | WrapPolicy | Mapping[str, Any] | None,
    options: Mapping[str, Any],
) -> None:
    """Shard ``module`` in place, sub-modules that the policy chooses as units of their own.

    Args:
        module: The module; of a model for test-time augmentation its inner model is sharded, which
            is what runs.
        policy: The policy, its name, or its config; without one the module is a single unit.
        options: Arguments of `torch.distributed.fsdp.fully_shard`.
    """
    if isinstance(module, BaseTTAModel):
        module = module.module
    if policy is not None:
        _shard_children(module, wrap_policy(policy), options)
    fully_shard(module, **options)


def options_of(
    mesh: DeviceMesh, cpu_offload: bool | CPUOffload | None, more: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of `torch.distributed.fsdp.fully_shard`.

    Args:
        mesh: The devices.
        cpu_offload: Whether parameters live in CPU memory.
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


def mesh_of(group: ProcessGroup | None) -> DeviceMesh:
    """Return the devices of a process group, by default of all ranks."""
    kind = get_comm_device(group).type
    if group is not None:
        return DeviceMesh.from_group(group, kind)
    return init_device_mesh(kind, (get_world_size(),))


def present_device(kind: str) -> torch.device:
    """Return the device of a kind on which this process computes."""
    if kind == "cpu":
        return torch.device("cpu")
    return torch.device(kind, torch.accelerator.current_device_index())


def check_prefetch(value: str | BackwardPrefetch | None) -> None:
    """Refuse what is not a documented way to prefetch.

    Raises:
        ValueError: If ``value`` is none.
    """
    names = [item.name for item in BackwardPrefetch]
    name = value.name if isinstance(value, BackwardPrefetch) else value
    if name is not None and name not in names:
        raise ValueError(f"backward_prefetch must be one of {', '.join(names)}, not {value!r}")


def offload_policy(value: bool | CPUOffload | None, kind: str) -> OffloadPolicy:
    """Return where parameters live between their uses.

    Args:
        value: Whether that is CPU memory.
        kind: The kind of device that computes.

    Raises:
        TypeError: If ``value`` is of another type.
    """
    if isinstance(value, CPUOffload):
        value = value.offload_params
    if not isinstance(value, bool | None):
        raise TypeError(f"cpu_offload must be a bool, a CPUOffload or None, not {value!r}")
    # Where the model computes on the CPU, it is there already.
    return CPUOffloadPolicy() if value and kind != "cpu" else OffloadPolicy()


def _precision_policy(values: Mapping[str, Any]) -> MixedPrecisionPolicy:
    """Return a policy from a dict, in which data types may be names such as ``"bfloat16"``."""
    found = {
        key: getattr(torch, value) if isinstance(value, str) else value
        for key, value in values.items()
    }
    return MixedPrecisionPolicy(**found)


def wrap_policy(value: str | WrapPolicy | Mapping[str, Any]) -> WrapPolicy:
    """Return a policy from itself, its name, or its config.

    Raises:
        TypeError: If ``value`` is none of these.
        ValueError: If the name is not known.
    """
    if isinstance(value, str):
        value = {"type": value}
    if isinstance(value, Mapping):
        arguments = dict(value)
        name = arguments.pop("type", None)
        policy = FSDP_WRAP_POLICIES.get(name) if isinstance(name, str) else name
        if policy is None:
            known = ", ".join(sorted(FSDP_WRAP_POLICIES.module_dict))
            raise ValueError(
                f"there is no policy {name!r} in FSDP_WRAP_POLICIES, which has {known}; "
                f"register yours there"
            )
        value = functools.partial(policy, **arguments)
    if not callable(value):
        raise TypeError(f"fsdp_auto_wrap_policy must be a function or a name, not {value!r}")
    return value


def send_from_first_rank(module: nn.Module, group: ProcessGroup | None) -> None:
    """Copy the parameters and buffers of the first rank of a group to all of it."""
    for tensor in (*module.parameters(), *module.buffers()):
        if not tensor.is_meta:
            broadcast(tensor.detach(), group=group, group_src=0)


def _shard_children(module: nn.Module, policy: WrapPolicy, options: Mapping[str, Any]) -> int:
    """Shard the sub-modules that the policy chooses, from the leaves up.

    Returns:
        The number of elements of parameters that sub-modules have taken.
    """
    taken = 0
    for child in module.children():
        total = sum(parameter.numel() for parameter in child.parameters())
        if not policy(child, True, total):
            continue
        below = _shard_children(child, policy, options)
        # A container without a forward of its own is never called, so it cannot be a unit.
        is_container = isinstance(child, nn.ModuleList | nn.ModuleDict)
        if not is_container and total > below and policy(child, False, total - below):
            fully_shard(child, **options)
            below = total
        taken += below
    return taken
