"""Data parallelism for models whose parts are optimised separately."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from engine_dist import guard_collective
from engine_model.wrappers._distributed import MMDistributedDataParallel
from engine_model.wrappers._steps import StepsOfModel
from engine_registry import MODEL_WRAPPERS

logger = logging.getLogger("engine.model")


@MODEL_WRAPPERS.register_module()
class MMSeparateDistributedDataParallel(DistributedDataParallel, StepsOfModel):
    """Wraps each child of a model in an `MMDistributedDataParallel` of its own.

    A GAN updates its generator without its discriminator and the other way round, which one
    wrapper around both does not allow. Children without trainable parameters stay bare. The
    model's own steps drive the training; its children are replaced in place. A process group must
    exist.

    Args:
        module: The model, on its device.
        broadcast_buffers: Whether each forward pass sends the buffers of rank 0 to all.
        find_unused_parameters: Whether each forward pass looks for parameters without a gradient.
        **kwargs: Further arguments of `MMDistributedDataParallel`.

    Attributes:
        module: The model.

    Example:
        >>> issubclass(MMSeparateDistributedDataParallel, DistributedDataParallel)
        True
    """

    def __init__(
        self,
        module: nn.Module,
        broadcast_buffers: bool = False,
        find_unused_parameters: bool = False,
        **kwargs: Any,
    ) -> None:
        # This is a DistributedDataParallel for those who ask for one; the children do its work.
        super(DistributedDataParallel, self).__init__()
        own = [
            name for name, tensor in module.named_parameters(recurse=False) if tensor.requires_grad
        ]
        if own:
            logger.warning(
                "parameters of %s itself are in no sub-module, so their gradients are not "
                "averaged over the ranks: %s",
                type(module).__name__,
                ", ".join(own),
            )
        wrapped: dict[nn.Module, nn.Module] = {}
        # A child that has two names is wrapped once, and stays one child.
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

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        """Train on one batch as the model does.

        Args:
            data: What the data loader yielded on this rank.
            optim_wrapper: What updates the parameters, usually an ``OptimWrapperDict``.

        Returns:
            What the model's step returns.
        """
        with guard_collective("train_step"):  # a lost rank is named
            result: dict[str, Tensor] = self.module.train_step(data, optim_wrapper)
        return result

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Keep the gradients of this rank to itself inside the context, in every child."""
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
        self.training = mode
        self.module.train(mode)
        return self
