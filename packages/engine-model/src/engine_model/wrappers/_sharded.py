"""A model whose parameters are spread over the ranks."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from engine_dist import guard_collective
from engine_model._forward import run_forward
from engine_model._model import OptimizerWrapper
from engine_model.wrappers._group import require_process_group
from engine_model.wrappers._steps import StepsOfModel
from engine_registry import MODEL_WRAPPERS, Registry

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup
    from torch.distributed.fsdp import BackwardPrefetch, CPUOffload

WrapPolicy = Callable[[nn.Module, bool, int], bool]
"""Called with a module, whether the question is about its children, and the number of elements of
its parameters that no child has taken; returns whether to go on, or to shard the module itself."""

FSDP_WRAP_POLICIES = Registry(
    "fsdp_wrap_policy", scope="engine", locations=["engine_model.wrappers._sharding"]
)
"""Policies that configs name as ``fsdp_auto_wrap_policy``."""


@MODEL_WRAPPERS.register_module()
class MMFullyShardedDataParallel(nn.Module, StepsOfModel):
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
        # Sharding takes most of a second to import, which only those who shard should wait for.
        from engine_model.wrappers import _sharding

        _sharding.check_prefetch(backward_prefetch)
        mesh = kwargs.pop("mesh", None) or _sharding.mesh_of(process_group)
        if sync_module_states:
            _sharding.send_from_first_rank(module, process_group)
        options = _sharding.options_of(mesh, cpu_offload, kwargs)
        _sharding.shard(module, fsdp_auto_wrap_policy, options)
        preprocessor = getattr(module, "data_preprocessor", None)
        if isinstance(preprocessor, nn.Module):  # the data goes where the computing is
            preprocessor.to(_sharding.present_device(mesh.device_type))
        self.module: Any = module
        self._keeps_gradients = False

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
            accumulates = self._keeps_gradients
        loss, log_vars = self.module.parse_losses(losses)
        # Sharded gradients are exchanged by the backward pass, which runs outside of the context
        # of the forward pass and its lower precision.
        with guard_collective("backward"), self.no_sync() if accumulates else nullcontext():
            optim_wrapper.update_params(loss)
        result: dict[str, Tensor] = log_vars
        return result

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Keep the gradients of this rank to itself inside the context.

        They are kept unsharded until the first backward pass outside.
        """
        self.module.set_requires_gradient_sync(False)
        self._keeps_gradients = True
        try:
            yield
        finally:
            self._keeps_gradients = False
            self.module.set_requires_gradient_sync(True)
