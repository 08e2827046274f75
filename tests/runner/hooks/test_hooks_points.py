"""The points of a run: their order, their shared methods, and intervals from a start."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine_registry import HOOKS
from engine_runner import Hook, Runner
from engine_runner.hooks import HookList, LoggerHook

Make = Callable[..., Runner]

EACH_MODE = [
    f"{when}_{mode}_{unit}"
    for mode in ("train", "val", "test")
    for when in ("before", "after")
    for unit in ("epoch", "iter")
]


class Shared(Hook):
    """Override only the methods that the modes share."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def _before_epoch(self, runner: Any, mode: str = "train") -> None:
        self.calls.append(("before_epoch", mode))

    def _after_epoch(self, runner: Any, mode: str = "train") -> None:
        self.calls.append(("after_epoch", mode))

    def _before_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, mode: str = "train"
    ) -> None:
        self.calls.append(("before_iter", mode, batch_idx, data_batch is not None))

    def _after_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
        mode: str = "train",
    ) -> None:
        self.calls.append(("after_iter", mode, batch_idx, outputs is not None))


class Recorder(Hook):
    """Note each point of a run."""

    def __init__(self) -> None:
        self.points: list[str] = []
        for stage in Hook.stages:
            setattr(self, stage, self._noting(stage))

    def _noting(self, stage: str) -> Callable[..., None]:
        return lambda runner, *args, **kwargs: self.points.append(stage)


def test_shared_methods_act_in_all_modes(make_runner: Make, settings: Any) -> None:
    hook = Shared()
    given = settings()
    runner = make_runner(
        train_cfg={"by_epoch": True, "max_epochs": 1},
        test_dataloader=given["val_dataloader"],
        test_cfg={},
        test_evaluator=given["val_evaluator"],
        custom_hooks=[hook],
    )
    runner.train()
    runner.test()

    for mode in ("train", "val", "test"):
        of_mode = [call for call in hook.calls if call[1] == mode]
        assert of_mode[0] == ("before_epoch", mode)
        assert of_mode[1:3] == [("before_iter", mode, 0, True), ("after_iter", mode, 0, True)]
        assert of_mode[-1] == ("after_epoch", mode)
        assert len(of_mode) == 10


def test_shared_methods_are_listed_at_their_points() -> None:
    assert sorted(Shared().get_triggered_stages()) == sorted(EACH_MODE)


def test_shared_methods_that_nobody_overrides_cost_nothing() -> None:
    class Plain(Hook):
        def before_run(self, runner: Any) -> None:
            """Act."""

    hooks = HookList()
    hooks.add(Plain())

    assert all(hooks.methods(point) == () for point in EACH_MODE)


def test_point_of_a_mode_replaces_the_shared_method() -> None:
    class Mixed(Shared):
        def before_train_epoch(self, runner: Any) -> None:
            self.calls.append(("own",))

        def before_val_epoch(self, runner: Any) -> None:
            super().before_val_epoch(runner)

    hook = Mixed()
    for point in ("before_train_epoch", "before_val_epoch", "before_test_epoch"):
        getattr(hook, point)(None)

    assert hook.calls == [("own",), ("before_epoch", "val"), ("before_epoch", "test")]


@pytest.mark.parametrize(
    ("n", "start", "due"),
    [
        (2, 0, [2, 4, 6]),
        (2, 3, [3, 5, 7]),
        (3, 1, [1, 4, 7]),
        (1, 6, [6, 7]),
        (2, 8, []),
        (0, 0, []),
        (-1, 2, []),
    ],
)
def test_interval_counts_from_its_start(n: int, start: int, due: list[int]) -> None:
    hook = Hook()
    runs: list[Any] = [SimpleNamespace(epoch=count, iter=count) for count in range(7)]

    assert [run.epoch + 1 for run in runs if hook.every_n_epochs(run, n, start)] == due
    assert [run.iter + 1 for run in runs if hook.every_n_train_iters(run, n, start=start)] == due


def test_points_of_a_run_are_in_the_documented_order(make_runner: Make, settings: Any) -> None:
    hook = Recorder()
    given = settings()
    runner = make_runner(
        train_cfg={"by_epoch": True, "max_epochs": 1},
        test_dataloader=given["val_dataloader"],
        test_cfg={},
        test_evaluator=given["val_evaluator"],
        custom_hooks=[hook],
    )
    runner.train()
    runner.test()
    runner.load_checkpoint(f"{runner.work_dir}/epoch_1.pth")

    once = list(dict.fromkeys(hook.points))
    assert once == [
        *("before_run", "before_train", "before_train_epoch", "before_train_iter"),
        *("after_train_iter", "after_train_epoch", "before_save_checkpoint"),
        *("before_val", "before_val_epoch", "before_val_iter", "after_val_iter"),
        *("after_val_epoch", "after_val", "after_train", "after_run"),
        *("before_test", "before_test_epoch", "before_test_iter", "after_test_iter"),
        *("after_test_epoch", "after_test", "after_load_checkpoint"),
    ]
    assert sorted(once) == sorted(Hook.stages)
    assert hook.points.count("before_train_iter") == hook.points.count("after_train_iter") == 4


def test_checkpoint_is_loaded_before_the_training_starts(make_runner: Make) -> None:
    make_runner(train_cfg={"by_epoch": True, "max_epochs": 1}).train()
    hook = Recorder()
    make_runner(
        train_cfg={"by_epoch": True, "max_epochs": 2}, resume=True, custom_hooks=[hook]
    ).train()

    assert hook.points[:3] == ["before_run", "after_load_checkpoint", "before_train"]


@HOOKS.register_module()
class CheckInvalidLossHook(Hook):
    """The hook that the tutorial writes."""

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval
        self.checked: list[int] = []

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if self.every_n_train_iters(runner, self.interval):
            self.checked.append(runner.iter + 1)
            assert torch.isfinite(outputs["loss"]), runner.logger.info("loss is not finite!")


CASES: dict[str, tuple[Any, str]] = {
    "list": ([{"type": "CheckInvalidLossHook", "interval": 5}], "NORMAL"),
    "bare-dict": ({"type": "CheckInvalidLossHook", "interval": 5}, "NORMAL"),
    "priority": (
        {"type": "CheckInvalidLossHook", "interval": 5, "priority": "ABOVE_NORMAL"},
        "ABOVE_NORMAL",
    ),
}


@pytest.mark.parametrize(("given", "level"), CASES.values(), ids=CASES)
def test_hook_of_the_tutorial_checks_the_loss(make_runner: Make, given: Any, level: str) -> None:
    runner = make_runner(custom_hooks=given)
    runner.train()

    [hook] = [hook for hook in runner.hooks if isinstance(hook, CheckInvalidLossHook)]
    assert hook.checked == [5, 10]
    assert f"({level:<12}) CheckInvalidLossHook" in runner.get_hooks_info()


def test_priority_of_a_class_places_its_hooks(make_runner: Make) -> None:
    class Early(CheckInvalidLossHook):
        priority = "ABOVE_NORMAL"

    runner = make_runner(custom_hooks=[Early()])

    assert f"({'ABOVE_NORMAL':<12}) Early" in runner.get_hooks_info()


def test_hook_that_finds_an_infinite_loss_stops_the_training(make_runner: Make) -> None:
    class Infinite(Hook):
        priority = "HIGHEST"

        def after_train_iter(
            self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
        ) -> None:
            outputs["loss"] = torch.tensor(float("inf"))

    with pytest.raises(AssertionError):
        make_runner(
            custom_hooks=[Infinite(), CheckInvalidLossHook(1)],
            default_hooks={"finite_loss": None},
        ).train()


def test_further_names_of_default_hooks_are_added(make_runner: Make) -> None:
    runner = make_runner(
        default_hooks={"visualization": {"type": "CheckInvalidLossHook", "interval": 2}}
    )

    kinds = [type(hook).__name__ for hook in runner.hooks]
    assert "CheckInvalidLossHook" in kinds
    assert {"RuntimeInfoHook", "IterTimerHook", "LoggerHook", "CheckpointHook"} <= set(kinds)


def test_given_default_hook_replaces_only_its_own(make_runner: Make) -> None:
    runner = make_runner(default_hooks={"logger": {"type": "LoggerHook", "interval": 7}})

    kinds = [type(hook).__name__ for hook in runner.hooks]
    [logger] = [hook for hook in runner.hooks if isinstance(hook, LoggerHook)]
    assert logger.interval == 7
    assert {"RuntimeInfoHook", "DistSamplerSeedHook", "ParamSchedulerHook"} <= set(kinds)
