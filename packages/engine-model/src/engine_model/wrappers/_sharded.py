"""Shard the parameters of a model across the ranks."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh

from engine_dist import guard_collective
from engine_model._forward import called_through, run_forward_of
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
from engine_model.wrappers._mesh import Shape
from engine_model.wrappers._own_step import has_own_step
from engine_model.wrappers._policies import Policy
from engine_model.wrappers._sharding import (
    broadcast_module,
    check_prefetch,
    current_device,
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


@MODEL_WRAPPERS.register_module()
class MMFullyShardedDataParallel(nn.Module, StepsOfModel):
    """Shard the parameters of a model across the ranks, with the steps of a `BaseModel`.

    It calls `torch.distributed.fsdp.fully_shard`, which replaces the parameters by sharded tensors.
    Therefore build the optimizer afterwards. A process group must exist. A model's own `train_step`
    is run if it has one; its calls of ``self(...)`` gather and exchange as in the step of the
    wrapper.

    Args:
        module: The model.
        process_group: The ranks to shard across; by default all.
        sharding_strategy: ``"FULL_SHARD"`` frees whole parameters after the forward pass,
            ``"SHARD_GRAD_OP"`` keeps them until the backward pass, ``"NO_SHARD"`` copies them to
            all ranks, ``"HYBRID_SHARD"`` shards inside a machine and copies across machines. By
            default all units but the root free them.
        mesh: The ranks, instead of a group: a `DeviceMesh`, or its shape. ``(2, 4)`` shards across
            4 ranks each, and holds 2 copies (HSDP); ``(-1, 8)`` holds as many copies as fit.
        reshard_after_forward: Whether units free whole parameters after the forward pass, or the
            number of ranks across which they shard them then; an argument of `fully_shard`.
        cpu_offload: Whether to store and update parameters and gradients in CPU memory.
        auto_wrap_policy: Which sub-modules are sharded as separate units: names of classes such as
            ``"Block"``, classes, or names of modules, one or a list; an integer, the least number
            of elements in a unit; a callable ``policy(module, recurse, nonwrapped_numel)``, its
            name in `FSDP_WRAP_POLICIES` or ``FUNCTIONS``, or a dict of this ``type`` and
            arguments. The rest of the model is one unit.
        fsdp_auto_wrap_policy: Another name of ``auto_wrap_policy``.
        backward_prefetch: ``"BACKWARD_PRE"``, ``"BACKWARD_POST"`` or the enum of torch. It is
            checked and otherwise unused. `fully_shard` always gathers the next unit before it
            computes the gradients of the current one.
        mixed_precision: The data types: a dict of ``param_dtype``, ``reduce_dtype``,
            ``output_dtype`` (of the whole model), ``buffer_dtype``, each such as ``"bfloat16"``,
            and ``cast_forward_inputs``; or an object of torch that has them.
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
        mesh: DeviceMesh | Shape | None = None,
        reshard_after_forward: bool | int | None = None,
        cpu_offload: "bool | CPUOffload | None" = None,
        auto_wrap_policy: Policy | None = None,
        fsdp_auto_wrap_policy: Policy | None = None,
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
        kwargs |= strategy_options(sharding_strategy, process_group, mesh, reshard_after_forward)
        ranks: DeviceMesh = kwargs.pop("mesh")
        initialize_meta_modules(module, param_init_fn)
        # Broadcast before sharding: afterwards each rank has different elements of a parameter.
        if sync_module_states:
            broadcast_module(module, ranks)
        if buffer_dtype is not None:
            cast_buffers(module, buffer_dtype)
        shard(module, policy, shard_options(ranks, cpu_offload, kwargs))
        # fully_shard moves the parameters without calling `to`, so the preprocessor does not notice
        # the new device.
        preprocessor = getattr(module, "data_preprocessor", None)
        if isinstance(preprocessor, nn.Module):
            preprocessor.to(current_device(ranks.device_type))
        self.module: Any = module
        self._keeps_gradients = False
        self._exchanges = True
        self._in_own_step = False

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model."""
        # In a step of the model's own, the backward pass follows after `no_sync`.
        self._exchange(not self._keeps_gradients)
        return self.module(*args, **kwargs)

    def _exchange(self, exchanges: bool) -> None:
        """Set whether backward passes exchange gradients."""
        if exchanges is not self._exchanges:
            self.module.set_requires_gradient_sync(exchanges)
            self._exchanges = exchanges

    def train_step(self, data: Any, optim_wrapper: OptimizerWrapper) -> dict[str, Tensor]:
        """Train on one batch: preprocess, forward, backward, update of this rank's shards.

        A model's own step does this itself.

        Args:
            data: The batch that the data loader of this rank yielded.
            optim_wrapper: The wrapper that updates the parameters.

        Returns:
            The losses of this rank by name, and their sum as ``loss``; or what the model's own
            step returns.
        """
        if has_own_step(self.module):
            return self._own_train_step(data, optim_wrapper)
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

    def _own_train_step(self, data: Any, optim_wrapper: OptimizerWrapper) -> dict[str, Tensor]:
        """Run the `train_step` of the model, whose calls of itself run this wrapper."""
        self._in_own_step = True
        try:
            with guard_collective("train_step"):
                result: dict[str, Tensor] = called_through(self.module, self).train_step(
                    data, optim_wrapper
                )
        finally:
            self._in_own_step = False
            self._exchange(True)
        return result

    def _run_forward(self, data: Any, mode: str) -> Any:
        return run_forward_of(self.module, data, mode)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Skip the exchange of gradients inside the context.

        Gradients stay unsharded until the first backward pass outside the context.
        """
        self._exchange(False)
        self._keeps_gradients = True
        try:
            yield
        finally:
            self._keeps_gradients = False
            # The step of a model runs the backward pass later; its next call exchanges again.
            if not self._in_own_step:
                self._exchange(True)


def _one_of(name: str, value: Any, other: Any) -> Any:
    """Return the one of two arguments of the same meaning that is given."""
    if value is not None and other is not None:
        names = {"auto_wrap_policy": "fsdp_auto_wrap_policy", "mixed_precision": "mp_policy"}
        raise ValueError(f"either {name} or {names[name]} must be given, got both")
    return other if value is None else value
