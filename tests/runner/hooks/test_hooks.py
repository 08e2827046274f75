from typing import Any

import pytest
import torch

from engine_runner import Hook, Priority, get_priority
from engine_runner.hooks import (
    CheckpointHook,
    DistSamplerSeedHook,
    HookList,
    IterTimerHook,
    LoggerHook,
    ParamSchedulerHook,
    RuntimeInfoHook,
)


class Named(Hook):
    def __init__(self, name: str, calls: list[str]) -> None:
        self.name, self.calls = name, calls

    def before_run(self, runner: Any) -> None:
        self.calls.append(self.name)


@pytest.mark.parametrize(
    ("given", "number"),
    [(0, 0), (50, 50), ("VERY_HIGH", 10), ("low", 70), (Priority.LOWEST, 100)],
    ids=str,
)
def test_priority_has_a_number(given: int | str, number: int) -> None:
    assert get_priority(given) == number


@pytest.mark.parametrize("given", [-1, 101, "HIGHER"], ids=str)
def test_priority_out_of_range_is_refused(given: int | str) -> None:
    with pytest.raises(ValueError, match="priority"):
        get_priority(given)


def test_priority_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="float"):
        get_priority(0.5)  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize(
    ("hook", "level"),
    [
        (RuntimeInfoHook, "VERY_HIGH"),
        (IterTimerHook, "NORMAL"),
        (DistSamplerSeedHook, "NORMAL"),
        (LoggerHook, "BELOW_NORMAL"),
        (ParamSchedulerHook, "LOW"),
        (CheckpointHook, "VERY_LOW"),
    ],
)
def test_default_hook_has_the_documented_priority(hook: type[Hook], level: str) -> None:
    assert hook.priority == level


def test_hook_list_calls_by_priority_and_then_by_registration() -> None:
    calls: list[str] = []
    hooks = HookList()
    for name, priority in [("c", "LOW"), ("a", "HIGH"), ("d", "LOW"), ("b", None)]:
        hooks.add(Named(name, calls), priority)

    for method in hooks.methods("before_run"):
        method(None)

    assert calls == ["a", "b", "c", "d"]


def test_hook_list_skips_points_that_no_hook_overrides() -> None:
    hooks = HookList()
    hooks.add(Named("a", []))

    assert hooks.methods("after_run") == ()
    assert hooks.methods("a_point_of_the_users_own") == ()


def test_hook_list_serves_points_of_the_users_own() -> None:
    class Extended(Hook):
        def before_second_loader(self, runner: Any) -> None:
            """Act."""

    hooks = HookList()
    hooks.add(Extended())

    assert len(hooks.methods("before_second_loader")) == 1


def test_hook_list_notices_a_hook_added_later() -> None:
    hooks = HookList()
    assert hooks.methods("before_run") == ()

    hooks.add(Named("a", []))

    assert len(hooks.methods("before_run")) == 1


def test_hook_has_the_22_documented_points() -> None:
    assert len(Hook.stages) == len(set(Hook.stages)) == 22
    assert all(hasattr(Hook, stage) for stage in Hook.stages)


@pytest.mark.parametrize(
    ("index", "n", "expected"), [(9, 10, True), (10, 10, False), (0, 1, True), (5, -1, False)]
)
def test_hook_counts_inner_iterations_from_one(index: int, n: int, expected: bool) -> None:
    assert Hook().every_n_inner_iters(index, n) is expected


@pytest.mark.parametrize(("index", "expected"), [(0, False), (2, True)])
def test_hook_finds_the_last_batch_of_a_loader(index: int, expected: bool) -> None:
    data = torch.utils.data.TensorDataset(torch.zeros(5))
    loader = torch.utils.data.DataLoader(data, batch_size=2)

    assert Hook().end_of_epoch(loader, index) is expected


def test_hook_list_is_changed_like_a_list() -> None:
    class Late(Hook):
        priority = "LOW"

    class First(Hook): ...

    early, late, new, end = Hook(), Late(), First(), Hook()
    hooks = HookList()
    for hook in (late, early):
        hooks.add(hook)

    hooks.insert(0, new)
    hooks.append(end)
    assert list(hooks) == [new, early, late, end]
    hooks.remove(late)
    hooks.add(late)
    assert list(hooks) == [new, early, end, late]
    del hooks[0]
    assert hooks.find("First") is None
    with pytest.raises(TypeError, match="a hook must be a Hook, got str"):
        hooks.append("no hook")  # type: ignore[arg-type]  # what is tested
    assert len(hooks) == 3


def test_hooks_that_are_replaced_by_a_list_keep_names_and_priorities() -> None:
    class Late(Hook):
        priority = "LOW"

    class High(Hook):
        priority = "HIGH"

    hooks = HookList()
    hooks.add(Late(), name="late")
    hooks.add(Hook(), name="dropped")

    replaced = hooks.replaced([hooks.find("late")])  # type: ignore[list-item]  # it is there
    replaced.add(High())

    assert [type(hook) for hook in replaced] == [High, Late]
    assert replaced.find("late") is hooks.find("late")
    assert replaced.find("dropped") is None
