"""Several validation and test sets, each with its evaluator."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runner.conftest import Command, Line, MeanError
from torch.utils.data import DataLoader

from engine_runner import Hook, Runner
from engine_runner._errors import SettingsError

MakeRunner = Callable[..., Runner]


def _set(size: int, **options: Any) -> dict[str, Any]:
    return {
        "dataset": Line(size),
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
        "batch_size": 3,
        **options,
    }


SETS = {"clean": 12, "noisy": 7}


def _sets() -> dict[str, Any]:
    return {name: _set(size) for name, size in SETS.items()}


class Count(MeanError):
    """The number of samples, and the name of the dataset."""

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        assert self.dataset_meta == {"name": "line"}
        return {"n": len(results)}


def test_metrics_of_each_set_have_its_name(make_runner: MakeRunner) -> None:
    evaluators = {"clean": {"type": Count}, "noisy": [{"type": Count}, {"type": MeanError}]}

    metrics = make_runner(val_dataloader=_sets(), val_evaluator=evaluators).val()

    assert list(metrics) == ["clean/n", "noisy/n", "noisy/error"]
    assert (metrics["clean/n"], metrics["noisy/n"]) == (12, 7)


@pytest.mark.parametrize("form", ["config", "list", "metrics", "object"])
def test_one_evaluator_serves_each_set(make_runner: MakeRunner, form: str) -> None:
    config = {"type": Count}
    forms = {"config": config, "list": [config], "metrics": {"metrics": [config]}}
    evaluator = forms.get(form, Count())

    metrics = make_runner(val_dataloader=_sets(), val_evaluator=evaluator).val()

    assert metrics == {"clean/n": 12, "noisy/n": 7}


def test_configs_are_built_anew_for_each_set(make_runner: MakeRunner) -> None:
    runner = make_runner(val_dataloader=_sets(), val_evaluator={"type": Count})

    evaluators = runner.val_evaluator
    assert set(evaluators) == set(runner.val_dataloader) == set(SETS)
    assert evaluators["clean"].metrics[0] is not evaluators["noisy"].metrics[0]


def test_sets_may_be_loaders_or_lists_of_batches(make_runner: MakeRunner) -> None:
    sets = {"loader": DataLoader(Line(5), 2), "list": list(DataLoader(Line(4), 2))}

    class Number(MeanError):
        def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
            return {"n": len(results)}

    assert make_runner(val_dataloader=sets, val_evaluator=Number()).val() == {
        "loader/n": 5,
        "list/n": 4,
    }


class Points(Hook):
    """Note the points of a validation."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def before_val(self, runner: Runner) -> None:
        self.calls.append("before_val")

    def before_val_epoch(self, runner: Runner) -> None:
        self.calls.append("before_val_epoch")

    def before_val_set(self, runner: Runner, name: str) -> None:
        self.calls.append(("before", name))

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.calls.append((runner.val_loop.current_set, batch_idx))

    def after_val_set(self, runner: Runner, name: str, metrics: Any) -> None:
        self.calls.append(("after", name, list(metrics)))

    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        self.calls.append(list(metrics))


def test_all_sets_are_one_epoch_for_hooks(make_runner: MakeRunner) -> None:
    points = Points()
    limit = {"num_batch_per_epoch": 2}

    make_runner(val_dataloader=_sets(), val_cfg=limit, custom_hooks=[points]).val()

    assert points.calls == [
        "before_val",
        "before_val_epoch",
        ("before", "clean"),
        ("clean", 0),
        ("clean", 1),
        ("after", "clean", ["clean/error"]),
        ("before", "noisy"),
        ("noisy", 0),
        ("noisy", 1),
        ("after", "noisy", ["noisy/error"]),
        ["clean/error", "noisy/error"],
    ]


def test_best_stop_and_plateau_take_a_metric_of_a_set(make_runner: MakeRunner) -> None:
    plateau = {"type": "ReduceOnPlateauLR", "monitor": "noisy/error", "rule": "less"}
    stop = {"type": "EarlyStoppingHook", "monitor": "clean/error", "rule": "less", "patience": 1}
    save = {"type": "CheckpointHook", "interval": 1, "save_best": "clean/error", "rule": "less"}

    runner = make_runner(
        val_dataloader=_sets(),
        param_scheduler=plateau,
        custom_hooks=[{**stop, "min_delta": 100.0}],
        default_hooks={"checkpoint": save},
    )
    runner.train()

    assert runner.epoch == 2  # the first validation is the best one, the second no better
    assert runner.param_schedulers[0].best < math.inf
    best = list(Path(runner.work_dir).glob("best_clean_error_epoch_*.pth"))
    assert len(best) == 1


def test_metric_without_its_set_is_ambiguous(make_runner: MakeRunner) -> None:
    save = {"type": "CheckpointHook", "interval": 1, "save_best": "error", "rule": "less"}
    runner = make_runner(val_dataloader=_sets(), default_hooks={"checkpoint": save})

    with pytest.raises(SettingsError, match="'clean/error', 'noisy/error'; choose one"):
        runner.train()


def test_lines_of_the_log_name_the_set(make_runner: MakeRunner) -> None:
    runner = make_runner(
        val_dataloader=_sets(), default_hooks={"logger": {"type": "LoggerHook", "interval": 2}}
    )
    runner.val()

    log = Path(runner.log_dir, f"{runner.timestamp}.log").read_text()
    lines = re.findall(r"Epoch\(val\) \[1\]\[ ?(\d/\d)\]  set: (\w+)", log)
    assert lines == [("2/4", "clean"), ("4/4", "clean"), ("2/3", "noisy")]
    assert re.search(r"\[7/7\]  clean/error: \d\.\d{4}  noisy/error: \d\.\d{4}", log)


def test_several_test_sets(make_runner: MakeRunner) -> None:
    runner = make_runner(test_dataloader=_sets(), test_cfg={}, test_evaluator={"type": Count})

    assert runner.test() == {"clean/n": 12, "noisy/n": 7}
    assert set(runner.test_dataloader) == set(SETS)


def test_metrics_of_sets_equal_those_of_each_alone(make_runner: MakeRunner) -> None:
    torch.manual_seed(5)
    together = make_runner(val_dataloader=_sets()).val()

    for name, size in SETS.items():
        alone = make_runner(val_dataloader=_set(size)).val()
        assert together[f"{name}/error"] == alone["error"]


ONE = {"type": Count}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown set": (
        {"val_evaluator": {"clean": ONE, "noisi": ONE}},
        r"sets of val_dataloader \(clean, noisy\), got 'noisi'; did you mean 'noisy'\?",
    ),
    "missing set": ({"val_evaluator": {"clean": ONE}}, "lacks noisy; add it, or give one"),
    "set without data": (
        {"val_dataloader": {"clean": _set(3), "noisy": {"batch_size": 2}}},
        "val_dataloader.noisy needs the argument 'dataset'",
    ),
    "misspelled key": (
        {"val_dataloader": {"clean": _set(3), "noisy": _set(3, num_worker=2)}},
        "val_dataloader.noisy has no argument 'num_worker'; did you mean 'num_workers'",
    ),
    "set of another kind": (
        {"val_dataloader": {"clean": _set(3), "noisy": 5}},
        "val_dataloader.noisy must be a data loader or its config, got 5",
    ),
    "slash in a name": ({"val_dataloader": {"a/b": _set(3)}}, "names without '/' as keys"),
    "evaluators of one loader": (
        {"val_dataloader": _set(3), "val_evaluator": {"clean": ONE}},
        "must be one evaluator for one data loader, got evaluators by the names clean",
    ),
    "one file for all sets": (
        {"val_evaluator": [ONE, {"type": "DumpResults", "out_file_path": "out.pkl"}]},
        "must not write one file for several sets, got 'out.pkl' for clean, noisy; give an",
    ),
    "training sets": (
        {"train_dataloader": {"a": _set(3), "b": _set(3)}},
        "train_dataloader must be one data loader, got several: a, b; .*ConcatDataset",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_sets_raise_and_name_them(make_runner: MakeRunner, name: str) -> None:
    changes, message = WRONG[name]

    with pytest.raises(SettingsError, match=message):
        make_runner(**{"val_dataloader": _sets(), "val_evaluator": ONE, **changes})


def test_empty_set_is_named(make_runner: MakeRunner) -> None:
    runner = make_runner(val_dataloader={"clean": _set(3), "noisy": _set(0)})

    with pytest.raises(SettingsError, match=r"val_dataloader\.noisy .* yields no batch"):
        runner.val()


SETS_CONFIG = """
_base_ = "cfg.py"
data = {{_base_.test_dataloader}}
val_dataloader = dict(_delete_=True, a=data, b=data)
"""


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("val_dataloader.b.num_worker=2", "val_dataloader.b.num_worker"),
        ("val_dataloader.b.dataset.type=Point", "did you mean 'Points'"),
        ("val_evaluator={'a':{'type':'MeanErr'},'b':[]}", "did you mean 'MeanError'"),
        ("val_evaluator={'_delete_':True,'a':[],'c':[]}", "val_evaluator.c: "),
    ],
    ids=["loader", "dataset", "metric", "names"],
)
def test_check_reads_the_parts_of_each_set(
    project: Path, command: Command, option: str, words: str
) -> None:
    (project / "case.py").write_text(SETS_CONFIG)
    command("check", "case.py")

    assert words in command("check", "case.py", "--cfg-options", option, code=1).stderr


def test_config_of_sets_trains(project: Path, command: Command) -> None:
    (project / "case.py").write_text(SETS_CONFIG)

    assert re.search(r"Epoch\(val\) .* a/error: .* b/error: ", command("train", "case.py").stdout)
