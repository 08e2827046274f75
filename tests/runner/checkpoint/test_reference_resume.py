"""A run continues from a file of the reference where that one ended."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from engine_model import BaseModel
from engine_optim import OptimWrapper, OptimWrapperDict
from engine_runner import Runner
from engine_runner.hooks import EMAHook

if TYPE_CHECKING:
    from tests.runner.checkpoint.conftest import MakeToy, Save

Settings = Callable[..., dict[str, Any]]
Layout = Callable[[Path], dict[str, Any]]

BY_ITER: dict[str, Any] = {
    "train_cfg": {"by_epoch": False, "max_iters": 10},
    "param_scheduler": {"type": "MultiStepLR", "milestones": [2, 7], "by_epoch": False},
}
EVERY_3 = {"checkpoint": {"type": "CheckpointHook", "interval": 3, "by_epoch": False}}
ADAMW = {
    "type": "AmpOptimWrapper",
    "dtype": "bfloat16",
    "optimizer": {"type": "AdamW", "lr": 0.01},
    "paramwise_cfg": {"bias_lr_mult": 2.0},
}


class Pair(BaseModel):
    """Two layers, each with an optimizer of its own."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second = nn.Linear(1, 1), nn.Linear(1, 1)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> tuple[Tensor, Tensor]:
        return self.first(x), self.second(x)

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        losses = {}
        for name, layer in (("first", self.first), ("second", self.second)):
            losses[f"loss_{name}"] = (layer(data[0]) - data[1]).square().mean()
            optim_wrapper[name].update_params(losses[f"loss_{name}"])
        return losses


def several() -> dict[str, Any]:
    model = Pair()
    step = [{"type": "StepLR", "step_size": 1}]
    return {
        "model": model,
        "optim_wrapper": OptimWrapperDict(
            first=OptimWrapper(torch.optim.Adam(model.first.parameters(), lr=0.1)),
            second=OptimWrapper(torch.optim.Adam(model.second.parameters(), lr=0.1)),
        ),
        "param_scheduler": {"first": step, "second": step},
    }


def log_of(runner: Runner) -> str:
    return Path(runner.log_dir, f"{runner.timestamp}.log").read_text()


def trained(runner: Runner) -> dict[str, Tensor]:
    state: dict[str, Tensor] = runner.train().state_dict()
    return state


@pytest.mark.parametrize(
    ("name", "changes", "sampler"),
    [
        ("epoch_2.pth", {}, "DefaultSampler"),
        ("epoch_2.pth", {"optim_wrapper": ADAMW}, "DefaultSampler"),
        ("iter_6.pth", {"default_hooks": EVERY_3}, "DefaultSampler"),
        ("iter_6.pth", {"default_hooks": EVERY_3, **BY_ITER}, "DefaultSampler"),
        ("iter_6.pth", {"default_hooks": EVERY_3, **BY_ITER}, "InfiniteSampler"),
    ],
    ids=["epochs", "adamw-amp-groups", "within-an-epoch", "iterations", "infinite"],
)
def test_resumed_run_ends_as_the_uninterrupted_one(
    toy: "MakeToy",
    save: "Save",
    in_layout: Layout,
    settings: Settings,
    tmp_path: Path,
    name: str,
    changes: dict[str, Any],
    sampler: str,
) -> None:
    loader = {
        **settings()["train_dataloader"],
        "sampler": {"type": sampler, "shuffle": True},
    }
    changes = {**changes, "train_dataloader": loader}
    whole = toy(**copy.deepcopy(changes), work_dir=str(tmp_path / "whole"))
    expected = trained(whole)
    path = save(in_layout(tmp_path / "whole" / name))

    resumed = toy(**copy.deepcopy(changes), load_from=path, resume=True)
    found = trained(resumed)

    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert (resumed.epoch, resumed.iter) == (whole.epoch, whole.iter)
    assert resumed.optim_wrapper.get_lr() == whole.optim_wrapper.get_lr()
    losses = [run.message_hub.get_scalar("train/loss").data[0].tolist() for run in (resumed, whole)]
    assert losses[0] == losses[1]
    assert resumed.message_hub.get_info("answer") == 42


def test_averages_continue(toy: "MakeToy", save: "Save", in_layout: Layout, tmp_path: Path) -> None:
    def average(runner: Runner) -> dict[str, Tensor]:
        hook = next(hook for hook in runner.hooks if isinstance(hook, EMAHook))
        return hook.ema_model.state_dict()

    hooks = {"custom_hooks": [{"type": "EMAHook", "momentum": 0.1}]}
    whole = toy(**hooks, work_dir=str(tmp_path / "whole"))
    expected = trained(whole)
    path = save(in_layout(tmp_path / "whole" / "epoch_1.pth"))

    resumed = toy(**hooks, load_from=path, resume=True)
    found = trained(resumed)

    assert all(torch.equal(found[key], expected[key]) for key in expected)
    pairs = average(resumed), average(whole)
    assert all(torch.equal(pairs[0][key], pairs[1][key]) for key in pairs[1])


def test_averages_without_prefix_or_version_are_read_with_a_warning(
    toy: "MakeToy", save: "Save", in_layout: Layout, tmp_path: Path
) -> None:
    hooks = {"custom_hooks": [{"type": "EMAHook", "momentum": 0.1}]}
    toy(**hooks, work_dir=str(tmp_path / "whole")).train()
    checkpoint = in_layout(tmp_path / "whole" / "epoch_3.pth")
    trained_weight = checkpoint["ema_state_dict"]["module.linear.weight"]
    averages = checkpoint["ema_state_dict"]
    checkpoint["ema_state_dict"] = {k.removeprefix("module."): v for k, v in averages.items()}
    del checkpoint["meta"]["mmengine_version"]

    resumed = toy(**hooks, load_from=save(checkpoint), resume=True)
    resumed.train()

    assert torch.equal(resumed.model.state_dict()["linear.weight"], trained_weight)
    assert "taken as the average" in log_of(resumed)


def test_weights_of_averages_without_the_hook_are_warned_of(
    toy: "MakeToy", save: "Save", in_layout: Layout, tmp_path: Path
) -> None:
    toy(custom_hooks=[{"type": "EMAHook"}], work_dir=str(tmp_path / "whole")).train()
    path = save(in_layout(tmp_path / "whole" / "epoch_1.pth"))

    resumed = toy(load_from=path, resume=True)
    resumed.train()

    assert "add EMAHook to custom_hooks" in log_of(resumed)


def test_optimizers_by_name_continue(
    toy: "MakeToy", save: "Save", in_layout: Layout, tmp_path: Path
) -> None:
    expected = trained(toy(**several(), work_dir=str(tmp_path / "whole")))
    path = save(in_layout(tmp_path / "whole" / "epoch_1.pth"))

    found = trained(toy(**several(), load_from=path, resume=True))

    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_best_score_and_kept_files_continue(
    make_runner: Callable[..., Runner], save: "Save", in_layout: Layout, tmp_path: Path
) -> None:
    hook = {"type": "CheckpointHook", "interval": 1, "max_keep_ckpts": 2, "save_best": "error"}
    loop = {"by_epoch": True, "max_epochs": 2}
    make_runner(default_hooks={"checkpoint": hook}, train_cfg=loop).train()
    work = tmp_path / "work"
    checkpoint = in_layout(work / "epoch_2.pth")
    infos = checkpoint["message_hub"]["runtime_info"]
    infos |= {"best_score": -1.0, "best_ckpt": str(work / "best_error_epoch_1.pth")}
    infos |= {"keep_ckpt_ids": [1, 2]}
    before = {path.name for path in work.glob("best_*.pth")}

    runner = make_runner(
        default_hooks={"checkpoint": hook}, load_from=save(checkpoint), resume=True
    )
    runner.train()

    assert {path.name for path in work.glob("epoch_*.pth")} == {"epoch_2.pth", "epoch_3.pth"}
    assert {path.name for path in work.glob("best_*.pth")} == before  # none is better than -1
    assert runner.message_hub.get_info("best_score") == -1.0


def test_validation_of_the_saved_epoch_is_not_repeated(
    make_runner: Callable[..., Runner], save: "Save", in_layout: Layout, tmp_path: Path
) -> None:
    make_runner(work_dir=str(tmp_path / "whole")).train()
    path = save(in_layout(tmp_path / "whole" / "epoch_2.pth"))

    runner = make_runner(load_from=path, resume=True)
    runner.train()

    assert "Epoch(val) [3]" in log_of(runner)
    assert "Epoch(val) [2]" not in log_of(runner)
