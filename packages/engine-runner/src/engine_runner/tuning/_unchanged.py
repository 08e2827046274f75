"""Use the parts of a run for a trial, and leave them as they were."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from engine_runner._wrappers import wrappers_by_name
from engine_runner.environment import capture_random_states, restore_random_states
from engine_runner.runner import Runner

_PLAIN = (bool, int, float, str, type(None))


@contextmanager
def unchanged(runner: Runner) -> Iterator[None]:
    """Restore weights, buffers, gradients, optimizers, data and random numbers after a trial.

    Attributes of modules that are plain values, such as ``training`` or a counter of steps, are
    restored, too. The copies of the weights are on the CPU. All ranks must call this.

    Args:
        runner: The run; its optimizers and training data are built if they are not yet.
    """
    wrappers, loader = wrappers_by_name(runner.optim_wrapper).values(), runner.train_dataloader
    states = capture_random_states()
    with ExitStack() as stack:
        stack.callback(restore_random_states, states)
        stack.enter_context(_unchanged_attributes(runner.checkpointer))
        stack.enter_context(_unchanged_data(loader))
        for wrapper in wrappers:
            stack.enter_context(_unchanged_optimizer(wrapper))
        stack.enter_context(_unchanged_model(runner.model))
        yield


@contextmanager
def _unchanged_attributes(owner: object) -> Iterator[None]:
    saved = dict(vars(owner))
    try:
        yield
    finally:
        vars(owner).clear()
        vars(owner).update(saved)


@contextmanager
def _unchanged_optimizer(wrapper: Any) -> Iterator[None]:
    state = deepcopy(wrapper.state_dict())
    with _unchanged_attributes(wrapper):
        try:
            yield
        finally:
            wrapper.load_state_dict(state)


@contextmanager
def _unchanged_model(model: nn.Module) -> Iterator[None]:
    tensors = [(one, _local(one).to("cpu", copy=True)) for one in _tensors(model)]
    gradients = [(param, param.grad) for param in model.parameters()]
    values = [
        (module, {name: one for name, one in vars(module).items() if isinstance(one, _PLAIN)})
        for module in model.modules()
    ]
    # A forward may assign a new tensor to a buffer.
    names = [(module, dict(module._buffers)) for module in model.modules()]
    for param, _ in gradients:
        param.grad = None
    try:
        yield
    finally:
        for module, buffers in names:
            module._buffers.update(buffers)
        with torch.no_grad():
            for tensor, copy in tensors:
                _local(tensor).copy_(copy)
        for param, gradient in gradients:
            param.grad = gradient
        for module, plain in values:
            vars(module).update(plain)


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()  # those that checkpoints leave out, too


def _local(tensor: Tensor) -> Tensor:
    """Return the shard of this rank, without a graph."""
    shard: Any = tensor.detach()
    local: Tensor = shard.to_local() if hasattr(shard, "to_local") else shard
    return local


@contextmanager
def _unchanged_data(loader: Any) -> Iterator[None]:
    """Restore the position of a loader, and the generators that its order is drawn from."""
    if hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict"):
        state = deepcopy(loader.state_dict())
        try:
            yield
        finally:
            loader.load_state_dict(state)
        return
    generators = [(one, one.get_state()) for one in _generators(loader)]
    try:
        yield
    finally:
        for generator, state in generators:
            generator.set_state(state)


def _generators(loader: Any) -> Iterator[torch.Generator]:
    batches = getattr(loader, "batch_sampler", None)
    for part in (
        loader,
        getattr(loader, "sampler", None),
        batches,
        getattr(batches, "sampler", None),
    ):
        generator = getattr(part, "generator", None)
        if isinstance(generator, torch.Generator):
            yield generator
