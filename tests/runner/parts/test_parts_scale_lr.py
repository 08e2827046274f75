"""Learning rates scaled to the batch size."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from engine_optim import OptimWrapper, OptimWrapperDict
from engine_optim.scheduler import LinearLR
from engine_runner import Runner
from engine_runner._errors import SettingsError

MakeRunner = Callable[..., Runner]
Settings = Callable[..., dict[str, Any]]
Command = Callable[..., Any]


def _log(runner: Runner) -> str:
    return next(Path(runner.log_dir).glob("*.log")).read_text()


def _scaled(make_runner: MakeRunner, base: int, rule: str | None = None, **changes: Any) -> Runner:
    scale: dict[str, Any] = {"enable": True, "base_batch_size": base}
    if rule:
        scale["rule"] = rule
    arguments = {"param_scheduler": None, "train_cfg": {"by_epoch": True, "max_epochs": 1}}
    runner = make_runner(auto_scale_lr=scale, **{**arguments, **changes})
    runner.train()
    return runner


@pytest.mark.parametrize(
    ("rule", "rate"), [(None, 0.025), ("linear", 0.025), ("sqrt", 0.05)], ids=str
)
def test_rate_follows_the_rule_and_both_are_logged(
    make_runner: MakeRunner, rule: str | None, rate: float
) -> None:
    runner = _scaled(make_runner, 12, rule)

    assert runner.optim_wrapper.get_lr()["lr"] == [pytest.approx(rate)]
    factor = rate / 0.1
    assert (
        f"auto_scale_lr: lr 0.1 -> {rate:g} (times {factor:g}, {rule or 'linear'} in 3 samples per "
        "iteration / base_batch_size 12)"
    ) in _log(runner)


def test_scaling_that_is_not_enabled_changes_nothing(make_runner: MakeRunner) -> None:
    runner = make_runner(
        auto_scale_lr={"enable": False, "base_batch_size": 12}, param_scheduler=None
    )

    runner.train()

    assert runner.optim_wrapper.get_lr()["lr"] == [0.1]


def test_groups_keep_their_ratios(make_runner: MakeRunner) -> None:
    wrapper = {
        "optimizer": {"type": "SGD", "lr": 0.1},
        "paramwise_cfg": {"custom_keys": {"linear.bias": {"lr_mult": 2.0}}},
    }

    runner = _scaled(make_runner, 6, optim_wrapper=wrapper)

    assert sorted(runner.optim_wrapper.get_lr()["lr"]) == pytest.approx([0.05, 0.1])


def test_each_of_several_optimizers_is_scaled(make_runner: MakeRunner, settings: Settings) -> None:
    model = settings()["model"]

    class Both(type(model)):  # type: ignore[misc]  # the model of the fixture
        def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, torch.Tensor]:
            loss = self(*data, mode="loss")["loss"]
            loss.backward()
            for one in optim_wrapper.values():
                one.step()
                one.zero_grad()
            return {"loss": loss}

    model = Both()
    wrappers = OptimWrapperDict(
        a=OptimWrapper(torch.optim.SGD([model.linear.weight], lr=0.1)),
        b=OptimWrapper(torch.optim.Adam([model.linear.bias], lr=0.02)),
    )

    runner = _scaled(make_runner, 6, model=model, optim_wrapper=wrappers)

    assert runner.optim_wrapper.get_lr() == {"a.lr": [0.05], "b.lr": [0.01]}
    assert "a.lr 0.1 -> 0.05, b.lr 0.02 -> 0.01" in _log(runner)


def test_accumulation_does_not_count_and_is_a_warning(make_runner: MakeRunner) -> None:
    wrapper = {"optimizer": {"type": "SGD", "lr": 0.1}, "accumulative_counts": 4}

    runner = _scaled(make_runner, 12, optim_wrapper=wrapper)

    assert runner.optim_wrapper.get_lr()["lr"] == [pytest.approx(0.025)]
    assert "does not count accumulative_counts=4" in _log(runner)


def test_schedule_of_a_config_starts_from_the_scaled_rate(make_runner: MakeRunner) -> None:
    schedule = {"type": "ConstantLR", "factor": 0.5, "begin": 0, "end": 100}

    runner = _scaled(make_runner, 6, param_scheduler=schedule)

    assert runner.optim_wrapper.get_lr()["lr"] == [pytest.approx(0.025)]


def test_built_schedule_raises(make_runner: MakeRunner, settings: Settings) -> None:
    model = settings()["model"]
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    schedule = LinearLR(wrapper, start_factor=0.1)

    with pytest.raises(RuntimeError, match="before schedules are built, got a LinearLR"):
        _scaled(make_runner, 6, model=model, optim_wrapper=wrapper, param_scheduler=[schedule])


def test_call_after_the_schedules_raises(make_runner: MakeRunner) -> None:
    runner = make_runner()
    runner.train()

    with pytest.raises(RuntimeError, match="call scale_lr before"):
        runner.scale_lr(runner.optim_wrapper, {"enable": True, "base_batch_size": 6})
    assert runner.optim_wrapper.get_lr()["lr"] == [pytest.approx(0.1)]


def test_batch_sampler_has_the_batch_size(make_runner: MakeRunner, settings: Settings) -> None:
    dataset = settings()["train_dataloader"]["dataset"]
    batches = BatchSampler(SequentialSampler(dataset), batch_size=4, drop_last=False)
    loader: DataLoader[Any] = DataLoader(dataset, batch_sampler=batches)

    runner = _scaled(make_runner, 8, train_dataloader=loader)

    assert runner.optim_wrapper.get_lr()["lr"] == [0.05]


def test_data_without_a_batch_size_raises(make_runner: MakeRunner) -> None:
    data = [(torch.ones(2, 1), torch.ones(2, 1))]

    with pytest.raises(SettingsError, match="needs the batch size of train_dataloader"):
        _scaled(make_runner, 8, train_dataloader=data)


def test_unknown_rule_raises(make_runner: MakeRunner) -> None:
    with pytest.raises(SettingsError, match="rule must be one of linear, sqrt, got 'square'"):
        _scaled(make_runner, 8, "square")


def test_flag_without_the_setting_has_the_documented_message(command: Command) -> None:
    done = command("train", "cfg.py", "--auto-scale-lr", code=2)

    assert (
        'Can not find "auto_scale_lr" or "auto_scale_lr.enable" or "auto_scale_lr.base_batch_size" '
        "in your configuration file."
    ) in " ".join(done.stderr.replace("│", " ").split())
