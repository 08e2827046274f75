"""A resumed run with other settings has the values of a run that had them from its start."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine_model import BaseModel
from engine_optim import OptimWrapper, OptimWrapperDict, StepLR, resume_schedules
from engine_runner import Hook, Runner

MakeRun = Callable[..., Runner]

SCHEDULES: dict[str, dict[str, Any] | list[dict[str, Any]]] = {
    "multi_step": {"type": "MultiStepLR", "milestones": [1, 3]},
    "step": {"type": "StepLR", "step_size": 2},
    "exponential": {"type": "ExponentialLR", "gamma": 0.7},
    "linear": {"type": "LinearLR", "start_factor": 0.2},
    "constant": {"type": "ConstantLR", "factor": 0.5},
    "poly": {"type": "PolyLR", "eta_min": 0.01, "power": 0.9},
    "cosine": {"type": "CosineAnnealingLR", "eta_min": 0.001},
    "cosine_own_period": {"type": "CosineAnnealingLR", "T_max": 2},
    "restarts": {"type": "CosineRestartLR", "periods": [1, 2]},
    "one_cycle": {"type": "OneCycleLR", "eta_max": 0.8},
    "momentum": {"type": "CosineAnnealingMomentum", "eta_min": 0.2},
    "linear_momentum": {"type": "LinearMomentum", "start_factor": 0.5},
    "plateau": {"type": "ReduceOnPlateauLR", "monitor": "acc", "rule": "greater", "patience": 0},
    "decay": {"type": "PolyParamScheduler", "param_name": "weight_decay"},
    "warm_up": [
        {"type": "LinearLR", "start_factor": 0.1, "end": 3, "by_epoch": False},
        {"type": "CosineAnnealingLR", "begin": 1},
    ],
}
PER_ITERATION = {"milestones": [4, 12], "step_size": 6, "periods": [4, 9], "T_max": 7}


def counted(schedule: Any, *, by_epoch: bool, convert: bool) -> Any:
    """Return a schedule that counts epochs, iterations, or iterations converted from epochs."""
    if isinstance(schedule, list):
        return [counted(each, by_epoch=by_epoch, convert=convert) for each in schedule]
    if "by_epoch" in schedule or schedule.get("monitor"):
        return schedule
    if convert:
        return {**schedule, "convert_to_iter_based": True}
    if by_epoch:
        return schedule
    changes = {key: PER_ITERATION[key] for key in schedule if key in PER_ITERATION}
    begin = {"begin": 3} if "begin" in schedule else {}
    return {**schedule, **changes, **begin, "by_epoch": False}


class Many(BaseModel):
    """A layer for each schedule."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({name: nn.Linear(1, 1) for name in SCHEDULES})

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        return (x, y)

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        x, _ = self.data_preprocessor(data)
        for name, layer in self.layers.items():
            optim_wrapper[name].update_params(layer(x).square().mean())
        return {"loss": torch.zeros(())}


def wrappers(model: Many, lr: float = 0.1) -> OptimWrapperDict:
    options: dict[str, Any] = {"lr": lr, "weight_decay": 0.01}
    built = {}
    for name, layer in model.layers.items():
        params = list(layer.parameters())
        if name == "linear_momentum":  # the first of betas
            built[name] = OptimWrapper(torch.optim.RAdam(params, **options))
        else:
            built[name] = OptimWrapper(torch.optim.SGD(params, momentum=0.9, **options))
    return OptimWrapperDict(**built)


class Values(Hook):
    """Keep the scheduled values at each iteration."""

    def __init__(self) -> None:
        self.seen: list[dict[str, tuple[float, ...]]] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        rates, momentum = runner.optim_wrapper.get_lr(), runner.optim_wrapper.get_momentum()
        self.seen.append(
            {
                name: (
                    *rates[f"{name}.lr"],
                    *momentum[f"{name}.momentum"],
                    runner.optim_wrapper[name].param_groups[0]["weight_decay"],
                )
                for name in SCHEDULES
            }
        )


@pytest.mark.parametrize("unit", ["epochs", "iterations", "converted"])
def test_prolonged_run_has_the_values_of_the_long_run(
    toy_run: MakeRun, tmp_path: Path, unit: str
) -> None:
    schedules = {
        name: counted(schedule, by_epoch=unit == "epochs", convert=unit == "converted")
        for name, schedule in SCHEDULES.items()
    }

    def train(folder: str, epochs: int, **changes: Any) -> list[dict[str, tuple[float, ...]]]:
        model, hook = Many(), Values()
        toy_run(
            model=model,
            work_dir=str(tmp_path / folder),
            optim_wrapper=wrappers(model),
            param_scheduler=schedules,
            train_cfg={"by_epoch": True, "max_epochs": epochs},
            validate=changes.pop("scores"),
            custom_hooks=[hook],
            **changes,
        ).train()
        return hook.seen

    scores = [0.5, 0.4, 0.6, 0.5, 0.7]
    whole = train("whole", 5, scores=scores)
    train("parts", 2, scores=scores[:2])
    # The checkpoint was saved before the last validation, which a longer training repeats.
    rest = train("parts", 5, scores=scores[1:], resume=True)

    assert len(rest) == 12
    for name in SCHEDULES:
        expected = [values[name] for values in whole[8:]]
        assert [values[name] for values in rest] == expected, name


def sgd_run(toy_run: MakeRun, **changes: Any) -> Runner:
    """Build a run whose optimizer has the options that are given as ``sgd``."""
    options = {"lr": 0.1, "weight_decay": 0.01, **changes.pop("sgd", {})}
    return toy_run(optim_wrapper={"optimizer": {"type": "SGD", **options}}, **changes)


def log_of(runner: Runner) -> str:
    return Path(runner.log_dir, f"{runner.timestamp}.log").read_text()


LONGER = {"by_epoch": True, "max_epochs": 4}


@pytest.mark.parametrize(
    ("before", "after", "lr", "named"),
    [
        ({"milestones": [1]}, {"milestones": [3]}, 0.01, "milestones"),
        ({"milestones": [1], "gamma": 0.5}, {"milestones": [1], "gamma": 0.2}, 0.02, "gamma=0.2"),
    ],
    ids=["milestones", "gamma"],
)
def test_changed_setting_of_a_schedule_counts_from_the_start(
    toy_run: MakeRun, before: dict[str, Any], after: dict[str, Any], lr: float, named: str
) -> None:
    sgd_run(toy_run, param_scheduler={"type": "MultiStepLR", **before}).train()

    runner = sgd_run(
        toy_run,
        param_scheduler={"type": "MultiStepLR", **after},
        train_cfg=LONGER,
        resume=True,
    )
    runner.train()

    assert runner.optim_wrapper.get_lr()["lr"] == [pytest.approx(lr)]
    assert f"Schedule 0 (MultiStepLR) continues with {named}" in log_of(runner)


@pytest.mark.parametrize(
    "schedule", [None, {"type": "StepLR", "step_size": 1}], ids=["none", "step"]
)
def test_changed_options_of_an_optimizer_count(toy_run: MakeRun, schedule: Any) -> None:
    sgd_run(toy_run, param_scheduler=schedule, sgd={"momentum": 0.9}).train()

    runner = sgd_run(
        toy_run,
        param_scheduler=schedule,
        sgd={"lr": 0.3, "weight_decay": 0.2, "momentum": 0.9},
        train_cfg=LONGER,
        resume=True,
    )
    runner.train()

    (group,) = runner.optim_wrapper.param_groups
    assert group["lr"] == pytest.approx(0.3 if schedule is None else 0.3e-3)
    assert (group["weight_decay"], group["momentum"]) == (0.2, 0.9)
    log = log_of(runner)
    assert "continues with weight_decay=0.2 as configured; the checkpoint has 0.01" in log
    assert ("continues with initial lr=0.3 of this run" in log) == (schedule is not None)
    assert ("continues with lr=0.3 as configured" in log) == (schedule is None)


def test_option_that_a_hook_has_lowered_stays_after_a_resume(toy_run: MakeRun) -> None:
    class Lower(Hook):
        def after_train(self, runner: Runner) -> None:
            runner.optim_wrapper.param_groups[0]["lr"] = 0.05

        def after_train_epoch(self, runner: Runner) -> None:
            runner.optim_wrapper.param_groups[0]["lr"] = 0.05

    sgd_run(toy_run, custom_hooks=[Lower()]).train()

    runner = sgd_run(toy_run, train_cfg=LONGER, resume=True)
    runner.train()

    assert runner.optim_wrapper.get_lr()["lr"] == [0.05]
    assert "continues with" not in log_of(runner)


def test_value_that_something_else_has_set_stays_under_a_changed_schedule(
    caplog: pytest.LogCaptureFixture,
) -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    short = StepLR(optimizer, step_size=2, end=2)
    optimizer.step()
    short.step()
    optimizer.param_groups[0]["lr"] = 0.3

    long = StepLR(optimizer, step_size=2, end=9)
    with caplog.at_level(logging.WARNING, logger="engine.optim"):
        resume_schedules([long], [short.state_dict()])
    long.step()

    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.03)
    assert "something else has set it" in caplog.text


def test_unchanged_schedule_resumes_without_a_message(toy_run: MakeRun) -> None:
    def make(epochs: int, **changes: Any) -> Runner:
        schedule = {"type": "StepLR", "step_size": 1, "end": 9}
        cfg = {"by_epoch": True, "max_epochs": epochs}
        return sgd_run(toy_run, param_scheduler=schedule, train_cfg=cfg, **changes)

    make(2).train()
    runner = make(3, resume=True)
    runner.train()

    assert "Schedule 0" not in log_of(runner)
    assert runner.optim_wrapper.get_lr()["lr"] == [pytest.approx(1e-4)]


def test_other_schedule_takes_over_the_steps_of_the_former(toy_run: MakeRun) -> None:
    sgd_run(toy_run, param_scheduler={"type": "StepLR", "step_size": 1}).train()

    runner = sgd_run(
        toy_run,
        param_scheduler={"type": "PolyLR", "begin": 0, "end": 5},
        train_cfg=LONGER,
        resume=True,
    )
    runner.train()

    assert runner.optim_wrapper.get_lr()["lr"] == [pytest.approx(0.0)]
    assert "Schedule 0 (PolyLR) takes the place of another one" in log_of(runner)
