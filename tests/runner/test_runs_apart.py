"""Runs in one process do not share scope, message hub, logger and visualizer."""

import json
import logging
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine_evaluator import BaseMetric
from engine_logging import MessageHub, MMLogger, print_log
from engine_model import BaseModel
from engine_registry import METRICS, MODELS, DefaultScope, Registry
from engine_runner import Hook, Runner
from engine_visualization import Visualizer

NAMES = ("north", "south")
Settings = Callable[..., dict[str, Any]]


class Compass(BaseMetric):
    """Reports a number that says in which scope it was found."""

    value = 0

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        self.results.append(0)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"compass": self.value}


class Talker(BaseModel):
    """Logs to whatever is current, in the ways that code without a runner has."""

    value = 0

    def __init__(self, run: str) -> None:
        super().__init__()
        self.run = run
        self.linear = nn.Linear(1, 1)
        self.say("built")

    def say(self, what: str) -> None:
        text = f"{what} by {self.run}"
        MMLogger.get_current_instance().info("current: %s", text)
        print_log(f"printed: {text}", logger="current")
        logging.getLogger("engine.model").info("library: %s", text)
        logging.getLogger("engine.runner.deep").warning("deep: %s", text)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        self.say(mode)
        MessageHub.get_current_instance().update_scalar(f"train/{self.run}", 1.0)
        visualizer: Any = Visualizer.get_current_instance()
        visualizer.add_scalar(f"seen/{self.run}", 1.0)
        predicted = self.linear(x)
        return {"loss": (predicted - y).square().mean()} if mode == "loss" else (predicted, y)


class Meet(Hook):
    """Lets the iterations of two threads alternate."""

    def __init__(self, barrier: threading.Barrier) -> None:
        self.barrier = barrier

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.barrier.wait(60)


class Nest(Hook):
    """Runs another training inside an iteration of this one."""

    def __init__(self, other: Runner) -> None:
        self.other = other

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if batch_idx == 0 and self.other.iter == 0:
            self.other.train()


@pytest.fixture
def make_pair(settings: Settings, tmp_path: Path) -> Callable[..., list[Runner]]:
    """Return a function that makes a run for each of the names, with a scope of its own."""
    for number, name in enumerate(NAMES, 1):
        for kind, registry in ((Compass, METRICS), (Talker, MODELS)):
            child = Registry(registry.name, parent=registry, scope=name)
            own = type(f"{name}{kind.__name__}", (kind,), {"value": number})
            child.register_module(name=kind.__name__, module=own)

    def make(**changes: Any) -> list[Runner]:
        return [
            Runner(
                **settings(
                    model={"type": "Talker", "run": name},
                    val_evaluator={"type": "Compass"},
                    work_dir=str(tmp_path / name),
                    default_scope=name,
                    experiment_name=name,
                    train_cfg={"by_epoch": True, "max_epochs": 2},
                    **changes,
                )
            )
            for name in NAMES
        ]

    return make


def _assert_apart(runs: Sequence[Runner]) -> None:
    """Check that each run has all that was its own, and nothing of the other."""
    for number, (run, name, other) in enumerate(zip(runs, NAMES, NAMES[::-1], strict=True), 1):
        assert run.model.value == number
        hub, log = run.message_hub, Path(run.log_dir, f"{run.timestamp}.log").read_text()
        assert hub.get_scalar("val/compass").current() == number
        # 8 batches are trained, and as many validated.
        assert (hub.get_scalar(f"train/{name}").data[0] == torch.ones(16).numpy()).all()
        assert f"train/{other}" not in hub.log_scalars
        assert f"by {other}" not in log
        for way in ("current", "printed", "library"):
            assert len(re.findall(f"{way}: built by {name}", log)) == 1
            assert len(re.findall(f"{way}: loss by {name}", log)) == 8
        assert len(re.findall(f"deep: loss by {name}", log)) == 1  # a warning is shown once
        scalars = Path(run.log_dir, "vis_data", "scalars.json").read_text()
        seen = [key for row in scalars.splitlines() for key in json.loads(row) if "seen/" in key]
        assert set(seen) == {f"seen/{name}"}


def test_runs_that_alternate_stay_apart(make_pair: Callable[..., list[Runner]]) -> None:
    first, second = runs = make_pair()

    first.train()
    second.train()

    _assert_apart(runs)


def test_run_that_was_made_first_may_train_last(make_pair: Callable[..., list[Runner]]) -> None:
    first, second = runs = make_pair()

    second.train()
    first.train()

    _assert_apart(runs)


def test_run_inside_another_stays_apart(make_pair: Callable[..., list[Runner]]) -> None:
    first, second = runs = make_pair()
    first.register_hook(Nest(second))

    first.train()

    assert second.epoch == 2
    _assert_apart(runs)


def test_runs_in_threads_stay_apart(make_pair: Callable[..., list[Runner]]) -> None:
    runs = make_pair()
    barrier = threading.Barrier(2)
    errors: list[BaseException] = []

    def train(run: Runner) -> None:
        try:
            run.train()
        except BaseException as error:  # a thread would only print it
            errors.append(error)
            barrier.abort()

    for run in runs:
        run.register_hook(Meet(barrier))
    threads = [threading.Thread(target=train, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert not errors
    _assert_apart(runs)


def test_runs_made_and_trained_in_threads_stay_apart(settings: Settings, tmp_path: Path) -> None:
    made: dict[str, Runner] = {}
    barrier = threading.Barrier(2)

    def train(name: str) -> None:
        barrier.wait(60)
        made[name] = run = Runner(
            **settings(
                model=Talker(name),
                work_dir=str(tmp_path / name),
                experiment_name=name,
                val_dataloader=None,
                val_cfg=None,
                val_evaluator=None,
                custom_hooks=[Meet(barrier)],
            )
        )
        run.train()

    threads = [threading.Thread(target=train, args=(name,)) for name in NAMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    for name, other in zip(NAMES, NAMES[::-1], strict=True):
        run = made[name]
        log = Path(run.log_dir, f"{run.timestamp}.log").read_text()
        assert len(re.findall(f"library: loss by {name}", log)) == 12
        assert f"loss by {other}" not in log
        assert f"train/{other}" not in run.message_hub.log_scalars


def _current() -> list[str]:
    scope = DefaultScope.get_current_instance()
    assert scope is not None
    named = (MMLogger, MessageHub, Visualizer)
    return [scope.scope_name, *(kind.get_current_instance().instance_name for kind in named)]


def test_current_instance_is_of_the_active_run_inside_and_of_the_last_one_outside(
    make_pair: Callable[..., list[Runner]],
) -> None:
    inside: list[list[str]] = []

    class Note(Hook):
        def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
            inside.append(_current())

        def after_val(self, runner: Any) -> None:
            inside.append(_current())

    first, second = make_pair(custom_hooks=[Note()])
    names = {
        run: [scope, *[run.experiment_name] * 3]
        for run, scope in zip((first, second), NAMES, strict=True)
    }
    assert _current() == names[second]

    first.train()
    assert len(inside) == 10
    assert all(entry == names[first] for entry in inside)
    assert _current() == names[second]

    inside.clear()
    first.val()
    second.val()
    assert inside == [names[first], names[second]]
    assert _current() == names[second]


def test_run_that_fails_leaves_the_last_run_current(
    make_pair: Callable[..., list[Runner]],
) -> None:
    class Fail(Hook):
        def before_train_epoch(self, runner: Any) -> None:
            raise KeyError("on purpose")

    first, second = make_pair()
    first.register_hook(Fail())

    with pytest.raises(KeyError, match="on purpose"):
        first.train()

    assert _current() == ["south", *[second.experiment_name] * 3]
    logging.getLogger("engine.model").info("library: afterwards")
    assert "afterwards" in Path(second.log_dir, f"{second.timestamp}.log").read_text()
    assert "afterwards" not in Path(first.log_dir, f"{first.timestamp}.log").read_text()


def test_checkpoint_is_loaded_and_saved_in_the_name_of_its_run(
    make_pair: Callable[..., list[Runner]],
) -> None:
    class Note(Hook):
        def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
            logging.getLogger("engine.model").info("saved by %s", _current()[0])

        def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
            logging.getLogger("engine.model").info("loaded by %s", _current()[0])

    first, second = make_pair(custom_hooks=[Note()])

    path = first.save_checkpoint(first.work_dir, "saved.pth")
    first.load_checkpoint(path)
    first.resume(path)

    log, other = (Path(run.log_dir, f"{run.timestamp}.log").read_text() for run in (first, second))
    assert log.count("saved by north") == 1
    assert log.count("loaded by north") == 2
    assert "by north" not in other


def test_levels_of_runs_stay_apart(settings: Settings, tmp_path: Path) -> None:
    runs = []
    for name, level in zip(NAMES, ("DEBUG", "WARNING"), strict=True):
        arguments = settings(work_dir=str(tmp_path / name), experiment_name=name, log_level=level)
        runs.append(Runner(**arguments))

    class Say(Hook):
        def before_train(self, runner: Any) -> None:
            logging.getLogger("engine.model").debug("debug of %s", runner.experiment_name)
            logging.getLogger("engine.model").warning("warning of %s", runner.experiment_name)

    for run in runs:
        run.register_hook(Say())
        run.train()

    first, second = (Path(run.log_dir, f"{run.timestamp}.log").read_text() for run in runs)
    assert "debug of north" in first
    assert "warning of north" in first
    assert "debug of" not in second
    assert "warning of south" in second
