from collections.abc import Callable
from typing import Any

import pytest

from engine_runner import LogProcessor, Runner

MakeRunner = Callable[..., Runner]


def _trained(make_runner: MakeRunner, **processor: Any) -> tuple[Runner, dict[str, Any], str]:
    runner = make_runner(
        train_cfg={"by_epoch": True, "max_epochs": 2}, log_processor=processor or None
    )
    runner.train()
    runner.progress.epoch, runner.progress.iter = 1, 7  # as during the last iteration
    tag, line = runner.log_processor.get_log_after_iter(runner, 3, "train")
    return runner, tag, line


def test_loss_is_averaged_over_the_window(make_runner: MakeRunner) -> None:
    runner, tag, _ = _trained(make_runner, window_size=3)

    losses = runner.message_hub.get_scalar("train/loss").data[0]
    assert tag["loss"] == pytest.approx(losses[-3:].mean())


def test_learning_rate_is_the_last(make_runner: MakeRunner) -> None:
    runner, tag, line = _trained(make_runner)

    rates = runner.message_hub.get_scalar("train/lr").data[0]
    assert tag["lr"] == pytest.approx(rates[-1])
    assert f"lr: {rates[-1]:.4e}  eta: 0:00:00  time: " in line


@pytest.mark.parametrize(("window", "count"), [("global", 8), ("epoch", 4), (2, 2)], ids=str)
def test_custom_statistic_is_added_under_its_name(
    make_runner: MakeRunner, window: str | int, count: int
) -> None:
    custom = {"data_src": "loss", "method_name": "max", "log_name": "worst", "window_size": window}

    runner, tag, line = _trained(make_runner, custom_cfg=[custom])

    losses = runner.message_hub.get_scalar("train/loss").data[0]
    assert tag["worst"] == pytest.approx(losses[-count:].max())
    assert line.index("loss: ") < line.index("worst: ")


def test_custom_statistic_without_a_name_replaces_the_usual(make_runner: MakeRunner) -> None:
    custom = {"data_src": "loss", "method_name": "min", "window_size": "global"}

    runner, tag, _ = _trained(make_runner, custom_cfg=[custom])

    assert tag["loss"] == pytest.approx(runner.message_hub.get_scalar("train/loss").data[0].min())


def test_digits_are_those_asked_for(make_runner: MakeRunner) -> None:
    _, tag, line = _trained(make_runner, num_digits=2)

    assert f"loss: {tag['loss']:.2f}" in line


@pytest.mark.parametrize(
    ("custom", "message"),
    [
        ([{"method_name": "mean"}], "data_src"),
        ([{"data_src": "loss"}], "method_name"),
        ([{"data_src": "loss", "method_name": "mean"}] * 2, "log_name"),
        (
            [{"data_src": "loss", "method_name": "mean", "window_size": "epoch"}],
            "by_epoch=True",
        ),
    ],
    ids=["no-source", "no-method", "twice", "epoch-without-epochs"],
)
def test_wrong_custom_statistic_is_refused(custom: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LogProcessor(by_epoch=False, custom_cfg=custom)
