"""A dry run tries all that a config has, and leaves nothing behind."""

import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runner.conftest import Command, Line, MeanError
from torch.utils.data import DataLoader

from engine_logging import MessageHub, MMLogger
from engine_runner import DryStage, EpochBasedTrainLoop, Hook, dry_run
from engine_runner.hooks import CheckpointHook
from engine_visualization import Visualizer
from engine_visualization.backends import BaseVisBackend

Settings = Callable[..., dict[str, Any]]


def _files(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


def test_dry_run_reports_each_stage(settings: Settings) -> None:
    loader = DataLoader(Line(), 3)
    cfg = settings(
        test_dataloader={"a": loader, "b": loader}, test_cfg={}, test_evaluator=MeanError()
    )

    stages = dry_run(cfg)

    assert [stage.name for stage in stages] == ["train", "checkpoint", "validation", "test"]
    assert [stage.batches for stage in stages] == [2, 0, 2, 4]
    assert [list(stage.results) for stage in stages] == [
        ["loss"],
        ["bytes"],
        ["error"],
        ["a/error", "b/error"],
    ]


def test_dry_run_leaves_the_storage_of_hooks_that_are_objects_alone(settings: Settings) -> None:
    storage: dict[str, Any] = {
        "out_dir": "s3://bucket/runs",
        "backend_args": {"endpoint_url": "http://127.0.0.1:1"},
    }
    cfg = settings(default_hooks={"checkpoint": CheckpointHook(interval=1, **storage)})

    stages = dry_run(cfg)

    assert [stage.name for stage in stages] == ["train", "checkpoint", "validation"]


def test_dry_run_leaves_nothing_behind(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.chdir(tmp_path)
    cfg = settings(
        default_hooks={
            "checkpoint": {"type": "CheckpointHook", "interval": 1, "out_dir": "elsewhere"},
            "logger": {"type": "LoggerHook", "out_dir": "copies", "keep_local": False},
        },
        val_evaluator=[MeanError(), {"type": "DumpResults", "out_file_path": "results.pkl"}],
        visualizer={"type": "Visualizer", "vis_backends": [{"type": Contacted}]},
    )
    weights = {name: value.clone() for name, value in cfg["model"].state_dict().items()}
    # One of a run in an earlier test, which nobody has closed, would end with those of this one.
    logging.getLogger("engine").handlers.clear()
    before = _files(tmp_path)
    names = [set(kind._instance_dict) for kind in (MMLogger, MessageHub, Visualizer)]
    drawn = random.getstate()

    dry_run(cfg)

    assert _files(tmp_path) == before
    assert [set(kind._instance_dict) for kind in (MMLogger, MessageHub, Visualizer)] == names
    assert logging.getLogger("engine").handlers == []
    assert random.getstate() == drawn
    assert all(torch.equal(cfg["model"].state_dict()[name], weights[name]) for name in weights)


class Contacted(BaseVisBackend):
    """A tracker that must not be reached."""

    def __init__(self, save_dir: str = "") -> None:
        raise AssertionError("the tracker of the config was contacted")

    experiment = add_config = add_image = add_scalar = add_scalars = None  # type: ignore[assignment]  # never built


class Fails(Hook):
    """Raise at a point."""

    def __init__(self, point: str) -> None:
        def fail(runner: Any, *args: Any, **kwargs: Any) -> None:
            raise RuntimeError(f"broken at {point}")

        setattr(self, point, fail)


@pytest.mark.parametrize(
    ("point", "passed", "failed"),
    [
        ("before_run", [], "train"),
        ("after_train_iter", [], "train"),
        ("after_train_epoch", [], "train"),
        ("after_load_checkpoint", ["train"], "checkpoint"),
        ("before_val_iter", ["train", "checkpoint"], "validation"),
        ("after_val_epoch", ["train", "checkpoint"], "validation"),
        ("after_test_epoch", ["train", "checkpoint", "validation"], "test"),
    ],
)
def test_failing_stage_is_reported_and_leaves_nothing(
    settings: Settings, tmp_path: Path, point: str, passed: list[str], failed: str
) -> None:
    cfg = settings(custom_hooks=[Fails(point)], test_cfg={}, test_evaluator=MeanError())
    cfg["test_dataloader"] = cfg["val_dataloader"]
    before = _files(tmp_path)
    reported: list[DryStage] = []

    with pytest.raises(RuntimeError, match=f"broken at {point}") as caught:
        dry_run(cfg, report=reported.append)

    assert [stage.name for stage in reported if stage.passed] == passed
    assert [stage.name for stage in reported if not stage.passed] == [failed]
    assert f"in the stage '{failed}' of the dry run" in caught.value.__notes__
    assert _files(tmp_path) == before


class Stubborn(EpochBasedTrainLoop):
    """A loop that reads no ``stop_training``."""

    def run(self) -> Any:
        self.runner.call_hook("before_train")
        while self._epoch < self._max_epochs:
            self.run_epoch()
        return self.runner.model


@pytest.mark.parametrize(
    "changes",
    [
        {"train_cfg": {"by_epoch": True, "max_epochs": 300, "val_before_train": True}},
        {"train_cfg": {"by_epoch": False, "max_iters": 100_000}},
        {"train_cfg": {"by_epoch": False, "max_iters": 9, "num_batch_per_epoch": 1}},
        {"train_cfg": {"type": Stubborn, "max_epochs": 300}},
        {"train_dataloader": list(DataLoader(Line(), 3))},
        {
            # A schedule that begins after the two batches is that of the real run.
            "param_scheduler": [
                {"type": "LinearLR", "start_factor": 0.1, "end": 5, "by_epoch": False},
                {"type": "CosineAnnealingLR", "begin": 5, "by_epoch": False},
            ]
        },
        {
            "custom_hooks": [
                {"type": "EarlyStoppingHook", "monitor": "error", "rule": "less", "strict": True}
            ]
        },
    ],
    ids=["epochs", "iterations", "one batch", "stubborn loop", "list", "schedules", "stop"],
)
def test_dry_run_is_short_for_any_training(settings: Settings, changes: dict[str, Any]) -> None:
    stages = dry_run(settings(**changes))

    assert [(stage.name, stage.batches) for stage in stages] == [
        ("train", 2),
        ("checkpoint", 0),
        ("validation", 2),
    ]


def test_dry_run_resumes_nothing(settings: Settings) -> None:
    assert dry_run(settings(resume=True))[0].batches == 2


def test_command_prints_a_line_per_stage(project: Path, command: Command) -> None:
    before = _files(project)

    lines = command("train", "cfg.py", "--dry-run").stdout.splitlines()

    assert [line.split()[:2] for line in lines[1:-1]] == [
        ["train", "ok"],
        ["checkpoint", "ok"],
        ["validation", "ok"],
        ["test", "ok"],
    ]
    assert lines[-1] == "dry run: all stages passed"
    assert {path for path in _files(project) - before if "__pycache__" not in path} == set()


def test_command_exits_with_the_error_of_a_stage(project: Path, command: Command) -> None:
    text = '_base_ = "cfg.py"\ntest_dataloader = dict(dataset=dict(size=0))\n'
    (project / "case.py").write_text(text)
    before = _files(project)

    done = command("train", "case.py", "--dry-run", code=1)

    assert "test        failed after 0 batches" in done.stdout
    assert "Error: test_dataloader (RunLoader) yields no batch" in done.stderr
    assert {path for path in _files(project) - before if "__pycache__" not in path} == set()


def test_dry_run_and_resume_exclude_each_other(command: Command) -> None:
    done = command("train", "cfg.py", "--dry-run", "--resume", code=2)

    assert "--dry-run resumes nothing; leave out --resume" in done.stderr
