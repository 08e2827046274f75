"""The check that a run of a config resumes exactly, on right configs and on wrong ones."""

import multiprocessing
import os
import re
import signal
import sys
import tempfile
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from engine_runner.resume_check import TrialError, resume_check

PARTS = """
import random
import time
import numpy as np
import torch
from engine_registry import DATASETS, HOOKS, MODELS
from engine_runner import Hook
from task import Line, Points


@DATASETS.register_module()
class Noisy(Points):
    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return x + 0.1 * random.random() + 0.1 * np.random.rand() + 0.1 * torch.rand(1), y


@DATASETS.register_module()
class OwnNoise(Points):
    def __init__(self, seed=None, **arguments):
        super().__init__(**arguments)
        self.noise = np.random.default_rng(seed)

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return x + float(self.noise.random()), y


@HOOKS.register_module()
class Halve(Hook):
    def __init__(self, at):
        self.at, self.count = at, 0
        self.values, self.noise = [np.ones(2), {"a": torch.ones(2)}], random.Random(0)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.count += 1
        if self.count == self.at:
            for group in runner.optim_wrapper.param_groups:
                group["lr"] *= 0.5


@HOOKS.register_module()
class HalveWithState(Halve):
    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state_dict):
        self.count = state_dict["count"]


@HOOKS.register_module()
class Leave(Hook):
    def before_train(self, runner):
        raise SystemExit(7)


@HOOKS.register_module()
class Wait(Hook):
    def before_train(self, runner):
        time.sleep(60)


@MODELS.register_module()
class Fading(Line):
    calls = 0

    def forward(self, x, y, mode="tensor"):
        self.calls += 1
        outputs = super().forward(x, y, mode)
        return {"loss": outputs["loss"] / self.calls} if mode == "loss" else outputs
"""

CASES = """
_base_ = "cfg.py"
custom_imports = dict(imports=["task", "parts"], allow_failed_imports=False)
default_hooks = dict(checkpoint=dict(type="CheckpointHook", interval=1))
train_dataloader = dict(num_workers={workers}, dataset=dict({dataset}))
optim_wrapper = dict(accumulative_counts=3, clip_grad=dict(max_norm=1.0))
{more}
"""


@pytest.fixture
def config(project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that writes a config of the parts above, and returns its path."""
    import_module("torch._dynamo")  # an optimizer does; the forks would each take seconds for it
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    for name in ("task", "parts"):  # each project has its own, whose parts are registered anew
        monkeypatch.delitem(sys.modules, name, raising=False)
    (project / "parts.py").write_text(PARTS)

    def write(dataset: str = 'type="Noisy"', *, workers: int = 0, more: str = "") -> Path:
        path = project / "case.py"
        path.write_text(CASES.format(dataset=dataset, workers=workers, more=more))
        return path

    return write


@pytest.mark.parametrize("workers", [0, 2])
def test_exact_config_passes(config: Any, workers: int) -> None:
    more = 'custom_hooks = [dict(type="HalveWithState", at=2), dict(type="EMAHook")]'
    lines: list[str] = []

    result = resume_check(
        config(workers=workers, more=more),
        iters=7,
        at=[2, 5],  # in the middle of a window, and of the second epoch
        start_method="fork",
        report=lines.append,
    )

    assert (result.exact, result.found, result.notes, result.at) == (True, (), (), (2, 5))
    assert len(lines) == 2 + 2 * 2


@pytest.mark.parametrize(
    ("case", "found", "cause"),
    [
        pytest.param(
            {"more": 'custom_hooks = [dict(type="Halve", at=2)]'},
            r"interrupted after iteration 3.*before iteration 5: optimizer .*lr",
            r"Halve has no state, and its `count` differs \(6 without.*, 3 with",
            id="hook",
        ),
        pytest.param(
            {"dataset": 'type="OwnNoise", seed=0'},
            "interrupted after iteration 3.*before iteration 4: batch",
            r"dataset of OwnNoise\.noise.*numpy.*generator of its own",
            id="dataset",
        ),
        pytest.param(
            {"dataset": 'type="OwnNoise"'},
            "two runs without an interruption differ before iteration 1: batch",
            r"random without a seed.*OwnNoise\.noise",
            id="unseeded",
        ),
        pytest.param(
            {"more": 'model = dict(type="Fading")'},
            r"after iteration 4: loss loss \(0\.\d+ and \d\.\d+\)",
            "model or a hook keeps values that are not in the checkpoint",
            id="model",
        ),
    ],
)
def test_first_difference_and_its_cause_are_named(
    config: Any, case: dict[str, Any], found: str, cause: str
) -> None:
    result = resume_check(config(**case), iters=6, at=[3], start_method="fork")

    assert not result.exact
    assert len(result.found) == 1
    assert re.search(found, result.found[0]), result.found
    assert re.search(cause, result.causes[0]), result.causes


def test_value_of_a_hook_that_had_no_effect_is_noted(config: Any) -> None:
    case = config(more='custom_hooks = [dict(type="Halve", at=100)]')

    result = resume_check(case, iters=4, start_method="fork")

    assert (result.exact, result.at) == (True, (2,))
    assert re.search("Halve has no state, and its `count` differs", result.notes[0])


def test_run_that_fails_is_reported(config: Any) -> None:
    case = config('type="Noisy", size=0')

    with pytest.raises(TrialError, match=r"without an interruption: .*Error"):
        resume_check(case, iters=4, start_method="fork")


def test_run_that_leaves_its_process_is_reported(config: Any) -> None:
    case = config(more='custom_hooks = [dict(type="Leave")]')

    with pytest.raises(TrialError, match="its process ended with exit code 7"):
        resume_check(case, iters=4, start_method="fork")


def test_place_after_the_last_iteration_of_the_config_is_an_error(config: Any) -> None:
    case = config(
        more="train_cfg = dict(by_epoch=False, max_iters=3, val_interval=3, _delete_=True)"
    )

    with pytest.raises(TrialError, match="trains 3 iterations, so at=4 interrupts nothing"):
        resume_check(case, iters=8, start_method="fork")


def test_interrupted_check_leaves_no_process_and_no_folder(
    config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    case = config(more='custom_hooks = [dict(type="Wait")]')

    def stop_soon(line: str) -> None:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()

    with pytest.raises(SystemExit) as stopped:
        resume_check(case, iters=4, start_method="fork", report=stop_soon)

    assert stopped.value.code == 128 + signal.SIGTERM
    assert multiprocessing.active_children() == []
    assert list(temporary.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(("iters", "at"), [(1, []), (4, [4]), (4, [0])])
def test_place_outside_of_the_run_raises(config: Any, iters: int, at: list[int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        resume_check(config(), iters=iters, at=at)
