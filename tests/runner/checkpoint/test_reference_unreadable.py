"""What cannot be read of a file of the reference is skipped with a warning, and runs no code."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from engine_model import CheckpointError, read_checkpoint
from engine_runner import Runner
from engine_runner._errors import SettingsError

if TYPE_CHECKING:
    from tests.runner.checkpoint.conftest import MakeToy, Save

Layout = Callable[[Path], dict[str, Any]]
EMA = {"custom_hooks": [{"type": "EMAHook"}]}
GROUPS = {"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}}


@pytest.fixture
def checkpoint(toy: "MakeToy", in_layout: Layout, tmp_path: Path) -> dict[str, Any]:
    """Return a checkpoint of the reference after one of three epochs, with averages."""
    toy(**EMA, work_dir=str(tmp_path / "whole")).train()
    return in_layout(tmp_path / "whole" / "epoch_1.pth")


def resumed(toy: "MakeToy", path: str, **changes: Any) -> tuple[Runner, str]:
    """Train from a file to the end; return the run and its log."""
    runner = toy(load_from=path, resume=True, **{**EMA, **changes})
    runner.train()
    assert (runner.epoch, runner.iter) == (3, 12)
    return runner, Path(runner.log_dir, f"{runner.timestamp}.log").read_text()


def replace(path: tuple[Any, ...], value: Any) -> Callable[[dict[str, Any]], None]:
    def change(checkpoint: dict[str, Any]) -> None:
        target: Any = checkpoint
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("message_hub",), "The message hub of the checkpoint is"),
        (("message_hub", "log_scalars", "train/loss"), "train/loss in its message hub"),
        (("message_hub", "runtime_info", "answer"), "answer in its message hub"),
        (("message_hub", "runtime_info"), ""),
        (("optimizer",), "optimizer of the checkpoint"),
        (("optimizer", "state", 0, "momentum_buffer"), "optimizer of the checkpoint"),
        (("optimizer", "param_groups", 0), "optimizer of the checkpoint"),
        (("optimizer", "param_groups", 0, "lr"), "optimizer of the checkpoint"),
        (("param_schedulers",), "param_schedulers continue by the counters"),
        (("param_schedulers", 0), "param_schedulers continue by the counters"),
        (("param_schedulers", 1, "base_values"), "param_schedulers continue by the counters"),
        (("ema_state_dict",), "ema_state_dict of the checkpoint has no weights"),
        (("ema_state_dict", "steps"), ""),
        (("meta", "cfg"), ""),
        (("meta", "seed"), ""),
        (("meta", "dataset_meta"), ""),
        (("other",), ""),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_object_of_an_unknown_class_is_skipped_and_runs_no_code(
    toy: "MakeToy",
    save: "Save",
    checkpoint: dict[str, Any],
    explosive: Callable[[], Any],
    path: tuple[Any, ...],
    words: str,
) -> None:
    replace(path, explosive())(checkpoint)

    runner, log = resumed(toy, save(checkpoint))

    assert words in log
    assert runner.optim_wrapper.get_lr()["lr"] == [pytest.approx(0.025)]
    if path[0] != "message_hub":
        assert runner.message_hub.get_info("answer") == 42


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("param_schedulers",), [], "the run has 2 schedules, the checkpoint 0"),
        (("param_schedulers", 0, "base_values"), [0.1, 0.1, 0.1], "groups=1 of this run"),
        (("optimizer",), {"first": {}}, "must have param_groups and state"),
        (
            ("optimizer", "state", 0, "momentum_buffer"),
            torch.zeros(1),
            "the parameters have another order",
        ),
        (("message_hub", "log_scalars", "train/loss"), {"log_history": [1]}, "train/loss in its"),
        (
            ("message_hub", "log_scalars", "train/loss"),
            {"log_history": ["x"], "count_history": [1], "max_length": 9},
            "train/loss in its",
        ),
        (("ema_state_dict", "module.linear.weight"), torch.zeros(7), "do not fit"),
    ],
    ids=["no-schedules", "groups", "one-of-several", "order", "history", "text", "average"],
)
def test_state_of_another_run_is_skipped_with_a_warning(
    toy: "MakeToy",
    save: "Save",
    checkpoint: dict[str, Any],
    path: tuple[Any, ...],
    value: Any,
    words: str,
) -> None:
    replace(path, value)(checkpoint)

    runner, log = resumed(toy, save(checkpoint))

    assert words in log
    assert runner.optim_wrapper.get_lr()["lr"] == [pytest.approx(0.025)]


def test_groups_of_frozen_parameters_are_left_out(
    toy: "MakeToy", save: "Save", checkpoint: dict[str, Any]
) -> None:
    groups = {**GROUPS, "paramwise_cfg": {"custom_keys": {"weight": {"requires_grad": False}}}}
    state = checkpoint["optimizer"]
    (group,) = state["param_groups"]
    state["param_groups"] = [{**group, "params": [0]}, {**group, "params": [1]}]
    del state["state"][0]
    for schedule in checkpoint["param_schedulers"]:
        schedule["base_values"] = schedule["_last_value"] = [0.1, 0.1, 0.1]

    _, log = resumed(toy, save(checkpoint), optim_wrapper=groups)

    assert "does not fit this run" not in log


def test_hub_that_was_pickled_as_an_object_is_read(
    toy: "MakeToy", save: "Save", checkpoint: dict[str, Any], hub_object: Callable[..., Any]
) -> None:
    losses = checkpoint["message_hub"]["log_scalars"]["train/loss"]._log_history.tolist()
    checkpoint["message_hub"] = hub_object(checkpoint["message_hub"])

    runner, _ = resumed(toy, save(checkpoint))

    assert runner.message_hub.get_scalar("train/loss").data[0][:4].tolist() == losses
    assert runner.message_hub.get_info("answer") == 42


@pytest.mark.parametrize(
    "meta",
    [None, [], {"epoch": 1}, {"iter": 4}, {"epoch": 1, "iter": "4"}, {"epoch": -1, "iter": 4}],
    ids=["none", "list", "no-iter", "no-epoch", "text", "negative"],
)
def test_file_without_counters_raises_with_the_way_out(
    toy: "MakeToy", save: "Save", checkpoint: dict[str, Any], meta: Any
) -> None:
    checkpoint["meta"] = meta

    with pytest.raises(SettingsError, match="load its weights alone with resume=False"):
        resumed(toy, save(checkpoint))


def test_list_is_no_checkpoint_for_hooks_to_read(toy: "MakeToy", save: "Save") -> None:
    with pytest.raises(
        CheckpointError, match=r"theirs\.pth must have a dict of weights.* got list"
    ):
        resumed(toy, save([1, 2]))  # type: ignore[arg-type]  # what a file may have


def test_known_histories_are_no_warning_for_inference(
    save: "Save", checkpoint: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    path = save(copy.copy(checkpoint))

    found = read_checkpoint(path)

    assert found["meta"]["dataset_meta"]["classes"] == ("line",)
    assert found["meta"]["dataset_meta"]["palette"].tolist() == [[1, 2, 3]]
    assert not caplog.records
