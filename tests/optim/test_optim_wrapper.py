"""OptimWrapper: compared with plain training loops."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from engine_optim import OptimWrapper

Batches = list[tuple[Tensor, Tensor]]
MakeModel = Callable[[], nn.Sequential]


def assert_equal_parameters(first: nn.Module, second: nn.Module) -> None:
    for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def sgd(model: nn.Module, lr: float = 0.1, **options: Any) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=lr, **options)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_update_equals_loop_by_hand(kind: Any, make_model: MakeModel, batches: Batches) -> None:
    ours, theirs = make_model(), make_model()
    wrapper = OptimWrapper(kind(ours.parameters(), lr=0.1))
    optimizer = kind(theirs.parameters(), lr=0.1)

    for inputs, targets in batches:
        with wrapper.optim_context(ours):
            loss = cross_entropy(ours(inputs), targets)
        wrapper.update_params(loss)
        optimizer.zero_grad()
        torch.autograd.backward(cross_entropy(theirs(inputs), targets))
        optimizer.step()

    assert_equal_parameters(ours, theirs)
    assert wrapper.inner_count == len(batches)
    assert wrapper.accumulative_counts == 1
    assert all(parameter.grad is None for parameter in ours.parameters())


@pytest.mark.parametrize("counts", [2, 3, 4, 10, 16])
def test_accumulation_equals_mean_over_each_window(
    counts: int, make_model: MakeModel, batches: Batches
) -> None:
    ours, theirs = make_model(), make_model()
    wrapper = OptimWrapper(sgd(ours), accumulative_counts=counts)
    wrapper.initialize_count_status(ours, 0, len(batches))
    optimizer = sgd(theirs)

    for inputs, targets in batches:
        wrapper.update_params(cross_entropy(ours(inputs), targets))
    for start in range(0, len(batches), counts):
        window = batches[start : start + counts]
        losses = [cross_entropy(theirs(inputs), targets) for inputs, targets in window]
        optimizer.zero_grad()
        torch.autograd.backward(torch.stack(losses).mean())
        optimizer.step()

    assert_equal_parameters(ours, theirs)


def test_accumulation_without_a_known_end_leaves_the_last_window(
    make_model: MakeModel, batches: Batches
) -> None:
    model = make_model()
    wrapper = OptimWrapper(sgd(model), accumulative_counts=3)

    updates = []
    for inputs, targets in batches:
        before = model[0].state_dict()["weight"].clone()
        wrapper.update_params(cross_entropy(model(inputs), targets))
        updates.append(not torch.equal(before, model[0].state_dict()["weight"]))

    assert [index for index, updated in enumerate(updates) if updated] == [2, 5, 8]


def test_resumed_run_has_the_same_windows(make_model: MakeModel) -> None:
    wrapper = OptimWrapper(sgd(make_model()), accumulative_counts=4)
    wrapper.initialize_count_status(make_model(), 8, 11)

    schedule = []
    for _ in range(3):
        scale = float(wrapper.scale_loss(torch.tensor(12.0)))
        sync = wrapper.should_sync()
        wrapper.backward(torch.zeros(1, requires_grad=True).sum())
        schedule.append((scale, sync, wrapper.should_update()))

    assert schedule == [(4.0, False, False), (4.0, False, False), (4.0, True, True)]


def test_resume_inside_a_window_warns(
    make_model: MakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    wrapper = OptimWrapper(sgd(make_model()), accumulative_counts=4)

    wrapper.initialize_count_status(make_model(), 6, 20)

    assert "averages the gradients of 2 iterations" in caplog.text


def test_accumulation_with_batch_norm_warns(caplog: pytest.LogCaptureFixture) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))

    OptimWrapper(sgd(model)).initialize_count_status(model, 0, 10)
    assert not caplog.records
    OptimWrapper(sgd(model), accumulative_counts=2).initialize_count_status(model, 0, 10)

    assert "Batch norm" in caplog.text


def test_context_disables_synchronization_inside_a_window() -> None:
    entered: list[int] = []

    class Replicated(nn.Linear):
        def no_sync(self) -> Any:
            entered.append(wrapper.inner_count)
            return torch.enable_grad()

    model = Replicated(1, 1)
    wrapper = OptimWrapper(sgd(model), accumulative_counts=3)
    wrapper.initialize_count_status(model, 0, 5)

    for _ in range(5):
        with wrapper.optim_context(model):
            wrapper.update_params(model(torch.ones(1, 1)).sum())

    assert entered == [0, 1, 3]


def test_fine_grained_calls_equal_update_params(make_model: MakeModel, batches: Batches) -> None:
    ours, theirs = make_model(), make_model()
    wrapper, reference = OptimWrapper(sgd(ours)), OptimWrapper(sgd(theirs))

    for inputs, targets in batches:
        reference.update_params(cross_entropy(theirs(inputs), targets))
        with wrapper.optim_context(ours):
            wrapper.backward(cross_entropy(ours(inputs), targets), retain_graph=False)
        wrapper.step()
        wrapper.zero_grad()

    assert_equal_parameters(ours, theirs)


def test_update_passes_arguments_to_step_and_zero_grad(make_model: MakeModel) -> None:
    model = make_model()
    received: list[dict[str, Any]] = []

    class Recording(torch.optim.SGD):
        def step(self, closure: Any = None, **kwargs: Any) -> Any:
            received.append(kwargs)

    wrapper = OptimWrapper(Recording(model.parameters(), lr=0.1))

    wrapper.update_params(
        model(torch.ones(1, 4)).sum(), {"scale": 2}, zero_kwargs={"set_to_none": False}
    )

    assert received == [{"scale": 2}]
    assert all(torch.count_nonzero(p.grad) == 0 for p in model.parameters() if p.grad is not None)
    assert model[0].get_parameter("weight").grad is not None


@pytest.mark.parametrize(
    ("kind", "options", "momentum"),
    [
        (torch.optim.SGD, {}, 0),
        (torch.optim.SGD, {"momentum": 0.9}, 0.9),
        (torch.optim.Adam, {"betas": (0.8, 0.99)}, 0.8),
        (torch.optim.Adagrad, {}, 0),
    ],
    ids=["plain", "momentum", "betas", "neither"],
)
def test_rates_are_returned_for_each_group(
    kind: Any, options: dict[str, Any], momentum: float
) -> None:
    groups = [{"params": nn.Linear(1, 1).parameters(), "lr": lr} for lr in (0.01, 0.02)]

    wrapper = OptimWrapper(kind(groups, **options))

    assert wrapper.get_lr() == {"lr": [0.01, 0.02]}
    assert wrapper.get_momentum() == {"momentum": [momentum, momentum]}


def test_rates_in_tensors_are_returned_as_numbers() -> None:
    optimizer = torch.optim.Adam(nn.Linear(1, 1).parameters(), lr=torch.tensor(0.25))

    rates = OptimWrapper(optimizer).get_lr()

    assert rates == {"lr": [0.25]}
    assert type(rates["lr"][0]) is float


def test_state_dict_is_that_of_the_optimizer(make_model: MakeModel, batches: Batches) -> None:
    model = make_model()
    optimizer = sgd(model, momentum=0.9)
    wrapper = OptimWrapper(optimizer)
    wrapper.update_params(cross_entropy(model(batches[0][0]), batches[0][1]))

    state = wrapper.state_dict()
    restored = OptimWrapper(sgd(make_model(), lr=7.0))
    restored.load_state_dict(state)

    assert state.keys() == {"state", "param_groups"}
    assert restored.get_lr() == {"lr": [0.1]}
    assert torch.equal(
        restored.optimizer.state_dict()["state"][0]["momentum_buffer"],
        state["state"][0]["momentum_buffer"],
    )


def test_wrapper_exposes_groups_and_defaults_of_the_optimizer(make_model: MakeModel) -> None:
    optimizer = sgd(make_model())

    wrapper = OptimWrapper(optimizer)

    assert wrapper.param_groups is optimizer.param_groups
    assert wrapper.scheduled_groups is optimizer.param_groups
    assert wrapper.defaults is optimizer.defaults
    assert "SGD" in repr(wrapper)


def test_wrapper_without_an_optimizer_raises_and_names_the_builder() -> None:
    with pytest.raises(TypeError, match="build_optim_wrapper"):
        OptimWrapper({"type": "SGD"})  # type: ignore[arg-type]


@pytest.mark.parametrize("counts", [0, -2, 2.5, "2", None], ids=repr)
def test_window_that_is_not_a_positive_integer_raises(counts: Any, make_model: MakeModel) -> None:
    with pytest.raises(
        ValueError, match=f"accumulative_counts must be an integer >= 1, got {counts!r}"
    ):
        OptimWrapper(sgd(make_model()), accumulative_counts=counts)


@pytest.mark.parametrize("loss", [{"loss": torch.ones(())}, 1.0], ids=["dict", "number"])
def test_update_with_anything_but_a_tensor_raises(loss: Any, make_model: MakeModel) -> None:
    wrapper = OptimWrapper(sgd(make_model()))

    with pytest.raises(
        TypeError, match=rf"loss must be one tensor .* got {type(loss).__name__}; .*parse_losses"
    ):
        wrapper.update_params(loss)


def test_overridden_methods_are_called(make_model: MakeModel) -> None:
    calls: list[str] = []

    class Recording(OptimWrapper):
        def scale_loss(self, loss: Tensor) -> Tensor:
            calls.append("scale_loss")
            return super().scale_loss(loss)

        def backward(self, loss: Tensor, **kwargs: Any) -> None:
            calls.append("backward")
            super().backward(loss, **kwargs)

        def step(self, **kwargs: Any) -> None:
            calls.append("step")
            super().step(**kwargs)

        def zero_grad(self, **kwargs: Any) -> None:
            calls.append("zero_grad")
            super().zero_grad(**kwargs)

    model = make_model()

    Recording(sgd(model)).update_params(model(torch.ones(1, 4)).sum())

    assert calls == ["scale_loss", "backward", "step", "zero_grad"]


def test_modes_reach_an_optimizer_that_has_them(make_model: MakeModel) -> None:
    modes: list[str] = []

    class Averaging(torch.optim.SGD):
        def train(self) -> None:
            modes.append("train")

        def eval(self) -> None:
            modes.append("eval")

    wrapper = OptimWrapper(Averaging(make_model().parameters(), lr=0.1))

    wrapper.train()
    wrapper.eval()
    OptimWrapper(sgd(make_model())).eval()

    assert modes == ["train", "eval"]


def test_nothing_is_logged_in_a_plain_run(
    make_model: MakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "engine")
    model = make_model()
    wrapper = OptimWrapper(sgd(model))
    wrapper.initialize_count_status(model, 0, 10)

    wrapper.update_params(model(torch.ones(1, 4)).sum())

    assert not caplog.records
