"""Several optimizers under names."""

from typing import Any

import pytest
import torch
from torch import nn

from engine_optim import BaseOptimWrapper, LinearLR, OptimWrapper, OptimWrapperDict


def wrapper(lr: float = 0.01, **options: Any) -> OptimWrapper:
    return OptimWrapper(torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=lr, **options))


@pytest.fixture
def both() -> OptimWrapperDict:
    return OptimWrapperDict(gen=wrapper(0.01), disc=wrapper(0.02, momentum=0.9))


def test_dict_is_traversed_like_a_dict(both: OptimWrapperDict) -> None:
    assert list(both) == list(both.keys()) == ["gen", "disc"]
    assert [name for name, _ in both.items()] == ["gen", "disc"]
    assert list(both.values()) == [both["gen"], both["disc"]]
    assert "gen" in both
    assert "other" not in both
    assert len(both) == 2
    assert isinstance(both, OptimWrapper)
    assert "gen=OptimWrapper" in repr(both)


def test_dict_returns_rates_by_name(both: OptimWrapperDict) -> None:
    assert both.get_lr() == {"gen.lr": [0.01], "disc.lr": [0.02]}
    assert both.get_momentum() == {"gen.momentum": [0], "disc.momentum": [0.9]}


def test_dict_has_groups_and_defaults_by_name(both: OptimWrapperDict) -> None:
    assert both.param_groups["gen"] is both["gen"].param_groups
    assert both.defaults["disc"]["momentum"] == 0.9


def test_dict_saves_and_restores_all(both: OptimWrapperDict) -> None:
    other = OptimWrapperDict(gen=wrapper(1.0), disc=wrapper(1.0))

    other.load_state_dict(both.state_dict())

    assert other.get_lr() == both.get_lr()


def test_dict_raises_for_a_state_with_other_names(both: OptimWrapperDict) -> None:
    with pytest.raises(KeyError, match=r"\['gen'\].*\['disc', 'gen'\]"):
        both.load_state_dict({"gen": both["gen"].state_dict()})


def test_dict_clears_all_gradients(both: OptimWrapperDict) -> None:
    for each in both.values():
        for parameter in each.param_groups[0]["params"]:
            parameter.grad = torch.ones_like(parameter)

    both.zero_grad()

    assert all(p.grad is None for w in both.values() for p in w.param_groups[0]["params"])


@pytest.mark.parametrize(
    "call",
    [
        lambda d: d.update_params(torch.zeros(1)),
        lambda d: d.backward(torch.zeros(1)),
        lambda d: d.step(),
        lambda d: d.optim_context(nn.Linear(1, 1)),
        lambda d: d.should_update(),
        lambda d: d.should_sync(),
        lambda d: d.scale_loss(torch.zeros(1)),
        lambda d: d.inner_count,
        lambda d: d.accumulative_counts,
    ],
    ids=[
        *("update_params", "backward", "step", "optim_context"),
        *("should_update", "should_sync", "scale_loss", "inner_count", "accumulative_counts"),
    ],
)
def test_ambiguous_methods_of_a_dict_raise(call: Any, both: OptimWrapperDict) -> None:
    with pytest.raises(NotImplementedError, match=r"optim_wrapper\['gen'\]"):
        call(both)


def test_dict_count_status_changes_nothing(both: OptimWrapperDict) -> None:
    both.initialize_count_status(nn.Linear(1, 1), 3, 7)

    wrappers: Any = both.values()
    assert [each.inner_count for each in wrappers] == [0, 0]


def test_dict_raises_for_values_that_are_not_wrappers() -> None:
    optimizer: Any = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)

    with pytest.raises(TypeError, match="gen must be an OptimWrapper, got SGD"):
        OptimWrapperDict(gen=optimizer)


def test_dict_raises_for_an_unknown_name_and_lists_the_names(both: OptimWrapperDict) -> None:
    with pytest.raises(KeyError, match="gen, disc"):
        both["generator"]


def test_dict_tracks_base_lr_and_modes_of_all(both: OptimWrapperDict) -> None:
    both.track_base_lr()
    both.eval()

    assert both.get_lr()["disc.base_lr"] == [0.02]
    assert len(both.scheduled_groups["gen"]) == 2


def test_scheduler_of_a_dict_raises_and_suggests_one_per_wrapper(both: OptimWrapperDict) -> None:
    with pytest.raises(TypeError, match="one scheduler for each"):
        LinearLR(both)  # type: ignore[arg-type]


class Plain(BaseOptimWrapper):
    """A wrapper without windows and clipping."""

    def update_params(self, loss: torch.Tensor) -> None:
        self.backward(loss)
        self.step()
        self.zero_grad()

    def backward(self, loss: torch.Tensor, **kwargs: Any) -> None:
        torch.autograd.backward(loss, **kwargs)

    def step(self, **kwargs: Any) -> None:
        self.optimizer.step(**kwargs)


def test_dict_takes_any_wrapper() -> None:
    plain = Plain(torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1))
    both = OptimWrapperDict(plain=plain, usual=wrapper(0.2))
    both.initialize_count_status(nn.Linear(1, 1), 3, 7)
    both.resume_accumulation(both.accumulation())
    both.load_state_dict(both.state_dict())

    assert both["plain"] is plain
    assert both.get_lr() == {"plain.lr": [0.1], "usual.lr": [0.2]}


def test_dict_has_the_norms_of_those_that_clip() -> None:
    model = nn.Linear(1, 1)
    clipping = OptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), clip_grad={"max_norm": 1.0}
    )
    both = OptimWrapperDict(gen=clipping, disc=wrapper(0.1))

    assert both.grad_norms() == {}
    clipping.update_params(model(torch.ones(1, 1)).sum())

    assert both.grad_norms() == {"gen.grad_norm": pytest.approx(2**0.5)}
