"""`Runner.resume` and `Runner.load_checkpoint`, called before `Runner.train`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.reported.conftest import Fit
from torch import nn

from engine_runner import Runner
from engine_runner._errors import SettingsError

Toy = Callable[..., Runner]
CHANGES: dict[str, Any] = {
    "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}},
    "param_scheduler": [
        {"type": "LinearLR", "start_factor": 0.2, "by_epoch": False, "end": 6},
        {"type": "MultiStepLR", "milestones": [1, 3]},
    ],
    "train_cfg": {"by_epoch": True, "max_epochs": 4},
    "default_hooks": {"checkpoint": {"type": "CheckpointHook", "interval": 1}},
    "auto_scale_lr": {"enable": True, "base_batch_size": 4},
}


class Initialized(Fit):
    """A model with initial weights of its own, and a part that no checkpoint has."""

    def __init__(self, *, part: bool = False) -> None:
        super().__init__()
        if part:
            self.part = nn.Linear(1, 1)

    def init_weights(self) -> None:
        super().init_weights()
        for layer in self.children():
            if isinstance(layer, nn.Linear):
                nn.init.constant_(layer.weight, -3.0)


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("with_load_from", [False, True], ids=["alone", "with load_from"])
def test_resume_before_the_training_continues_everything(
    toy_run: Toy, tmp_path: Path, with_load_from: bool
) -> None:
    whole = toy_run(model=Initialized(), **CHANGES).train().state_dict()
    torch.save(Initialized().state_dict(), tmp_path / "initial.pth")
    load_from = str(tmp_path / "initial.pth") if with_load_from else None

    resumed = toy_run(
        model=Initialized(), work_dir=str(tmp_path / "other"), load_from=load_from, **CHANGES
    )
    resumed.resume(str(tmp_path / "work" / "epoch_2.pth"))
    rates = resumed.optim_wrapper.get_lr()["lr"]

    assert rates == [pytest.approx(0.005)]
    assert _same(whole, resumed.train().state_dict())


@pytest.mark.parametrize("with_load_from", [False, True], ids=["alone", "with load_from"])
def test_weights_loaded_before_the_training_are_kept(
    toy_run: Toy, tmp_path: Path, with_load_from: bool
) -> None:
    for value, name in ((7.0, "given"), (8.0, "setting")):
        torch.save(
            {"linear.weight": torch.full((1, 1), value), "linear.bias": torch.ones(1)},
            tmp_path / f"{name}.pth",
        )
    runner = toy_run(
        model=Initialized(part=True),
        train_cfg={"by_epoch": True, "max_epochs": 0},
        load_from=str(tmp_path / "setting.pth") if with_load_from else None,
    )

    runner.load_checkpoint(str(tmp_path / "given.pth"))
    weights = runner.train().state_dict()

    assert weights["linear.weight"].item() == 7
    assert weights["part.weight"].item() == -3


def test_setting_resume_wins_over_weights_loaded_before(toy_run: Toy, tmp_path: Path) -> None:
    torch.save({"linear.weight": torch.ones(1, 1)}, tmp_path / "given.pth")
    toy_run(**CHANGES).train()
    changes = {**CHANGES, "train_cfg": {"by_epoch": True, "max_epochs": 5}}

    runner = toy_run(resume=True, **changes)
    runner.load_checkpoint(str(tmp_path / "given.pth"))
    runner.train()

    assert runner.iter == 20


def test_weights_of_a_validation_before_the_training_are_kept(toy_run: Toy, tmp_path: Path) -> None:
    torch.save({"linear.weight": torch.full((1, 1), 7.0)}, tmp_path / "given.pth")
    runner = toy_run(
        model=Initialized(),
        validate=[0.1, 0.2],
        train_cfg={"by_epoch": True, "max_epochs": 0},
        load_from=str(tmp_path / "given.pth"),
    )

    runner.val()

    assert runner.train().state_dict()["linear.weight"].item() == 7


def test_resume_of_another_kind_of_optimizer_raises_with_the_way_out(toy_run: Toy) -> None:
    toy_run(**CHANGES).train()
    adam = {**CHANGES, "optim_wrapper": {"optimizer": {"type": "Adam", "lr": 0.1}}}

    with pytest.raises(SettingsError, match=r"kind.*got Adam.*--restart-optimizer"):
        toy_run(resume=True, **adam).train()
