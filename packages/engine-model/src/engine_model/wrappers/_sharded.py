"""Shard the parameters of a model across the ranks."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from engine_dist import guard_collective
from engine_model._forward import run_forward_of
from engine_model._model import OptimizerWrapper
from engine_model._step import forward_step
from engine_model._uninitialized import require_shapes
from engine_model.wrappers._earlier_options import (
    cast_buffers,
    initialize_meta_modules,
    precision_options,
    strategy_options,
)
from engine_model.wrappers._group import require_process_group
from engine_model.wrappers._policies import WrapPolicy
from engine_model.wrappers._sharding import (
    broadcast_module,
    check_prefetch,
    current_device,
    device_mesh,
    shard,
    shard_options,
)
from engine_model.wrappers._steps import StepsOfModel
from engine_registry import MODEL_WRAPPERS

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup
    from torch.distributed.fsdp import (
        BackwardPrefetch,
        CPUOffload,
        MixedPrecision,
        ShardingStrategy,
    )

Policy = str | WrapPolicy | Mapping[str, Any] | None


@MODEL_WRAPPERS.register_module()
class MMFullyShardedDataParallel(nn.Module, StepsOfModel):
    """Shard the parameters of a model across the ranks, with the steps of a `BaseModel`.

    It calls `torch.distributed.fsdp.fully_shard`, which replaces the parameters by sharded tensors.
    Therefore build the optimizer afterwards. A process group must exist.

    Args:
        module: The model.
        process_group: The ranks to shard across; by default all.
        sharding_strategy: ``"FULL_SHARD"`` frees whole parameters after the forward pass,
            ``"SHARD_GRAD_OP"`` keeps them until the backward pass, ``"NO_SHARD"`` copies them to
            all ranks, ``"HYBRID_SHARD"`` shards inside a machine and copies across machines. By
            default all units but the root free them.
        cpu_offload: Whether to store and update parameters and gradients in CPU memory.
        auto_wrap_policy: The policy that chooses the sub-modules to shard as separate units: a
            callable, a name in `FSDP_WRAP_POLICIES`, or a dict of ``type`` and arguments. The rest
            of the model is one unit.
        fsdp_auto_wrap_policy: Another name of ``auto_wrap_policy``.
        backward_prefetch: ``"BACKWARD_PRE"``, ``"BACKWARD_POST"`` or the enum of torch. It is
            checked and otherwise unused. `fully_shard` always gathers the next unit before it
            computes the gradients of the current one.
        mixed_precision: A `torch.distributed.fsdp.MixedPrecision` or a dict of its arguments, with
            data types by name.
        param_init_fn: Called on each module with tensors on the meta device, before it is sharded:
            a function, or its name in ``FUNCTIONS``.
        use_orig_params: Must be true: `fully_shard` keeps the parameters of the model.
        sync_module_states: Whether rank 0 first sends its parameters and buffers to all ranks.
        **kwargs: Arguments of `torch.distributed.fsdp.fully_shard`. ``mp_policy`` may be a dict,
            with data types by name.

    Attributes:
        module: The sharded model.

    Raises:
        RuntimeError: There is no process group.
        TypeError: An argument has another type.
        ValueError: An argument has an unknown value, or two have the same meaning. A parameter
            has no shape yet.

    Example:
        >>> import torch
        >>> from torch import distributed
        >>> group = {"store": distributed.HashStore(), "rank": 0, "world_size": 1}
        >>> distributed.init_process_group("gloo", **group)
        >>> wrapper = MMFullyShardedDataParallel(nn.Linear(2, 1))
        >>> wrapper(torch.zeros(4, 2)).shape
        torch.Size([4, 1])
        >>> distributed.destroy_process_group()
    """

    def __init__(
        self,
        module: nn.Module,
        process_group: "ProcessGroup | None" = None,
        # By name only: the releases of the documented wrapper have two orders.
        *,
        sharding_strategy: "str | ShardingStrategy | None" = None,
        cpu_offload: "bool | CPUOffload | None" = None,
        auto_wrap_policy: Policy = None,
        fsdp_auto_wrap_policy: Policy = None,
        backward_prefetch: "str | BackwardPrefetch | None" = None,
        mixed_precision: "Mapping[str, Any] | MixedPrecision | None" = None,
        param_init_fn: str | Callable[[nn.Module], Any] | None = None,
        use_orig_params: bool = True,
        sync_module_states: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        require_process_group("sharding")
        require_shapes(module)
        check_prefetch(backward_prefetch)
        if not use_orig_params:
            raise ValueError(
                "use_orig_params must be True, as fully_shard keeps the parameters of the model, "
                f"got {use_orig_params!r}; remove it"
            )
        policy = _one_of("auto_wrap_policy", auto_wrap_policy, fsdp_auto_wrap_policy)
        precision, buffer_dtype = precision_options(mixed_precision)
        if precision:
            kwargs["mp_policy"] = _one_of("mixed_precision", precision, kwargs.get("mp_policy"))
        mesh = kwargs.pop("mesh", None)
        if mesh is not None and sharding_strategy is not None:
            raise ValueError(
                f"sharding_strategy must be None with mesh, got {sharding_strategy!r}; pass "
                "reshard_after_forward"
            )
        kwargs = {**strategy_options(sharding_strategy, process_group), **kwargs}
        mesh = mesh or kwargs.pop("mesh", None) or device_mesh(process_group)
        initialize_meta_modules(module, param_init_fn)
        # Broadcast before sharding: afterwards each rank has different elements of a parameter.
        if sync_module_states:
            broadcast_module(module, process_group)
        if buffer_dtype is not None:
            cast_buffers(module, buffer_dtype)
        shard(module, policy, shard_options(mesh, cpu_offload, kwargs))
        # fully_shard moves the parameters without calling `to`, so the preprocessor does not notice
        # the new device.
        preprocessor = getattr(module, "data_preprocessor", None)
        if isinstance(preprocessor, nn.Module):
            preprocessor.to(current_device(mesh.device_type))
        self.module: Any = module
        self._keeps_gradients = False

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model."""
        return self.module(*args, **kwargs)

    def train_step(self, data: Any, optim_wrapper: OptimizerWrapper) -> dict[str, Tensor]:
        """Train on one batch: preprocess, forward, backward, update of this rank's shards.

        Args:
            data: The batch that the data loader of this rank yielded.
            optim_wrapper: The wrapper that updates the parameters.

        Returns:
            The losses of this rank by name, and their sum as ``loss``.
        """
        with optim_wrapper.optim_context(self):
            losses = forward_step(self, data, "loss")
            accumulates = self._keeps_gradients
        loss, log_vars = self.module.parse_losses(losses)
        # The optimizer wrapper enters `no_sync` only around the forward pass. For
        # DistributedDataParallel that is enough. fully_shard decides in the backward pass, so enter
        # `no_sync` again.
        with guard_collective("backward"), self.no_sync() if accumulates else nullcontext():
            optim_wrapper.update_params(loss)
        result: dict[str, Tensor] = log_vars
        return result

    def _run_forward(self, data: Any, mode: str) -> Any:
        return run_forward_of(self.module, data, mode)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Skip the exchange of gradients inside the context.

        Gradients stay unsharded until the first backward pass outside the context.
        """
        self.module.set_requires_gradient_sync(False)
        self._keeps_gradients = True
        try:
            yield
        finally:
            self._keeps_gradients = False
            self.module.set_requires_gradient_sync(True)


def _one_of(name: str, value: Any, other: Any) -> Any:
    """Return the one of two arguments of the same meaning that is given."""
    if value is not None and other is not None:
        names = {"auto_wrap_policy": "fsdp_auto_wrap_policy", "mixed_precision": "mp_policy"}
        raise ValueError(f"either {name} or {names[name]} must be given, got both")
    return other if value is None else value
