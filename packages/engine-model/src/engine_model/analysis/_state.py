"""Run a model without a trace: weights, buffers, modes and random state are as before."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves


class SavedTensors:
    """The tensors and modes of a model, to be restored after a forward pass.

    Buffers are copied at once: the kernels of norm layers write them without a note in the schema.
    A parameter is copied when an operator is about to write it, so that no run needs the memory for
    all of them.

    Args:
        model: The model.
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules = [
            (module, module.training, dict(module._parameters), dict(module._buffers))
            for module in model.modules()
        ]
        self._buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
        # `data` shares the memory: it reveals a forward that assigns `param.data`.
        self._data = [(param, param.data) for param in model.parameters()]
        self._by_storage: dict[int, list[Tensor]] = {}
        for param, data in self._data:
            if type(data) is Tensor:
                self._by_storage.setdefault(_storage(data), []).append(param)
        self._written: list[tuple[Tensor, Tensor]] = []

    def before_write(self, value: object) -> None:
        """Copy the parameters whose memory an operator writes next.

        Args:
            value: The tensor that is written, or a list of them.
        """
        for tensor in tree_leaves(value):
            if isinstance(tensor, Tensor) and type(tensor.data) is Tensor:
                for param in self._by_storage.pop(_storage(tensor), []):
                    self._written.append((param, param.detach().clone()))

    @torch.no_grad()
    def restore(self) -> None:
        """Restore the model."""
        for module, training, parameters, buffers in self._modules:
            module.training = training
            module._parameters.update(parameters)
            module._buffers.update(buffers)
        for param, data in self._data:
            if type(data) is Tensor and param.data_ptr() != data.data_ptr():
                param.data = data
        for tensor, copy in [*self._buffers, *self._written]:
            # Write only what changed: a write would invalidate a graph that waits for its backward.
            # Sparse tensors cannot be compared.
            plain = tensor.layout is torch.strided and not tensor.is_meta
            if not plain or not torch.equal(tensor, copy):
                tensor.copy_(copy)


def _storage(tensor: Tensor) -> int:
    storage: int = tensor.untyped_storage()._cdata
    return storage


@contextmanager
def random_state_kept(*values: object) -> Iterator[None]:
    """Restore the random state of Python, numpy and torch after the context.

    Args:
        *values: Modules and inputs, on whose devices the context computes.
    """
    python, numpy = random.getstate(), np.random.get_state()
    devices = {tensor.device for value in values for tensor in _tensors(value)}
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        for device in devices:
            if device.type not in ("cpu", "meta"):
                stack.enter_context(
                    torch.random.fork_rng(devices=[device.index or 0], device_type=device.type)
                )
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def _tensors(value: object) -> list[Tensor]:
    if isinstance(value, nn.Module):
        return [*value.parameters(), *value.buffers()]
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


@contextmanager
def no_fast_path() -> Iterator[None]:
    """Disable the fused operator of transformer layers, which has no inner operators."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
