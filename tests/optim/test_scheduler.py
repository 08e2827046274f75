"""What all schedulers have in common: intervals, chaining, faces, conversion and resume."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD, Adam

import engine_optim
import engine_optim.scheduler
from engine_optim import (
    ConstantLR,
    CosineAnnealingLR,
    CosineRestartLR,
    ExponentialLR,
    LinearLR,
    LinearMomentum,
    LinearParamScheduler,
    MultiStepLR,
    OneCycleLR,
    OptimWrapper,
    PolyLR,
    ReduceOnPlateauLR,
    StepLR,
    StepMomentum,
    StepParamScheduler,
    _ParamScheduler,
)
from engine_registry import PARAM_SCHEDULERS

FAMILIES: dict[str, dict[str, Any]] = {
    "Constant": {"factor": 0.5, "end": 6},
    "Linear": {"start_factor": 0.2, "end": 6},
    "Exponential": {"gamma": 0.9},
    "Step": {"step_size": 2},
    "MultiStep": {"milestones": [2, 5]},
    "Poly": {"power": 2.0, "end": 8},
    "CosineAnnealing": {"T_max": 5, "eta_min_ratio": 0.1},
    "CosineRestart": {"periods": [3, 4], "restart_weights": [1, 0.5], "eta_min_ratio": 0.1},
    "OneCycle": {"eta_max": 0.5, "total_steps": 9},
}
FACES = [
    (family, face)
    for family in FAMILIES
    for face in ("LR", "Momentum", "ParamScheduler")
    if (family, face) != ("OneCycle", "Momentum")
]


def sgd(lr: float = 0.1, **options: Any) -> SGD:
    return SGD(nn.Linear(1, 1).parameters(), lr=lr, **options)


def values(scheduler: _ParamScheduler, count: int, name: str = "lr") -> list[Any]:
    result = []
    for _ in range(count):
        result.append(scheduler.optimizer.param_groups[0][name])
        scheduler.step()
    return result


def build(family: str, face: str, optimizer: Any, **more: Any) -> Any:
    kind = getattr(engine_optim, family + face)
    name = ("weight_decay",) if face == "ParamScheduler" else ()
    return kind(optimizer, *name, **FAMILIES[family], **more)


@pytest.mark.parametrize(("family", "face"), FACES, ids=lambda item: item)
def test_faces_have_the_same_arithmetic(family: str, face: str) -> None:
    optimizer = sgd(lr=0.4, momentum=0.4, weight_decay=0.4)
    key = {"LR": "lr", "Momentum": "momentum"}.get(face, "weight_decay")
    reference = build(family, "LR", sgd(lr=0.4))

    scheduler = build(family, face, optimizer)

    assert scheduler.param_name == key
    assert values(scheduler, 9, key) == values(reference, 9)
    others = {"lr", "momentum", "weight_decay"} - {key}
    assert all(optimizer.param_groups[0][other] == 0.4 for other in others)


@pytest.mark.parametrize(("family", "face"), FACES, ids=lambda item: item)
def test_faces_are_registered(family: str, face: str) -> None:
    assert PARAM_SCHEDULERS.get(family + face) is getattr(engine_optim, family + face)
    assert hasattr(engine_optim.scheduler, family + face)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("stop", [1, 4, 8])
def test_resume_from_state_continues(family: str, stop: int) -> None:
    whole = values(build(family, "LR", sgd()), 9)
    first = sgd()
    scheduler = build(family, "LR", first)
    for _ in range(stop):
        scheduler.step()

    second = sgd(lr=5.0)
    resumed = build(family, "LR", second)
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(scheduler.state_dict())

    assert values(resumed, 9 - stop) == pytest.approx(whole[stop:])
    assert resumed.get_last_value() == [second.param_groups[0]["lr"]]


@pytest.mark.parametrize("family", FAMILIES)
def test_resume_from_last_step_continues(family: str) -> None:
    whole = values(build(family, "LR", sgd()), 9)
    optimizer = sgd()
    scheduler = build(family, "LR", optimizer)
    for _ in range(3):
        scheduler.step()

    resumed = build(family, "LR", optimizer, last_step=scheduler.last_step)

    assert values(resumed, 5) == pytest.approx(whole[4:])


@pytest.mark.parametrize("family", [*FAMILIES, "ReduceOnPlateau"])
def test_state_is_plain_and_loads_with_weights_only(family: str, tmp_path: Any) -> None:
    kind = getattr(engine_optim, f"{family}LR")
    state = kind(sgd(), **FAMILIES.get(family, {})).state_dict()

    torch.save(state, tmp_path / "state.pth")

    assert torch.load(tmp_path / "state.pth", weights_only=True) == state
    assert "optimizer" not in state


def test_resume_without_initial_values_is_an_error() -> None:
    with pytest.raises(KeyError, match="initial_lr"):
        LinearLR(sgd(), last_step=4)


@settings(max_examples=40, deadline=None)
@given(begin=st.integers(0, 10), length=st.integers(1, 10))
def test_interval_shifts_the_schedule(begin: int, length: int) -> None:
    shifted = values(LinearLR(sgd(), start_factor=0.1, begin=begin, end=begin + length), 25)
    plain = values(LinearLR(sgd(), start_factor=0.1, end=length), 25)

    assert shifted[:begin] == [0.1] * begin
    assert shifted[begin:] == plain[: 25 - begin]


@pytest.mark.parametrize("length", [1, 2, 50], ids=str)
def test_linear_ends_at_the_full_value(length: int) -> None:
    assert values(LinearLR(sgd(), start_factor=0.001, end=length), length + 3)[
        length - 1 :
    ] == pytest.approx([0.1] * 4)


def test_constant_gives_the_value_back() -> None:
    assert values(ConstantLR(sgd(), factor=0.5, begin=1, end=4), 6) == pytest.approx(
        [0.1, 0.05, 0.05, 0.1, 0.1, 0.1]
    )
    assert values(ConstantLR(sgd(), factor=0, end=3), 5) == pytest.approx([0, 0, 0.1, 0.1, 0.1])


def test_warm_up_then_cosine_join() -> None:
    optimizer = sgd()
    schedulers = [
        LinearLR(optimizer, start_factor=0.001, by_epoch=False, begin=0, end=100),
        CosineAnnealingLR(optimizer, T_max=800, by_epoch=False, begin=100, end=900),
    ]

    lrs = []
    for _ in range(1000):
        lrs.append(optimizer.param_groups[0]["lr"])
        for scheduler in schedulers:
            scheduler.step()

    assert lrs[0] == pytest.approx(0.0001)
    assert lrs[99] == lrs[100] == pytest.approx(0.1)
    assert lrs[500] == pytest.approx(0.05)
    assert lrs[899] == lrs[999] < 1e-6


def test_gap_between_intervals_keeps_the_value() -> None:
    optimizer = sgd()
    schedulers = [
        LinearLR(optimizer, start_factor=0.5, end=5),
        ExponentialLR(optimizer, gamma=0.5, begin=8, end=11),
    ]

    lrs = []
    for _ in range(12):
        lrs.append(optimizer.param_groups[0]["lr"])
        for scheduler in schedulers:
            scheduler.step()

    assert lrs[4:9] == pytest.approx([0.1] * 5)
    assert lrs[9:] == pytest.approx([0.05, 0.025, 0.025])


def test_overlapping_schedulers_act_in_turn() -> None:
    optimizer = sgd(lr=1.0)
    schedulers = [ExponentialLR(optimizer, gamma=0.5), StepLR(optimizer, 2, gamma=0.1)]

    lrs = []
    for _ in range(5):
        lrs.append(optimizer.param_groups[0]["lr"])
        for scheduler in schedulers:
            scheduler.step()

    assert lrs == pytest.approx([1, 0.5, 0.025, 0.0125, 0.000625])


def test_fractional_intervals_are_accepted() -> None:
    optimizer = sgd()
    flat = ConstantLR(optimizer, factor=1, begin=0, end=10 * 0.75)
    cosine = CosineAnnealingLR(optimizer, T_max=10 * 0.25, begin=10 * 0.75, end=10)

    lrs = []
    for _ in range(10):
        lrs.append(optimizer.param_groups[0]["lr"])
        flat.step()
        cosine.step()

    assert lrs[:9] == pytest.approx([0.1] * 9)
    assert lrs[9] < 0.1
    assert values(LinearLR(sgd(), 0.5, end=2.5), 4) == pytest.approx([0.05, 0.075, 0.1, 0.1])


@pytest.mark.parametrize(
    ("kind", "settings_"),
    [
        (MultiStepLR, {"milestones": [2, 3]}),
        (StepLR, {"step_size": 2}),
        (CosineAnnealingLR, {"T_max": 5}),
        (CosineAnnealingLR, {"end": 5}),
        (CosineRestartLR, {"periods": [2, 3], "restart_weights": [1, 0.5]}),
        (OneCycleLR, {"eta_max": 0.5, "total_steps": 6}),
        (PolyLR, {"end": 5, "power": 0.9}),
        (ConstantLR, {"begin": 1, "end": 3}),
        (LinearLR, {"begin": 1.5, "end": 3}),
        (ExponentialLR, {"gamma": 0.5}),
    ],
    ids=lambda item: item.__name__ if isinstance(item, type) else "",
)
def test_epoch_settings_become_iterations(kind: Any, settings_: dict[str, Any]) -> None:
    length = 7
    factors = {"begin", "end", "T_max", "step_size", "total_steps"}
    by_iteration = {k: int(v * length) if k in factors else v for k, v in settings_.items()}
    for key in ("milestones", "periods"):
        if key in settings_:
            by_iteration[key] = [v * length for v in settings_[key]]
    if "gamma" in settings_:
        by_iteration["gamma"] = settings_["gamma"] ** (1 / length)

    converted = kind.build_iter_from_epoch(sgd(), epoch_length=length, **settings_)

    assert converted.by_epoch is False
    assert values(converted, 40) == pytest.approx(
        values(kind(sgd(), by_epoch=False, **by_iteration), 40)
    )


def test_exponential_conversion_takes_gamma_by_position() -> None:
    converted = ExponentialLR.build_iter_from_epoch(sgd(), 0.5, epoch_length=4)

    assert values(converted, 9)[::4] == pytest.approx([0.1, 0.05, 0.025])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epoch_length": None}, "epoch_length=None"),
        ({"epoch_length": 0}, "epoch_length=0"),
        ({"epoch_length": 3, "by_epoch": False}, "by_epoch=False"),
    ],
)
def test_conversion_that_cannot_be_is_an_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StepLR.build_iter_from_epoch(sgd(), step_size=1, **options)


def test_config_with_convert_to_iter_based_builds_from_epochs() -> None:
    cfg = {"type": "MultiStepLR", "milestones": [8, 11], "convert_to_iter_based": True}

    scheduler = PARAM_SCHEDULERS.build(cfg, default_args={"optimizer": sgd(), "epoch_length": 10})

    assert isinstance(scheduler, MultiStepLR)
    assert scheduler.milestones == {80: 1, 110: 1}
    assert scheduler.by_epoch is False


def test_momentum_of_adam_is_the_first_of_betas() -> None:
    optimizer = Adam(nn.Linear(1, 1).parameters(), betas=(0.8, 0.99))

    scheduler = LinearMomentum(optimizer, start_factor=0.5, end=3)

    assert values(scheduler, 3, "betas") == [(0.4, 0.99), (pytest.approx(0.6), 0.99), (0.8, 0.99)]


def test_momentum_of_neither_kind_is_an_error() -> None:
    optimizer = torch.optim.Adagrad(nn.Linear(1, 1).parameters())

    with pytest.raises(ValueError, match="neither 'momentum' nor 'betas'"):
        StepMomentum(optimizer, 1)


def test_tensor_values_are_changed_in_place() -> None:
    rate = torch.tensor(0.5)
    optimizer = Adam(nn.Linear(1, 1).parameters(), lr=rate)
    scheduler = ExponentialLR(optimizer, gamma=0.5)
    one_cycle = OneCycleLR(optimizer, eta_max=1.0, total_steps=4, begin=1)

    scheduler.step()
    kept = scheduler.get_last_value()
    one_cycle.step()

    assert optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == pytest.approx(0.04)
    assert float(kept[0]) == 0.25


@pytest.mark.parametrize("count", [1, 3])
def test_every_group_follows_from_its_own_value(count: int) -> None:
    groups = [{"params": nn.Linear(1, 1).parameters(), "lr": 0.1 * (i + 1)} for i in range(count)]
    optimizer = SGD(groups)
    scheduler = StepLR(optimizer, 1, gamma=0.5)

    scheduler.step()

    expected = [0.05 * (index + 1) for index in range(count)]
    assert scheduler.get_last_value() == pytest.approx(expected)


def test_wrapper_is_scheduled_like_its_optimizer() -> None:
    wrapper = OptimWrapper(sgd())

    LinearLR(wrapper, start_factor=0.5, end=3)

    assert wrapper.get_lr() == {"lr": [0.05]}


def test_last_value_before_the_interval_is_the_current_one() -> None:
    scheduler = LinearLR(sgd(), begin=5, end=8)

    assert scheduler.get_last_value() == [0.1]
    assert scheduler.last_step == -1


def test_verbose_logs_each_value(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "engine")

    scheduler = StepLR(sgd(), 1, gamma=0.5, verbose=True)
    scheduler.step()
    scheduler.print_value(False, 0, 1.0)

    assert [record.getMessage() for record in caplog.records] == [
        "Adjusting lr of group 0 to 1.0000e-01.",
        "Adjusting lr of group 0 to 5.0000e-02.",
    ]


def test_unknown_parameter_names_the_choices() -> None:
    with pytest.raises(KeyError, match="weight_decay"):
        StepParamScheduler(sgd(), "decay", 1)


def test_base_class_asks_for_the_schedule() -> None:
    with pytest.raises(NotImplementedError, match="_get_value"):
        _ParamScheduler(sgd(), "lr")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: LinearLR(o, begin=3, end=3), "hold no step"),
        (lambda o: LinearLR(o, start_factor=0), "start_factor=0"),
        (lambda o: LinearLR(o, end_factor=2), "end_factor=2"),
        (lambda o: ConstantLR(o, factor=1.5), "factor=1.5"),
        (lambda o: StepLR(o, 0), "step_size=0"),
        (lambda o: ExponentialLR(o, 0.9, decay_steps=0), "decay_steps=0"),
        (lambda o: CosineAnnealingLR(o, T_max=0), "T_max=0"),
        (lambda o: CosineAnnealingLR(o, 5, eta_min=0, eta_min_ratio=0.1), "give one"),
        (lambda o: CosineRestartLR(o, []), "must be positive"),
        (lambda o: CosineRestartLR(o, [1, 2, 3], [1, 2]), "2 restart_weights for 3 periods"),
        (lambda o: OneCycleLR(o, 1.0), "give total_steps"),
        (lambda o: OneCycleLR(o, 1.0, total_steps=0), "total_steps=0"),
        (lambda o: OneCycleLR(o, 1.0, 10, pct_start=2.0), "pct_start=2.0"),
        (lambda o: OneCycleLR(o, 1.0, 10, anneal_strategy="exp"), "choose 'cos' or 'linear'"),
        (lambda o: OneCycleLR(o, [1.0, 2.0], 10), "2 values of eta_max for 1"),
        (lambda o: ReduceOnPlateauLR(o, factor=1.0), "factor=1.0"),
        (lambda o: ReduceOnPlateauLR(o, rule="min"), "choose 'less' or 'greater'"),
        (lambda o: ReduceOnPlateauLR(o, threshold_rule="x"), "choose 'rel' or 'abs'"),
        (lambda o: ReduceOnPlateauLR(o, min_value=[0.0, 0.0]), "2 values of min_value for 1"),
    ],
)
def test_wrong_settings_are_errors(make: Callable[[SGD], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(sgd())


def test_one_cycle_ends_with_the_cycle() -> None:
    scheduler = OneCycleLR(sgd(), eta_max=1.0, total_steps=5)

    lrs = values(scheduler, 5)
    assert scheduler.get_last_value() == [pytest.approx(lrs[-1])]
    with pytest.raises(ValueError, match="total_steps=5"):
        scheduler.step()


def test_one_cycle_takes_its_length_from_the_interval() -> None:
    by_interval = values(OneCycleLR(sgd(), eta_max=1.0, begin=0, end=8), 8)

    assert by_interval == values(OneCycleLR(sgd(), eta_max=1.0, total_steps=8), 8)


def test_cosine_restart_starts_each_period_from_its_weight() -> None:
    scheduler = CosineRestartLR(sgd(), periods=[2, 3], restart_weights=[1, 0.5], eta_min=0.02)

    lrs = values(scheduler, 8)

    assert lrs[0] == pytest.approx(0.1)
    assert lrs[2] == pytest.approx(0.02 + 0.5 * 0.08)
    assert lrs[5:] == pytest.approx([0.02] * 3)


def test_plateau_counts_training_steps_without_metrics() -> None:
    scheduler = ReduceOnPlateauLR(sgd(), patience=0, begin=2, end=4)

    lrs = []
    for _ in range(6):
        scheduler.step({"loss": 1.0})
        lrs.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.step()

    assert lrs == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.01, 0.01])
    assert scheduler.need_val_args


def test_plateau_reads_the_metric_it_is_told() -> None:
    scheduler = ReduceOnPlateauLR(sgd(), monitor="acc/top1", rule="greater", patience=0)

    scheduler.step({"acc/top1": torch.tensor(0.5), "loss": 3.0})
    scheduler.step({"acc/top1": torch.tensor(0.4), "loss": 1.0})

    assert scheduler.get_last_value() == pytest.approx([0.01])


def test_plateau_names_the_metrics_there_are() -> None:
    scheduler = ReduceOnPlateauLR(sgd(), monitor="acc")

    with pytest.raises(KeyError, match="bleu, loss"):
        scheduler.step({"loss": 1.0, "bleu": 2.0})
    with pytest.raises(TypeError, match="float"):
        scheduler.step(1.0)  # type: ignore[arg-type]


def test_scheduler_shows_its_interval() -> None:
    scheduler = LinearParamScheduler(sgd(), "lr", begin=1, end=9)

    assert repr(scheduler) == (
        "LinearParamScheduler(param_name='lr', begin=1, end=9, by_epoch=True, last_step=-1)"
    )
