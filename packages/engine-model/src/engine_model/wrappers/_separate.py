"""Data parallelism for models whose children are optimized separately."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from engine_dist import guard_collective
from engine_model._model import OptimizerWrapper
from engine_model.wrappers._distributed import MMDistributedDataParallel
from engine_model.wrappers._steps import StepsOfModel
from engine_registry import MODEL_WRAPPERS

logger = logging.getLogger("engine.model")


@MODEL_WRAPPERS.register_module()
class MMSeparateDistributedDataParallel(DistributedDataParallel, StepsOfModel):
    """Wrap each child of a model in its own `MMDistributedDataParallel`.

    A GAN updates its generator and its discriminator separately. One wrapper around both does not
    allow that. Children without trainable parameters are not wrapped. Training calls the model's
    own `train_step`. The children are replaced in place. A process group must exist.

    Args:
        module: The model, on its device.
        broadcast_buffers: Whether each forward pass sends the buffers of rank 0 to all ranks.
        find_unused_parameters: Whether each forward pass looks for parameters without a gradient.
        **kwargs: Further arguments of `MMDistributedDataParallel`.

    Attributes:
        module: The model.

    Example:
        >>> from torch import distributed
        >>> group = {"store": distributed.HashStore(), "rank": 0, "world_size": 1}
        >>> distributed.init_process_group("gloo", **group)
        >>> model = nn.ModuleDict({"generator": nn.Linear(2, 2), "noise": nn.Identity()})
        >>> wrapper = MMSeparateDistributedDataParallel(model)
        >>> [type(child).__name__ for child in wrapper.module.values()]
        ['MMDistributedDataParallel', 'Identity']
        >>> distributed.destroy_process_group()
    """

    def __init__(
        self,
        module: nn.Module,
        broadcast_buffers: bool = False,
        find_unused_parameters: bool = False,
        **kwargs: Any,
    ) -> None:
        # The base class is needed for isinstance only. Skip its constructor, which would build
        # gradient buckets for the whole model.
        super(DistributedDataParallel, self).__init__()
        own = [
            name for name, tensor in module.named_parameters(recurse=False) if tensor.requires_grad
        ]
        if own:
            logger.warning(
                "parameters of %s itself are in no sub-module, so their gradients are not "
                "averaged across the ranks: %s",
                type(module).__name__,
                ", ".join(own),
            )
        wrapped: dict[nn.Module, nn.Module] = {}
        # `_modules` lists a shared child under each of its names, and `children` does not. The
        # child is wrapped once, and all its names get the same wrapper.
        for name, child in list(module._modules.items()):
            if child is None or not any(tensor.requires_grad for tensor in child.parameters()):
                continue
            if child not in wrapped:
                wrapped[child] = MMDistributedDataParallel(
                    child,
                    broadcast_buffers=broadcast_buffers,
                    find_unused_parameters=find_unused_parameters,
                    **kwargs,
                )
            setattr(module, name, wrapped[child])
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model."""
        return self.module(*args, **kwargs)

    def train_step(
        self, data: Any, optim_wrapper: OptimizerWrapper | Mapping[str, OptimizerWrapper]
    ) -> dict[str, Tensor]:
        """Call the `train_step` of the model.

        Args:
            data: The batch that the data loader of this rank yielded.
            optim_wrapper: The argument of the model's `train_step`, usually an
                `OptimWrapperDict`.

        Returns:
            The losses that the model's `train_step` returns.
        """
        # The children average gradients inside. If a rank is lost, the error occurs here.
        with guard_collective("train_step"):
            result: dict[str, Tensor] = self.module.train_step(data, optim_wrapper)
        return result

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Skip averaging the gradients of each child inside the context."""
        with ExitStack() as stack:
            for child in self.module.children():
                if isinstance(child, DistributedDataParallel):
                    stack.enter_context(child.no_sync())
            yield

    def train(self, mode: bool = True) -> Self:
        """Set the model to training or evaluation.

        Args:
            mode: Whether to train.
        """
        # The base class would read attributes that its skipped constructor sets.
        self.training = mode
        self.module.train(mode)
        return self
