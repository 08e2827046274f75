"""Names in the registries of a library, which is the default scope of its runs."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from engine_model import BaseAveragedModel
from engine_optim import OptimWrapper, ReduceOnPlateauLR, build_optim_wrapper
from engine_registry import (
    DATASETS,
    MODEL_WRAPPERS,
    MODELS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    DefaultScope,
    Registry,
)
from engine_runner import Runner
from engine_runner.hooks import EMAHook

MakeRunner = Callable[..., Runner]


class LibraryAverage(BaseAveragedModel):
    """The last value of each parameter."""

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: int) -> None:
        averaged_param.copy_(source_param)


class LibraryStream(IterableDataset[dict[str, Tensor]]):
    """Four samples, in an order that no sampler decides."""

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return iter([{"x": torch.ones(1), "y": torch.ones(1)}] * 4)


class LibraryPlateau(ReduceOnPlateauLR):
    """A schedule of metrics, under another name."""


class LibrarySGD(torch.optim.SGD):
    """An optimizer that calls its parameters by another name."""

    def __init__(self, weights: Any, lr: float) -> None:
        super().__init__(weights, lr=lr)


class LibraryWrapper(nn.Module):
    """A wrapper that is registered for the library alone."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


@pytest.fixture
def library() -> Iterator[str]:
    parts = {
        MODELS: LibraryAverage,
        DATASETS: LibraryStream,
        PARAM_SCHEDULERS: LibraryPlateau,
        OPTIMIZERS: LibrarySGD,
        MODEL_WRAPPERS: LibraryWrapper,
    }
    for root, part in parts.items():
        Registry(root.name, parent=root, scope="somelib").register_module(module=part)
    yield "somelib"
    for root in parts:
        root.children.pop("somelib")


def test_average_of_the_library_is_found(library: str, make_runner: MakeRunner) -> None:
    hook = {"type": "EMAHook", "ema_type": "LibraryAverage"}
    runner = make_runner(default_scope=library, custom_hooks=[hook])
    runner.train()
    (ema,) = (hook for hook in runner.hooks if isinstance(hook, EMAHook))
    assert isinstance(ema.ema_model, LibraryAverage)


def test_stream_of_the_library_needs_no_sampler(library: str, make_runner: MakeRunner) -> None:
    loader = {"batch_size": 2, "num_workers": 0, "dataset": {"type": "LibraryStream"}}
    runner = make_runner(
        default_scope=library,
        train_dataloader=loader,
        train_cfg={"by_epoch": False, "max_iters": 2},
    )
    assert isinstance(runner.train_dataloader.dataset, LibraryStream)


def test_metric_schedule_of_the_library_reads_the_last_validation(
    library: str, make_runner: MakeRunner
) -> None:
    schedule = {"type": "LibraryPlateau", "monitor": "error", "rule": "less"}
    runner = make_runner(default_scope=library, param_scheduler=[schedule])
    runner.train()
    assert runner.param_schedulers[0].end > runner.max_epochs


def test_optimizer_of_the_library_may_name_its_first_argument(library: str) -> None:
    model, config = nn.Linear(1, 1), {"optimizer": {"type": "LibrarySGD", "lr": 0.5}}
    with DefaultScope.overwrite_default_scope(library):
        built: OptimWrapper = build_optim_wrapper(model, config)
    assert isinstance(built.optimizer, LibrarySGD)


def test_wrapper_of_the_library_is_unwrapped_for_names(library: str) -> None:
    options = {"custom_keys": {"module": {"lr_mult": 0.5}, "weight": {"lr_mult": 0.1}}}
    built: OptimWrapper = build_optim_wrapper(
        LibraryWrapper(nn.Linear(1, 1)),
        {"optimizer": {"type": "SGD", "lr": 1.0}, "paramwise_cfg": options},
    )
    assert sorted(group["lr"] for group in built.optimizer.param_groups) == [0.1, 1.0]
