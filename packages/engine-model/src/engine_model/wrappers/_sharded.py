"""Shard the parameters of a model across the ranks."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from engine_dist import guard_collective
from engine_model._forward import run_forward_of
from engine_model._model import OptimizerWrapper
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
    from torch.distributed.fsdp import BackwardPrefetch, CPUOffload


@MODEL_WRAPPERS.register_module()
class MMFullyShardedDataParallel(nn.Module, StepsOfModel):
    """Shard the parameters of a model across the ranks, with the steps of a `BaseModel`.

    It calls `torch.distributed.fsdp.fully_shard`, which replaces the parameters by sharded tensors.
    Therefore build the optimizer afterwards. A process group must exist.

    Args:
        module: The model.
        process_group: The ranks to shard across; by default all.
        cpu_offload: Whether to store and update parameters and gradients in CPU memory.
        fsdp_auto_wrap_policy: The policy that chooses the sub-modules to shard as separate units: a
            callable, a name in `FSDP_WRAP_POLICIES`, or a dict of ``type`` and arguments. The rest
            of the model is one unit.
        backward_prefetch: ``"BACKWARD_PRE"``, ``"BACKWARD_POST"`` or the enum of torch. It is
            checked and otherwise unused. `fully_shard` always gathers the next unit before it
            computes the gradients of the current one.
        sync_module_states: Whether rank 0 first sends its parameters and buffers to all ranks.
        **kwargs: Arguments of `torch.distributed.fsdp.fully_shard`. ``mp_policy`` may be a dict,
            with data types by name.

    Attributes:
        module: The sharded model.

    Raises:
        RuntimeError: There is no process group.
        TypeError: ``cpu_offload`` or ``fsdp_auto_wrap_policy`` has another type.
        ValueError: The name of a policy is not registered, or ``backward_prefetch`` is unknown.

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
        cpu_offload: "bool | CPUOffload | None" = None,
        fsdp_auto_wrap_policy: str | WrapPolicy | Mapping[str, Any] | None = None,
        backward_prefetch: "str | BackwardPrefetch | None" = None,
        *,
        sync_module_states: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        require_process_group("sharding")
        check_prefetch(backward_prefetch)
        mesh = kwargs.pop("mesh", None) or device_mesh(process_group)
        # Broadcast before sharding: afterwards each rank has different elements of a parameter.
        if sync_module_states:
            broadcast_module(module, process_group)
        shard(module, fsdp_auto_wrap_policy, shard_options(mesh, cpu_offload, kwargs))
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
            data = self.module.data_preprocessor(data, True)
            losses = run_forward_of(self.module, data, "loss")
            accumulates = self._keeps_gradients
        loss, log_vars = self.module.parse_losses(losses)
        # The optimizer wrapper enters `no_sync` only around the forward pass. For
        # DistributedDataParallel that is enough. fully_shard decides in the backward pass, so enter
        # `no_sync` again.
        with guard_collective("backward"), self.no_sync() if accumulates else nullcontext():
            optim_wrapper.update_params(loss)
        result: dict[str, Tensor] = log_vars
        return result

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
