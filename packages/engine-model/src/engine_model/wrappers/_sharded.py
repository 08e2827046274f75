"""Sharding: every rank holds a part of each parameter."""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
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

from engine_dist import broadcast, get_comm_device, get_world_size, is_distributed
from engine_model._forward import run_forward
from engine_model._model import OptimizerWrapper
from engine_registry import MODEL_WRAPPERS, Registry

WrapPolicy = Callable[[nn.Module, bool, int], bool]
"""Called with a module, whether the question is about its children, and the number of elements of
its parameters that no child has taken; returns whether to go on, or to shard the module itself."""

FSDP_WRAP_POLICIES = Registry("fsdp_wrap_policy", scope="engine", locations=["engine_model"])
"""Policies that configs name as ``fsdp_auto_wrap_policy``."""

FSDP_WRAP_POLICIES.register_module(module=always_wrap_policy)
FSDP_WRAP_POLICIES.register_module(
    name=["default_auto_wrap_policy", "size_based_auto_wrap_policy"],
    module=size_based_auto_wrap_policy,
)


@MODEL_WRAPPERS.register_module()
class MMFullyShardedDataParallel(nn.Module):
    """Shards the parameters of a model over the ranks, and has the steps of a `BaseModel`.

    Sharding is that of `torch.distributed.fsdp.fully_shard`: parameters become sharded tensors in
    place, so build the optimizer afterwards. A process group must exist.

    Args:
        module: The model.
        process_group: The ranks to shard over; by default all.
        cpu_offload: Whether parameters, gradients and the update live in CPU memory.
        fsdp_auto_wrap_policy: Which sub-modules are gathered and freed on their own: a policy, the
            name of one in ``FSDP_WRAP_POLICIES``, or a dict of ``type`` and further arguments.
            The rest is one unit.
        backward_prefetch: ``"BACKWARD_PRE"``, ``"BACKWARD_POST"`` or the enum of torch. It is a
            hint from former days: `fully_shard` always gathers the next unit before it computes
            the gradients of the present one.
        sync_module_states: Whether rank 0 first sends its parameters and buffers to all.
        **kwargs: Arguments of `torch.distributed.fsdp.fully_shard`. ``mp_policy`` may be a dict,
            with data types by name.

    Attributes:
        module: The sharded model.

    Raises:
        RuntimeError: If there is no process group.
        TypeError: If ``cpu_offload`` or the policy is of another type.
        ValueError: If a name is not known.

    Example:
        >>> MMFullyShardedDataParallel(nn.Linear(1, 1))
        Traceback (most recent call last):
            ...
        RuntimeError: sharding needs a process group; start the program with a launcher...
    """

    def __init__(
        self,
        module: nn.Module,
        process_group: ProcessGroup | None = None,
        cpu_offload: bool | CPUOffload | None = None,
        fsdp_auto_wrap_policy: str | WrapPolicy | Mapping[str, Any] | None = None,
        backward_prefetch: str | BackwardPrefetch | None = None,
        *,
        sync_module_states: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        if not is_distributed():
            raise RuntimeError(
                "sharding needs a process group; start the program with a launcher such as "
                "torchrun, and call engine_dist.init_dist first"
            )
        _check_prefetch(backward_prefetch)
        mesh = kwargs.pop("mesh", None) or _mesh(process_group)
        options = {
            "mesh": mesh,
            "offload_policy": _offload_policy(cpu_offload, mesh.device_type),
            **kwargs,
        }
        if isinstance(kwargs.get("mp_policy"), Mapping):
            options["mp_policy"] = _precision_policy(kwargs["mp_policy"])
        if sync_module_states:
            _send_from_first_rank(module, process_group)
        if fsdp_auto_wrap_policy is not None:
            _shard_children(module, _wrap_policy(fsdp_auto_wrap_policy), options)
        fully_shard(module, **options)
        preprocessor = getattr(module, "data_preprocessor", None)
        if isinstance(preprocessor, nn.Module):  # the data goes where the computing is
            preprocessor.to(_present_device(mesh.device_type))
        self.module: Any = module

    @property
    def data_preprocessor(self) -> Any:
        """The data preprocessor of the model."""
        return self.module.data_preprocessor

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model."""
        return self.module(*args, **kwargs)

    def train_step(self, data: Any, optim_wrapper: OptimizerWrapper) -> dict[str, Tensor]:
        """Train on one batch: preprocess, forward, backward, update of this rank's shards.

        Args:
            data: What the data loader yielded on this rank.
            optim_wrapper: What updates the parameters.

        Returns:
            The losses of this rank by name, and their sum as ``loss``.
        """
        with optim_wrapper.optim_context(self):
            data = self.module.data_preprocessor(data, True)
            losses = run_forward(self.module, data, "loss")
        loss, log_vars = self.module.parse_losses(losses)
        optim_wrapper.update_params(loss)
        result: dict[str, Tensor] = log_vars
        return result

    def val_step(self, data: Any) -> Any:
        """Return the predictions for one batch of this rank; all ranks must call it.

        Args:
            data: What the data loader yielded on this rank.
        """
        data = self.module.data_preprocessor(data, False)
        return run_forward(self.module, data, "predict")

    def test_step(self, data: Any) -> Any:
        """Return the predictions for one batch of this rank; all ranks must call it.

        Args:
            data: What the data loader yielded on this rank.
        """
        return self.val_step(data)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Keep the gradients of this rank to itself inside the context.

        They are kept unsharded until the first backward pass outside.
        """
        self.module.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            self.module.set_requires_gradient_sync(True)


def _mesh(group: ProcessGroup | None) -> DeviceMesh:
    kind = get_comm_device(group).type
    if group is not None:
        return DeviceMesh.from_group(group, kind)
    return init_device_mesh(kind, (get_world_size(),))


def _present_device(kind: str) -> torch.device:
    if kind == "cpu":
        return torch.device("cpu")
    return torch.device(kind, torch.accelerator.current_device_index())


def _check_prefetch(value: str | BackwardPrefetch | None) -> None:
    names = [item.name for item in BackwardPrefetch]
    name = value.name if isinstance(value, BackwardPrefetch) else value
    if name is not None and name not in names:
        raise ValueError(f"backward_prefetch must be one of {', '.join(names)}, not {value!r}")


def _offload_policy(value: bool | CPUOffload | None, kind: str) -> OffloadPolicy:
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


def _wrap_policy(value: str | WrapPolicy | Mapping[str, Any]) -> WrapPolicy:
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


def _send_from_first_rank(module: nn.Module, group: ProcessGroup | None) -> None:
    for tensor in (*module.parameters(), *module.buffers()):
        if not tensor.is_meta:
            broadcast(tensor.detach(), group=group, group_src=0)


def _shard_children(module: nn.Module, policy: WrapPolicy, options: dict[str, Any]) -> int:
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
