"""The lines of a run, and the numbers that are recorded beside them."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from engine_logging import HistoryBuffer, MessageHub
from engine_model import BaseModel
from engine_runner import Hook, LogProcessor, Runner
from engine_runner.hooks import LoggerHook

MakeRunner = Callable[..., Runner]
WITHOUT_VAL = dict.fromkeys(("val_cfg", "val_dataloader", "val_evaluator"))
LOADER = {
    "sampler": {"type": "DefaultSampler", "shuffle": False},
    "collate_fn": {"type": "default_collate"},
    "batch_size": 1,
}
SECONDS = r"\d+\.\d{4}"


class TwoLosses(BaseModel):
    """Losses that fall with each iteration, and a number of its own in the message hub."""

    def __init__(self, custom: str = "") -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.calls, self.custom = 0, custom

    def forward(self, x: Tensor, mode: str = "tensor") -> Any:
        if mode != "loss":
            return x
        self.calls += 1
        if self.custom:
            hub = MessageHub.get_current_instance()
            hub.update_scalar(self.custom, torch.tensor(7.0))
        first = self.weight.sum() * 0 + 100.0 / self.calls
        return {"loss1": first, "loss2": first * 2}


def every(interval: int, **more: Any) -> dict[str, Any]:
    return {"logger": {"type": "LoggerHook", "interval": interval, **more}}


def log_of(runner: Runner) -> str:
    return Path(runner.log_dir, f"{runner.timestamp}.log").read_text()


def lines_of(runner: Runner, head: str) -> list[str]:
    return [
        line.partition("INFO - ")[2] for line in log_of(runner).splitlines() if f"{head}(" in line
    ]


def rows_of(runner: Runner, name: str = "scalars.json") -> list[dict[str, Any]]:
    text = Path(runner.log_dir, "vis_data", name).read_text()
    return [json.loads(line) for line in text.splitlines()]


def two_losses(make_runner: MakeRunner, size: int = 25, custom: str = "", **more: Any) -> Runner:
    """Train one epoch of ``size`` batches by default."""
    arguments: dict[str, Any] = {
        "model": TwoLosses(custom),
        "train_dataloader": {**LOADER, "dataset": [(torch.ones(1),) for _ in range(size)]},
        "train_cfg": {"by_epoch": True, "max_epochs": 1},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 8e-4}},
        "param_scheduler": None,
        **WITHOUT_VAL,
        **more,
    }
    runner = make_runner(**arguments)
    runner.train()
    return runner


def numbers(line: str) -> dict[str, float]:
    pairs = re.findall(r"(\S+): (-?[\d.]+(?:e[+-]\d+)?)(?=  |$)", line)
    return {name: float(value) for name, value in pairs}


# ---- the line ------------------------------------------------------------------------------------


@pytest.mark.skipif(torch.cuda.is_available(), reason="the line has the memory of the GPU, too")
def test_line_has_rate_eta_times_then_the_loss_and_its_parts(make_runner: MakeRunner) -> None:
    runner = two_losses(make_runner)

    first, second = lines_of(runner, "Epoch")
    for number, line in ((10, first), (20, second)):
        assert re.fullmatch(
            rf"Epoch\(train\) \[1\]\[{number}/25\]  lr: 8\.0000e-04  eta: 0:00:00  "
            rf"time: {SECONDS}  data_time: {SECONDS}  "
            rf"loss: {SECONDS}  loss1: {SECONDS}  loss2: {SECONDS}",
            line,
        )


def test_default_log_processor_is_that_of_the_manual(make_runner: MakeRunner) -> None:
    for given in (None, {}, {"type": "LogProcessor"}, LogProcessor()):
        processor = make_runner(log_processor=given).log_processor
        assert (processor.window_size, processor.by_epoch) == (10, True)
        assert (processor.custom_cfg, processor.num_digits) == ([], 4)
        assert not processor.log_with_hierarchy


def test_indices_are_padded_to_the_width_of_the_total(make_runner: MakeRunner) -> None:
    epochs = two_losses(
        make_runner,
        size=10,
        train_cfg={"by_epoch": True, "max_epochs": 10},
        default_hooks=every(2),
    )
    iterations = two_losses(
        make_runner,
        train_cfg={"by_epoch": False, "max_iters": 100},
        log_processor={"by_epoch": False},
    )

    lines = lines_of(epochs, "Epoch")
    assert lines[0].startswith("Epoch(train)  [1][ 2/10]  lr: ")
    assert lines[-1].startswith("Epoch(train) [10][10/10]  lr: ")
    assert len({line.index("  lr:") for line in lines}) == 1
    lines = lines_of(iterations, "Iter")
    assert lines[0].startswith("Iter(train) [ 10/100]  lr: ")
    assert lines[-1].startswith("Iter(train) [100/100]  lr: ")


def test_number_of_the_model_keeps_its_place_and_loses_its_prefix(make_runner: MakeRunner) -> None:
    runner = two_losses(make_runner, custom="train/loss_tmp")

    line = lines_of(runner, "Epoch")[0]
    assert re.search(rf"data_time: {SECONDS}  loss_tmp: 7\.0000  loss: ", line)
    assert rows_of(runner)[0]["loss_tmp"] == 7


def test_number_without_the_prefix_of_a_mode_is_not_logged(make_runner: MakeRunner) -> None:
    runner = two_losses(make_runner, custom="loss_tmp")

    assert "loss_tmp" not in log_of(runner).partition("Epoch(train)")[2]
    assert runner.message_hub.get_scalar("loss_tmp").current() == 7


def test_rates_of_several_groups_and_optimizers_come_first() -> None:
    processor = LogProcessor()
    hub = MessageHub.get_instance("rates")
    for name in ("loss", "generator.lr", "time", "base_lr", "critic.lr", "clr"):
        hub.update_scalar(f"train/{name}", 0.5)

    class Run:
        message_hub, iter, epoch, max_epochs, max_iters = hub, 0, 0, 1, 10
        trains_by_epoch = False

        class train_loop:  # noqa: N801 - an attribute of the run
            dataloader = range(10)

    _, line = processor.get_log_after_iter(Run(), 0, "train")  # type: ignore[arg-type]  # its part
    assert re.match(
        r"Epoch\(train\) \[1\]\[ 1/10\]  generator\.lr: 5\.0000e-01  base_lr: 5\.0000e-01  "
        r"critic\.lr: 5\.0000e-01  time: 0\.5000  (memory: \d+  )?loss: 0\.5000  clr: 0\.5000$",
        line,
    )


# ---- statistics ----------------------------------------------------------------------------------


def test_losses_and_times_are_averaged_over_the_window(make_runner: MakeRunner) -> None:
    runner = two_losses(make_runner, log_processor={"window_size": 5})

    losses = [100 / count for count in range(1, 21)]
    logged = numbers(lines_of(runner, "Epoch")[1])
    assert logged["loss1"] == pytest.approx(sum(losses[15:20]) / 5, abs=1e-4)
    times = runner.message_hub.get_scalar("train/time").data[0]
    assert logged["time"] == pytest.approx(times[15:20].mean(), abs=1e-4)


def test_custom_statistics_come_after_the_usual_ones(make_runner: MakeRunner) -> None:
    custom = [
        {"data_src": "loss1", "log_name": "loss1_global", "method_name": "mean"}
        | {"window_size": "global"},
        {"data_src": "loss1", "log_name": "loss1_max", "method_name": "max", "window_size": 10},
        {"data_src": "loss2", "method_name": "min", "window_size": "epoch"},
    ]

    runner = two_losses(make_runner, log_processor={"custom_cfg": custom})

    losses = [100 / count for count in range(1, 21)]
    first, second = (numbers(line) for line in lines_of(runner, "Epoch"))
    assert list(second)[-5:] == ["loss", "loss1", "loss2", "loss1_global", "loss1_max"]
    assert first["loss1_global"] == first["loss1"]
    assert second["loss1_global"] == pytest.approx(sum(losses) / 20, abs=1e-4)
    assert second["loss1_max"] == pytest.approx(losses[10], abs=1e-4)
    assert second["loss2"] == pytest.approx(2 * losses[-1], abs=1e-4)


def test_registered_statistic_is_used_by_name(
    make_runner: MakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HistoryBuffer, "_statistics_methods", {**HistoryBuffer._statistics_methods})

    @HistoryBuffer.register_statistics
    def spread(self: HistoryBuffer, window_size: int, factor: float) -> Any:
        return factor * (self.max(window_size) - self.min(window_size))

    custom = {"data_src": "loss1", "log_name": "spread", "method_name": "spread", "factor": 2.0}
    runner = two_losses(make_runner, log_processor={"custom_cfg": [{**custom, "window_size": 10}]})

    assert numbers(lines_of(runner, "Epoch")[0])["spread"] == pytest.approx(2 * (100 - 10))


def test_mean_pattern_chooses_what_is_averaged(make_runner: MakeRunner) -> None:
    runner = two_losses(make_runner, log_processor={"mean_pattern": "loss2$"})

    logged = numbers(lines_of(runner, "Epoch")[0])
    assert logged["loss1"] == pytest.approx(100 / 10)
    assert logged["loss2"] == pytest.approx(sum(200 / n for n in range(1, 11)) / 10, abs=1e-4)


@pytest.mark.parametrize("pattern", ["(loss", 3], ids=["unbalanced", "number"])
def test_mean_pattern_that_is_not_an_expression_raises(pattern: Any) -> None:
    with pytest.raises(ValueError, match="mean_pattern must be a regular expression, got"):
        LogProcessor(mean_pattern=pattern)


def test_hierarchy_names_the_mode_in_the_records_and_not_in_the_lines(
    make_runner: MakeRunner, settings: Any
) -> None:
    data = {f"test_{key}": settings()[f"val_{key}"] for key in ("dataloader", "cfg", "evaluator")}
    runner = make_runner(log_processor={"log_with_hierarchy": True}, **data)

    runner.train()
    runner.test()

    training, validation = rows_of(runner)[:2]
    assert {"train/loss", "train/lr", "train/time", "epoch", "iter", "step"} <= training.keys()
    assert set(validation) == {"val/error", "step"}
    assert "train/" not in "".join(lines_of(runner, "Epoch"))
    (tested,) = Path(runner.log_dir).glob("*.json")
    assert list(json.loads(tested.read_text())) == ["test/error"]


def test_subclass_chooses_loop_and_size(make_runner: MakeRunner) -> None:
    class Passes(LogProcessor):
        def _get_dataloader_size(self, runner: Any, mode: Any) -> int:
            assert self._get_cur_loop(runner, mode) is runner.train_loop
            return 500

    runner = two_losses(make_runner, log_processor=Passes())

    assert lines_of(runner, "Epoch")[0].startswith("Epoch(train) [1][ 10/500]  lr: ")


def test_loops_of_the_modes_are_those_of_the_run(make_runner: MakeRunner) -> None:
    runner = make_runner()

    processor = runner.log_processor
    assert processor._get_cur_loop(runner, "train") is runner.train_loop
    assert processor._get_cur_loop(runner, "val") is runner.val_loop
    assert processor._get_dataloader_size(runner, "val") == 4


# ---- epochs that are shorter than the interval ---------------------------------------------------


class Stream(IterableDataset[tuple[Tensor]]):
    def __init__(self, size: int) -> None:
        self.size = size

    def __iter__(self) -> Iterator[tuple[Tensor]]:
        return iter([(torch.ones(1),)] * self.size)


@pytest.mark.parametrize(
    ("size", "declared", "options", "steps"),
    [
        (3, None, {}, [3, 6]),
        (3, 3, {}, [3, 6]),
        (12, None, {}, [10, 22]),
        (12, 12, {}, [10, 22]),
        (12, None, {"ignore_last": False}, [10, 12, 22, 24]),
        (12, 12, {"ignore_last": False}, [10, 12, 22, 24]),
        (10, None, {"ignore_last": False}, [10, 20]),
    ],
    ids=[
        *("short", "short-declared", "long", "long-declared"),
        *("with-last", "with-last-declared", "no-rest"),
    ],
)
def test_stream_logs_the_end_of_an_epoch_as_data_with_a_length_does(
    make_runner: MakeRunner,
    size: int,
    declared: int | None,
    options: dict[str, Any],
    steps: list[int],
) -> None:
    length = {} if declared is None else {"epoch_length": declared}
    runner = two_losses(
        make_runner,
        train_dataloader=DataLoader(Stream(size), batch_size=1),
        train_cfg={"by_epoch": True, "max_epochs": 2, **length},
        default_hooks=every(10, **options),
    )

    rows = rows_of(runner)
    assert [(row["iter"], row["step"]) for row in rows] == [(step, step) for step in steps]
    assert [row["epoch"] for row in rows] == [1] * (len(steps) // 2) + [2] * (len(steps) // 2)
    total = f"/{declared}" if declared else ""
    end = steps[-1] - size
    assert lines_of(runner, "Epoch")[-1].startswith(f"Epoch(train) [2][{end}{total}]  lr: ")


@pytest.mark.parametrize(
    ("size", "last", "logged"),
    [(25, True, [9, 19]), (25, False, [9, 19, 24]), (4, True, [3])],
    ids=["last-ignored", "last-logged", "short"],
)
def test_iterations_that_will_be_logged_are_known_before(
    make_runner: MakeRunner, size: int, last: bool, logged: list[int]
) -> None:
    runner = two_losses(make_runner, size=size, default_hooks=every(10, ignore_last=last))

    hook = next(hook for hook in runner.hooks if isinstance(hook, LoggerHook))
    assert [idx for idx in range(size) if hook.logs_within(idx)] == logged
    assert hook.logs_within(0, 10)
    assert [row["iter"] - 1 for row in rows_of(runner)] == logged


def test_iterations_that_a_hook_stops_early_are_logged(make_runner: MakeRunner) -> None:
    class Stop(Hook):
        def after_train_iter(self, runner: Any, batch_idx: int, *args: Any, **kwargs: Any) -> None:
            runner.train_loop.stop_training = batch_idx == 2

    runner = two_losses(
        make_runner,
        train_cfg={"by_epoch": False, "max_iters": 50},
        log_processor={"by_epoch": False},
        custom_hooks=[Stop()],
    )

    (line,) = lines_of(runner, "Iter")
    assert line.startswith("Iter(train) [ 3/50]  lr: ")
    assert runner.iter == 3


@pytest.mark.parametrize("by_epoch", [True, False], ids=["epochs", "iterations"])
def test_only_epoch_runs_record_an_epoch(make_runner: MakeRunner, by_epoch: bool) -> None:
    extent = {"max_epochs": 1} if by_epoch else {"max_iters": 20}

    runner = two_losses(make_runner, train_cfg={"by_epoch": by_epoch, **extent})

    assert all(("epoch" in row) == by_epoch for row in rows_of(runner))
    assert [row["iter"] for row in rows_of(runner)] == [10, 20]
