"""A resumed run that starts its optimizer or its schedules anew has the rates of that."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.runner.checkpoint.conftest import MakeToy

AFTER_1 = {"train_cfg": {"by_epoch": True, "max_epochs": 1}}


def rates(toy: "MakeToy", **changes: Any) -> list[float]:
    runner = toy(**changes)
    runner.train()
    found: list[float] = runner.message_hub.get_scalar("train/lr").data[0].tolist()
    return found


def test_rates_of_a_new_optimizer_follow_the_resumed_schedules(
    toy: "MakeToy", tmp_path: Path
) -> None:
    whole = rates(toy, work_dir=str(tmp_path / "whole"))
    toy(**AFTER_1).train()

    runner = toy()
    runner.resume(f"{runner.work_dir}/epoch_1.pth", resume_optimizer=False)
    runner.train()

    found = runner.message_hub.get_scalar("train/lr").data[0].tolist()
    assert found == pytest.approx(whole)


@pytest.mark.parametrize("option", ["argument", "command"])
def test_rates_of_new_schedules_begin_at_their_start(
    toy: "MakeToy", tmp_path: Path, option: str
) -> None:
    whole = rates(toy, work_dir=str(tmp_path / "whole"))
    toy(**AFTER_1).train()

    runner = toy()
    runner.checkpointer.restarts |= {"param_schedulers"} if option == "command" else set()
    runner.resume(f"{runner.work_dir}/epoch_1.pth", resume_param_scheduler=option == "command")
    runner.train()

    found = runner.message_hub.get_scalar("train/lr").data[0].tolist()
    assert found[4:] == pytest.approx(whole[:8])
