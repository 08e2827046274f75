"""Measure an optimizer wrapper over the three calls that it replaces, on a 16-32-2 network.

python benchmarks/optim_update.py
"""

import time
from collections.abc import Callable

import torch
from torch import nn

from engine_optim import AmpOptimWrapper, OptimWrapper

ITERATIONS, ROUNDS = 400, 15


def network() -> nn.Sequential:
    """Return the network, the same each time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))


def by_hand(clip: bool = False) -> Callable[[], None]:
    """Return an iteration written by hand."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    inputs, targets = torch.randn(32, 16), torch.randint(2, (32,))
    parameters = list(model.parameters())

    def iterate() -> None:
        loss = nn.functional.cross_entropy(model(inputs), targets)
        torch.autograd.backward(loss)
        if clip:
            nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return iterate


def wrapped(clip: bool = False) -> Callable[[], None]:
    """Return the same iteration with a wrapper."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    wrapper = OptimWrapper(optimizer, clip_grad={"max_norm": 1.0} if clip else None)
    wrapper.initialize_count_status(model, 0, 10**6)
    inputs, targets = torch.randn(32, 16), torch.randint(2, (32,))

    def iterate() -> None:
        with wrapper.optim_context(model):
            loss = nn.functional.cross_entropy(model(inputs), targets)
        wrapper.update_params(loss)

    return iterate


def mixed_by_hand() -> Callable[[], None]:
    """Return an iteration in mixed precision written by hand."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    inputs, targets = torch.randn(32, 16), torch.randint(2, (32,))

    def iterate() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = nn.functional.cross_entropy(model(inputs), targets)
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad()

    return iterate


def mixed() -> Callable[[], None]:
    """Return the same iteration with a wrapper."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    wrapper = AmpOptimWrapper(optimizer=optimizer, dtype="bfloat16")
    inputs, targets = torch.randn(32, 16), torch.randint(2, (32,))

    def iterate() -> None:
        with wrapper.optim_context(model):
            loss = nn.functional.cross_entropy(model(inputs), targets)
        wrapper.update_params(loss)

    return iterate


def compare(name: str, baseline: Callable[[], None], ours: Callable[[], None]) -> None:
    """Print the least processor time of an iteration of each, and their ratio."""
    times: dict[int, list[float]] = {0: [], 1: []}
    for _ in range(ROUNDS):  # alternately, so that both see the same load
        for index, iterate in enumerate((baseline, ours)):
            start = time.thread_time()
            for _ in range(ITERATIONS):
                iterate()
            times[index].append((time.thread_time() - start) / ITERATIONS * 1e6)
    hand, wrap = min(times[0]), min(times[1])
    print(f"{name:24s} by hand {hand:7.1f} us  wrapper {wrap:7.1f} us  ratio {wrap / hand:.3f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    compare("plain", by_hand(), wrapped())
    compare("clipping by norm", by_hand(clip=True), wrapped(clip=True))
    compare("autocast to bfloat16", mixed_by_hand(), mixed())
