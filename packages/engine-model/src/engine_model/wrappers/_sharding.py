"""Shard a model: shard the units, and choose where parameters are stored.

The functions import `torch.distributed.fsdp` when they run. The import takes most of a second, so
it must not slow down programs that do not shard.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh

from engine_model._sharded_init import broadcast_over
from engine_model._tta import BaseTTAModel
from engine_model.wrappers._earlier_options import precision_policy
from engine_model.wrappers._policies import Policy, WrapPolicy, wrap_policy
from engine_utils import call_mistakes

if TYPE_CHECKING:
    from torch.distributed.fsdp import BackwardPrefetch, CPUOffload, OffloadPolicy

_log = logging.getLogger("engine.model")


def shard(module: nn.Module, policy: Policy | None, options: Mapping[str, Any]) -> None:
    """Shard ``module`` in place, with the sub-modules that the policy chooses as units.

    A parameter that two modules share is in one unit, the smallest that contains both. A module
    that the policy chooses and that shares a parameter with others is therefore not a unit.

    Args:
        module: The module. For a `BaseTTAModel`, its inner model is sharded.
        policy: The policy; see `wrap_policy`. With ``None`` the module is a single unit.
        options: Arguments of `torch.distributed.fsdp.fully_shard`.
    """
    from torch.distributed.fsdp import fully_shard

    # fully_shard gathers parameters in the forward of the module. The forward of a BaseTTAModel is
    # never called, because its test_step calls the inner model.
    if isinstance(module, BaseTTAModel):
        module = module.module
    # Shard the units first: fully_shard of the whole model takes the remaining parameters.
    if policy is not None:
        _Units(module, wrap_policy(policy, module), _of_unit(options)).shard_in(module)
    fully_shard(module, **options)


def _of_unit(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of an inner unit, whose outputs other layers of the model take."""
    precision = options.get("mp_policy")
    if precision is None or precision.output_dtype is None:
        return dict(options)
    return {**options, "mp_policy": replace(precision, output_dtype=None)}


class _Units:
    """The units of a model that a policy chooses."""

    def __init__(self, model: nn.Module, policy: WrapPolicy, options: Mapping[str, Any]) -> None:
        self.policy = policy
        self.options = options
        self.done: set[nn.Module] = set()
        self.owners: dict[nn.Parameter, set[nn.Module]] = {}
        for owner in model.modules():
            for parameter in owner.parameters(recurse=False):
                self.owners.setdefault(parameter, set()).add(owner)

    def shard_in(self, module: nn.Module) -> int:
        """Shard the sub-modules of a module that the policy chooses, from the leaves up.

        Returns:
            The number of elements of parameters that are now in units.
        """
        in_units = 0
        for child in module.children():
            total = sum(parameter.numel() for parameter in child.parameters())
            if child in self.done or not self.policy(child, True, total):
                continue
            # Shard the children before their parent: a unit takes the remaining parameters, and
            # the policy gets their number.
            below = self.shard_in(child)
            if total > below and self._is_unit(child, total - below):
                below = total
            in_units += below
        return in_units

    def _is_unit(self, module: nn.Module, remaining: int) -> bool:
        """Shard a module if the policy chooses it; return whether it is a unit now."""
        from torch.distributed.fsdp import fully_shard

        # A container is never called, so as a unit its parameters would never be gathered.
        is_container = type(module).forward is nn.Module.forward
        if is_container or not self.policy(module, False, remaining):
            return False
        inside = set(module.modules())
        # fully_shard would make two parameters of one that is shared by two units.
        shared = [
            name
            for name, parameter in module.named_parameters()
            if self.owners.get(parameter, inside) - inside
        ]
        if shared:
            _log.warning(
                "%s is not sharded as a unit of its own, as its %s is shared with modules outside "
                "of it; a larger unit takes its parameters.",
                *(type(module).__name__, shared[0]),
            )
            return False
        fully_shard(module, **self.options)
        self.done.add(module)
        return True


def shard_options(
    mesh: DeviceMesh, cpu_offload: "bool | CPUOffload | None", more: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of `torch.distributed.fsdp.fully_shard`.

    Args:
        mesh: The devices.
        cpu_offload: Whether to store parameters in CPU memory.
        more: Further arguments; ``mp_policy`` may be a dict.

    Raises:
        TypeError: `fully_shard` has no argument of this name.
    """
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    options = {
        "mesh": mesh,
        "offload_policy": offload_policy(cpu_offload, mesh.device_type),
        **more,
    }
    if isinstance(more.get("mp_policy"), Mapping):
        options["mp_policy"] = MixedPrecisionPolicy(**precision_policy(more["mp_policy"]))
    for mistake in call_mistakes(partial(fully_shard, None), options):
        if mistake.kind != "wrong type":
            raise TypeError(f"MMFullyShardedDataParallel: {mistake.message}")
    return options


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


def broadcast_module(module: nn.Module, mesh: DeviceMesh) -> None:
    """Copy the parameters and buffers of the first rank of a mesh to its other ranks."""
    for tensor in (*module.parameters(), *module.buffers()):
        # A meta tensor has no values to send. It is filled after the model is sharded.
        if not tensor.is_meta:
            # Detach: a collective writes in place, which autograd does not allow for a parameter.
            broadcast_over(mesh, tensor.detach())
