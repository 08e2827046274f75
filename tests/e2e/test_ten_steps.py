"""Ten steps of each feature, and of each pair, end with the weights of a loop by hand."""

import importlib.util
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from engine_logging import MessageHub, MMLogger
from engine_registry import HOOKS
from engine_runner import Hook
from engine_visualization import Visualizer


def _task() -> ModuleType:
    spec = importlib.util.spec_from_file_location("by_hand", Path(__file__).with_name("by_hand.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["by_hand"] = module
    spec.loader.exec_module(module)
    return module


TASK = _task()
CASES = [(), *((one,) for one in TASK.FEATURES), *combinations(TASK.FEATURES, 2)]


class StopAt(Hook):
    """End the training after an iteration, as an interruption does."""

    priority = "LOWEST"

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_train_iter(self, runner: Any, *arguments: Any, **keywords: Any) -> None:
        if runner.iter + 1 == self.iteration:
            raise InterruptedError


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    HOOKS.register_module(module=StopAt, force=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the tensors are too small to share
    yield
    torch.set_num_threads(threads)
    for logger in list(MMLogger._instance_dict.values()):
        logger.close()
    for kind in (MessageHub, Visualizer):
        for name in list(kind._instance_dict):
            kind.release_instance(name)


# The loop by hand steps its schedule inside of an accumulation window, too, as Runner does.
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
@pytest.mark.parametrize("features", CASES, ids=lambda features: "+".join(features) or "plain")
def test_ten_steps_equal_a_loop_by_hand(features: tuple[str, ...], tmp_path: Path) -> None:
    expected = TASK.by_hand(features)

    found = TASK.by_runner(features, tmp_path)

    assert found.keys() == expected.keys()
    wrong = [name for name in expected if not torch.equal(found[name], expected[name])]
    assert wrong == []


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_each_feature_changes_the_training() -> None:
    plain = TASK.by_hand(())
    observed = {"activation_checkpointing", "observers", "resumed", "validation"}
    for feature in set(TASK.FEATURES) - observed - {"averaging"}:
        changed = TASK.by_hand((feature,))
        assert any(not torch.equal(plain[name], changed[name]) for name in plain), feature
