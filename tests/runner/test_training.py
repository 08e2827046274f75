"""A run from its settings to its files."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine_logging import MessageHub
from engine_model import BaseModel
from engine_registry import HOOKS
from engine_runner import Hook, Runner

MakeRunner = Callable[..., Runner]


def _log(runner: Runner) -> str:
    return Path(runner.log_dir, f"{runner.timestamp}.log").read_text()


def _scalars(runner: Runner) -> list[dict[str, Any]]:
    lines = Path(runner.log_dir, "vis_data", "scalars.json").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_training_reaches_the_line(make_runner: MakeRunner) -> None:
    runner = make_runner(
        train_cfg={"by_epoch": True, "max_epochs": 60},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.05}},
        param_scheduler=None,
        default_hooks={"checkpoint": {"type": "CheckpointHook", "interval": 60}},
    )

    model = runner.train()

    assert model.linear.bias.item() == pytest.approx(1, abs=0.3)
    assert runner.epoch == 60
    assert runner.iter == 240


def test_training_writes_what_the_manual_promises(make_runner: MakeRunner) -> None:
    runner = make_runner(default_hooks={"logger": {"type": "LoggerHook", "interval": 2}})

    runner.train()

    work, logs = Path(runner.work_dir), Path(runner.log_dir)
    assert sorted(path.name for path in work.glob("*.pth")) == [
        "epoch_1.pth",
        "epoch_2.pth",
        "epoch_3.pth",
    ]
    assert (work / "last_checkpoint").read_text() == str(work / "epoch_3.pth")
    assert logs.parent == work
    assert (logs / f"{logs.name}.log").is_file()
    assert (logs / "vis_data" / "scalars.json").is_file()


def test_log_lines_follow_the_manual(make_runner: MakeRunner) -> None:
    runner = make_runner(default_hooks={"logger": {"type": "LoggerHook", "interval": 2}})

    runner.train()

    log = _log(runner)
    train = (
        r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d - engine - INFO - Epoch\(train\) \[1\]\[2/4\]  "
        r"lr: 1\.\d{4}e-02  eta: 0:00:\d\d  time: \d\.\d{4}  data_time: \d\.\d{4}  loss: \d+\.\d{4}"
    )
    assert re.search(train, log)
    assert re.search(r"Epoch\(val\) \[1\]\[2/4\]  eta: 0:00:00  time: \d\.\d{4}", log)
    assert re.search(r"Epoch\(val\) \[3\]\[4/4\]  error: \d\.\d{4}", log)
    assert re.search(r"Checkpoints will be saved to .*work by LocalBackend\.", log)
    assert log.index("Saving checkpoint at 1 epochs") < log.index("Epoch(val) [1]")
    assert "System environment:" in log


def test_scalars_hold_training_and_validation(make_runner: MakeRunner) -> None:
    runner = make_runner(default_hooks={"logger": {"type": "LoggerHook", "interval": 2}})

    runner.train()

    rows = _scalars(runner)
    losses = [row for row in rows if "loss" in row]
    errors = [row for row in rows if "error" in row]
    assert [row["step"] for row in losses] == [2, 4, 6, 8, 10, 12]
    assert [row["step"] for row in errors] == [1, 2, 3]
    assert {"lr", "time", "data_time", "epoch", "iter"} <= losses[0].keys()


def test_last_partial_interval_is_not_logged(make_runner: MakeRunner) -> None:
    runner = make_runner(default_hooks={"logger": {"type": "LoggerHook", "interval": 3}})

    runner.train()

    assert [row["step"] for row in _scalars(runner) if "loss" in row] == [3, 7, 11]


def test_epoch_shorter_than_the_interval_is_logged_once(make_runner: MakeRunner) -> None:
    runner = make_runner()

    runner.train()

    assert [row["step"] for row in _scalars(runner) if "loss" in row] == [4, 8, 12]


def test_hooks_act_in_the_order_of_the_manual(make_runner: MakeRunner) -> None:
    calls: list[str] = []

    class Recorder(Hook):
        def __getattribute__(self, name: str) -> Any:
            if name in Hook.stages:
                return lambda *args, **kwargs: calls.append(name)
            return super().__getattribute__(name)

    runner = make_runner(train_cfg={"by_epoch": True, "max_epochs": 1}, custom_hooks=[Recorder()])
    runner.train()

    train_iters = ["before_train_iter", "after_train_iter"] * 4
    val_iters = ["before_val_iter", "after_val_iter"] * 4
    assert calls == [
        "before_run",
        "before_train",
        "before_train_epoch",
        *train_iters,
        "after_train_epoch",
        "before_save_checkpoint",
        "before_val",
        "before_val_epoch",
        *val_iters,
        "after_val_epoch",
        "after_val",
        "after_train",
        "after_run",
    ]


def test_building_changes_no_config(settings: Callable[..., dict[str, Any]]) -> None:
    arguments = settings()
    kept = {name: repr(value) for name, value in arguments.items() if isinstance(value, dict)}

    Runner(**arguments).train()

    assert {name: repr(arguments[name]) for name in kept} == kept


def test_same_seed_trains_alike(make_runner: MakeRunner) -> None:
    first = make_runner().train().state_dict()
    second = make_runner().train().state_dict()

    assert all(torch.equal(first[name], second[name]) for name in first)


def test_two_runs_of_a_second_share_nothing(make_runner: MakeRunner) -> None:
    first, second = make_runner(), make_runner()

    assert first.log_dir != second.log_dir
    assert first.experiment_name != second.experiment_name
    assert first.message_hub is not second.message_hub


def test_running_hub_is_the_current_one(make_runner: MakeRunner) -> None:
    runner = make_runner()

    assert MessageHub.get_current_instance() is runner.message_hub


def test_custom_log_of_the_model_is_logged(make_runner: MakeRunner) -> None:
    class Talkative(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(1, 1)

        def forward(self, x: torch.Tensor, y: torch.Tensor, mode: str = "tensor") -> Any:
            loss = (self.linear(x) - y).square().mean()
            MessageHub.get_current_instance().update_scalar("train/doubled", loss.detach() * 2)
            return {"loss": loss} if mode == "loss" else (x, y)

    runner = make_runner(model=Talkative())
    runner.train()

    [first, *_] = [row for row in _scalars(runner) if "loss" in row]
    assert "doubled" in first


def test_iterations_are_counted_without_epochs(make_runner: MakeRunner) -> None:
    runner = make_runner(
        train_cfg={"by_epoch": False, "max_iters": 10, "val_interval": 5},
        default_hooks={
            "checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 4},
            "logger": {"type": "LoggerHook", "interval": 5, "log_metric_by_epoch": False},
        },
        log_processor={"by_epoch": False},
    )

    runner.train()

    assert (runner.iter, runner.epoch) == (10, 2)
    assert sorted(path.name for path in Path(runner.work_dir).glob("*.pth")) == [
        "iter_10.pth",
        "iter_4.pth",
        "iter_8.pth",
    ]
    assert [row["step"] for row in _scalars(runner) if "error" in row] == [5, 10]
    assert "Iter(train) [ 5/10]" in _log(runner) or "Iter(train) [5/10]" in _log(runner)


def test_iterations_shuffle_each_pass_anew(settings: Callable[..., dict[str, Any]]) -> None:
    arguments = settings(train_cfg={"by_epoch": False, "max_iters": 8})
    Runner(**arguments).train()

    asked = arguments["train_dataloader"]["dataset"].asked
    first, second = asked[:12], asked[12:24]
    assert sorted(first) == list(range(12))
    assert first != second


def test_default_hook_is_replaced_and_dropped(make_runner: MakeRunner) -> None:
    runner = make_runner(default_hooks={"timer": None, "checkpoint": {"type": "CheckpointHook"}})

    names = [type(hook).__name__ for hook in runner.hooks]
    assert names == [
        "RuntimeInfoHook",
        "DistSamplerSeedHook",
        "LoggerHook",
        "ModelSummaryHook",
        "CompileReportHook",
        "ParamSchedulerHook",
        "FiniteLossHook",
        "CheckpointHook",
        "SaveOnInterrupt",
        "ProgressBar",
    ]


def test_custom_hook_takes_its_place_by_priority(make_runner: MakeRunner) -> None:
    @HOOKS.register_module(force=True)
    class Early(Hook):
        """Acts early."""

    runner = make_runner(custom_hooks=[{"type": "Early", "priority": "HIGHEST"}])

    assert type(runner.hooks[0]) is Early


@pytest.mark.parametrize("interval", [1, 2, 3])
def test_validation_follows_the_interval_and_the_end(
    make_runner: MakeRunner, interval: int
) -> None:
    runner = make_runner(train_cfg={"by_epoch": True, "max_epochs": 3, "val_interval": interval})

    runner.train()

    validated = [row["step"] for row in _scalars(runner) if "error" in row]
    assert validated == {1: [1, 2, 3], 2: [2, 3], 3: [3]}[interval]


def test_validation_begins_when_told(make_runner: MakeRunner) -> None:
    runner = make_runner(train_cfg={"by_epoch": True, "max_epochs": 3, "val_begin": 2})

    runner.train()

    assert [row["step"] for row in _scalars(runner) if "error" in row] == [2, 3]


def test_shuffle_in_a_dataloader_config_is_refused(make_runner: MakeRunner) -> None:
    with pytest.raises(ValueError, match="sampler=dict"):
        Runner.build_dataloader({"dataset": [1], "shuffle": True})


def test_default_hook_that_does_not_exist_is_not_dropped_in_silence(
    make_runner: MakeRunner,
) -> None:
    with pytest.raises(ValueError, match=r"drops 'checkpont'.*checkpoint"):
        make_runner(default_hooks={"checkpont": None})


def test_misspelt_argument_of_the_checkpoint_hook_is_told_before_the_first_epoch(
    make_runner: MakeRunner,
) -> None:
    runner = make_runner(default_hooks={"checkpoint": {"type": "CheckpointHook", "intervall": 1}})

    with pytest.raises(ValueError, match="'intervall'; did you mean 'interval'"):
        runner.train()
    assert runner.iter == 0


def test_meta_of_the_checkpoint_hook_is_saved(make_runner: MakeRunner) -> None:
    hook = {"type": "CheckpointHook", "interval": 3, "meta": {"classes": ["a"]}}
    runner = make_runner(default_hooks={"checkpoint": hook})

    runner.train()

    checkpoint = torch.load(Path(runner.work_dir, "epoch_3.pth"), weights_only=True)
    assert checkpoint["meta"]["classes"] == ["a"]


@pytest.mark.parametrize(
    "train_cfg",
    [
        {"by_epoch": True, "max_epochs": "many"},
        {"by_epoch": True, "max_epochs": 1.5},
        {"by_epoch": True, "max_epochs": 3, "val_interval": "often"},
        {"by_epoch": True, "max_epochs": 3, "val_interval": 0},
        {"by_epoch": False, "max_iters": None},
        {"by_epoch": False, "max_iters": 3, "val_begin": 0.5},
    ],
    ids=str,
)
def test_number_that_is_none_is_refused(make_runner: MakeRunner, train_cfg: dict[str, Any]) -> None:
    runner = make_runner(train_cfg=train_cfg)

    with pytest.raises(ValueError, match="must be an integer >="):
        runner.train()


@pytest.mark.parametrize("kind", ["LoggerHook", "CheckpointHook"])
@pytest.mark.parametrize("interval", ["1", 1.5, None], ids=str)
def test_interval_of_a_hook_must_be_a_whole_number(
    make_runner: MakeRunner, kind: str, interval: Any
) -> None:
    with pytest.raises(ValueError, match="interval must be an integer >="):
        make_runner(custom_hooks=[{"type": kind, "interval": interval}])


def test_iterations_without_checkpoints_on_the_way_are_warned_of(make_runner: MakeRunner) -> None:
    runner = make_runner(train_cfg={"by_epoch": False, "max_iters": 6})

    runner.train()

    assert "a checkpoint is saved at the end of the training only" in _log(runner)
    assert len(list(Path(runner.work_dir).glob("*.pth"))) == 1


def test_epoch_without_an_end_is_refused(settings: Callable[..., dict[str, Any]]) -> None:
    arguments = settings()
    arguments["train_dataloader"]["sampler"] = {"type": "InfiniteSampler"}

    with pytest.raises(ValueError, match="never ends: train with by_epoch=False"):
        Runner(**arguments).train()


def test_epoch_in_the_log_of_an_iteration_loop_has_no_more_batches_than_there_are(
    make_runner: MakeRunner,
) -> None:
    runner = make_runner(
        train_cfg={"by_epoch": False, "max_iters": 6},
        default_hooks={"logger": {"type": "LoggerHook", "interval": 3}},
    )

    runner.train()

    assert re.search(r"Epoch\(train\) \[1\]\[3/4\](.|\n)*Epoch\(train\) \[2\]\[2/4\]", _log(runner))


def test_second_run_in_a_folder_is_warned_of_the_first(make_runner: MakeRunner) -> None:
    make_runner().train()

    anew, resumed = make_runner(), make_runner(resume=True)
    anew.train()
    resumed.train()

    assert "has checkpoints of an earlier run" in _log(anew)
    assert "has checkpoints of an earlier run" not in _log(resumed)


def test_train_cfg_with_type_and_by_epoch_is_refused(make_runner: MakeRunner) -> None:
    with pytest.raises(ValueError, match="by_epoch only chooses a type, so remove one of them"):
        make_runner(train_cfg={"type": "EpochBasedTrainLoop", "by_epoch": True, "max_epochs": 1})


def test_model_without_a_step_is_refused_before_training(make_runner: MakeRunner) -> None:
    runner = make_runner(model=torch.nn.Linear(1, 1))

    with pytest.raises(RuntimeError, match="Linear has no train_step"):
        runner.train()


def test_learning_rate_scales_to_the_batch(make_runner: MakeRunner) -> None:
    runner = make_runner(auto_scale_lr={"enable": True, "base_batch_size": 6}, param_scheduler=None)

    runner.train()

    assert runner.optim_wrapper.get_lr()["lr"] == [0.05]


def test_custom_epoch_loop_trains_each_batch_twice(make_runner: MakeRunner) -> None:
    from engine_runner import EpochBasedTrainLoop

    class Twice(EpochBasedTrainLoop):
        def run_iter(self, idx: int, data_batch: Any) -> None:
            super().run_iter(idx, data_batch)
            super().run_iter(idx, data_batch)

    runner = make_runner(train_cfg={"type": Twice, "max_epochs": 1})
    runner.train()

    assert runner.iter == 8
