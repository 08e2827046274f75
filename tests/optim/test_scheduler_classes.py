"""The arguments, documentation and state that the classes of a schedule share."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn, optim

import engine_optim
from engine_optim import _ParamScheduler
from engine_optim.schedulers import LinearLR
from engine_optim.schedulers._base import Value
from engine_optim.schedulers._declare import LRSchedulerMixin, MomentumSchedulerMixin
from engine_utils import call_mistakes

# The keys of a checkpoint that every schedule writes, and those of each: older files hold them.
SHARED = {"param_name", "begin", "end", "by_epoch", "verbose"} | {
    "base_values",
    "last_step",
    "_global_step",
    "_last_value",
}
OWN = {
    "Constant": {"factor", "total_iters"},
    "Linear": {"start_factor", "end_factor", "total_iters"},
    "Exponential": {"gamma"},
    "Step": {"step_size", "gamma"},
    "MultiStep": {"milestones", "gamma"},
    "Poly": {"eta_min", "power", "total_iters"},
    "CosineAnnealing": {"T_max", "eta_min", "eta_min_ratio"},
    "CosineRestart": {"periods", "restart_weights", "starts", "eta_min", "eta_min_ratio"},
    "OneCycle": {"total_steps", "anneal_strategy", "phases"},
}


def test_face_shows_the_arguments_of_its_schedule(family_and_suffix: tuple[str, str]) -> None:
    family, suffix = family_and_suffix
    generic = inspect.signature(getattr(engine_optim, f"{family}ParamScheduler")).parameters

    shown = inspect.signature(getattr(engine_optim, family + suffix)).parameters

    bound = {"param_name"} if suffix != "ParamScheduler" else set()
    assert list(shown) == [name for name in generic if name not in bound]
    assert all(shown[name].default == generic[name].default for name in shown)


def test_face_documents_the_arguments_of_its_schedule(family_and_suffix: tuple[str, str]) -> None:
    text = inspect.getdoc(getattr(engine_optim, "".join(family_and_suffix))) or ""

    assert "Args:" in text
    assert "Example:" in text


def test_state_holds_the_documented_keys(
    family_and_suffix: tuple[str, str], sgd: Callable[..., Any], build: Callable[..., Any]
) -> None:
    state = build(*family_and_suffix, sgd(momentum=0.9)).state_dict()

    assert state.keys() == SHARED | OWN[family_and_suffix[0]]


@pytest.mark.parametrize(
    ("name", "arguments", "mistakes"),
    [
        ("StepLR", {"step_size": 0.5, "gamma": 0.1}, []),
        ("StepLR", {"stepsize": 2}, ["unknown argument stepsize", "missing argument step_size"]),
        ("StepMomentum", {"step_size": "2"}, ["wrong type step_size"]),
        ("MultiStepLR", {"milestones": [8.0, 11]}, []),
        ("OneCycleLR", {"eta_max": [0.1, 0.2], "total_steps": 1.5, "three_phase": True}, []),
        ("OneCycleLR", {"eta_max": "0.1"}, ["wrong type eta_max"]),
    ],
)
def test_arguments_of_a_face_can_be_checked(
    name: str, arguments: dict[str, Any], mistakes: list[str]
) -> None:
    found = call_mistakes(getattr(engine_optim, name), {"optimizer": None, **arguments})

    assert [f"{mistake.kind} {mistake.key}" for mistake in found] == mistakes


def test_subclass_of_a_face_shows_its_own_arguments() -> None:
    class Short(LinearLR):
        """Warms up in ten steps."""

        def __init__(self, optimizer: object, factor: float) -> None:
            super().__init__(optimizer, start_factor=factor, end=10)  # type: ignore[arg-type]  # unused

    assert list(inspect.signature(Short).parameters) == ["optimizer", "factor"]


class HalvedParamScheduler(_ParamScheduler):
    """A schedule with a constructor of its own, as users write it."""

    def __init__(self, optimizer: Any, param_name: str, factor: float = 0.5, **more: Any) -> None:
        self.factor = factor
        super().__init__(optimizer, param_name, **more)

    def _get_value(self) -> list[Value]:
        return [value * self.factor for value in self._current()]


@pytest.mark.parametrize(
    ("mixin", "key"), [(LRSchedulerMixin, "lr"), (MomentumSchedulerMixin, "betas")]
)
def test_mixin_binds_a_schedule_that_is_not_a_dataclass(mixin: type, key: str) -> None:
    suffix: Any = type("Halved", (mixin, HalvedParamScheduler), {})
    optimizer = optim.Adam(nn.Linear(1, 1).parameters(), lr=0.4, betas=(0.8, 0.9))

    scheduler = suffix(optimizer, factor=0.25, begin=0, end=1)

    assert scheduler.param_name == key
    assert scheduler.get_last_value() == [{"lr": 0.1, "betas": 0.2}[key]]
