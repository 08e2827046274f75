"""What a run does about losses that are NaN, infinite or jump."""

import math
import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runner.hooks.bad_loss_runs import (
    MOMENTUM,
    Data,
    Net,
    assert_equal,
    loader,
    log_of,
    state_of,
)
from torch import Tensor, nn

from engine_dataset import BaseDataset
from engine_model import BaseModel
from engine_optim import OptimWrapper, OptimWrapperDict
from engine_runner import Runner
from engine_runner.hooks import FiniteLossHook
from engine_structures import BaseDataElement

AVERAGES = [
    {"type": "EMAHook", "momentum": 0.3},
    {"type": "EMAHook", "momentum": 0.3, "update_buffers": True},
    {"type": "SWAHook", "by_epoch": False, "update_bn": False},
]


@pytest.mark.parametrize("factor", [math.nan, math.inf], ids=["nan", "infinite"])
@pytest.mark.parametrize("hook", AVERAGES, ids=["ema", "ema of buffers", "swa"])
def test_skip_leaves_no_trace_of_a_bad_batch(
    train: Callable[..., Runner], factor: float, hook: dict[str, Any]
) -> None:
    scheduled = {"type": "ExponentialLR", "gamma": 0.9, "by_epoch": False, "end": 99}
    more: dict[str, Any] = {"param_scheduler": scheduled, "custom_hooks": [hook]}
    runner = train(train_dataloader=loader(Data([6], factor)), on_bad_loss="skip", **more)
    rest = [index for index in range(16) if index not in (6, 7)]
    clean = train("clean", train_dataloader=loader(Data(), rest), **more)

    runner.train()
    clean.train()

    assert_equal(runner, clean)
    assert runner.iter == 8
    assert "The step was left out for loss" in (log := log_of(runner))
    assert "iteration 4; 1 so far. It is the batch 3 of pass 0 over the data: samples 6, 7" in log


def test_skip_changes_nothing_of_a_good_run(train: Callable[..., Runner]) -> None:
    runner, plain = train(on_bad_loss="skip"), train("plain")

    runner.train()
    plain.train()

    assert_equal(runner, plain)
    assert runner.optim_wrapper.guard is None  # only during the training


def test_skip_leaves_out_a_window_of_accumulation_as_a_whole(
    train: Callable[..., Runner],
) -> None:
    wrapper = {**MOMENTUM, "accumulative_counts": 2}
    scheduled = {"type": "ExponentialLR", "gamma": 0.9, "by_epoch": False, "end": 99}
    runner = train(
        train_dataloader=loader(Data([4])),
        optim_wrapper=wrapper,
        on_bad_loss="skip",
        param_scheduler=scheduled,
    )
    rest = [index for index in range(16) if index not in (4, 5, 6, 7)]
    clean = train(
        "clean",
        train_dataloader=loader(Data(), rest),
        optim_wrapper=wrapper,
        param_scheduler=scheduled,
    )

    runner.train()
    clean.train()

    first, second = state_of(runner), state_of(clean)
    assert "for loss nan of iteration 3; 1 so far. It is the batch 2 of pass 0" in log_of(runner)
    # The schedule had counted the first iteration of the window: the next one of its length waits.
    assert first["schedules"] == second["schedules"]
    for name in ("norm.running_mean", "norm.running_var", "0.step"):
        assert torch.equal(first[name], second[name]), name


class Two(BaseModel):
    """Two layers with an optimizer each; the loss of one is bad in the second iteration."""

    def __init__(self, bad: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Linear(1, 1), nn.Linear(1, 1)
        self.bad, self.count = bad, 0

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        self.count += 1
        losses = {}
        for name in ("one", "two"):
            loss = (getattr(self, name)(data[0]) - data[1]).square().mean()
            if name == self.bad and self.count == 2:
                loss = loss + math.nan
            optim_wrapper[name].update_params(loss)
            losses[f"loss_{name}"] = loss
        return losses

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("bad", ["one", "two"])
def test_skip_leaves_out_the_step_of_one_of_several_optimizers(
    train: Callable[..., Runner], bad: str
) -> None:
    model = Two(bad)
    wrappers = OptimWrapperDict(
        **{
            name: OptimWrapper(torch.optim.SGD(getattr(model, name).parameters(), lr=0.1))
            for name in ("one", "two")
        }
    )
    schedule = [{"type": "ExponentialLR", "gamma": 0.5, "by_epoch": False, "end": 99}]
    runner = train(
        model=model,
        optim_wrapper=wrappers,
        on_bad_loss="skip",
        param_scheduler={"one": schedule, "two": schedule},
    )

    runner.train()

    other = "two" if bad == "one" else "one"
    rates = wrappers.get_lr()
    assert rates[f"{bad}.lr"] == [0.1 * 0.5**7]
    assert rates[f"{other}.lr"] == [0.1 * 0.5**8]
    assert all(weight.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize("clip", [None, {"max_norm": 1.0}], ids=["plain", "clipped"])
def test_skip_leaves_the_step_to_a_scaler_that_lowers_its_scale(
    train: Callable[..., Runner], clip: Any
) -> None:
    runner = train(
        train_dataloader=loader(Data([6])),
        optim_wrapper={
            **MOMENTUM, "type": "AmpOptimWrapper", "dtype": "float16", "clip_grad": clip,
            "loss_scale": 1024.0
        },
        on_bad_loss="skip",
        param_scheduler={"type": "ExponentialLR", "gamma": 0.5, "by_epoch": False, "end": 99},
    )  # fmt: skip

    runner.train()

    assert runner.optim_wrapper.loss_scaler.get_scale() == 512
    assert runner.optim_wrapper.get_lr()["lr"] == [0.01 * 0.5**7]
    assert all(value.isfinite().all() for value in runner.model.state_dict().values())
    assert float(runner.optim_wrapper.optimizer.state_dict()["state"][0]["step"]) == 7


def test_skip_leaves_out_a_loss_that_jumps(train: Callable[..., Runner]) -> None:
    runner = train(
        train_cfg={"by_epoch": True, "max_epochs": 5},
        on_bad_loss={"type": "skip", "jump": 50, "window": 40},
        model=Jumping(),
    )

    runner.train()

    assert log_of(runner).count("The step was left out") == 2
    assert float(runner.optim_wrapper.optimizer.state_dict()["state"][0]["step"]) == 38


class Jumping(Net):
    """The net, whose loss is large in the iterations 26 and 30."""

    count = 0

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        self.count += 1
        losses = super().forward(x, y, mode)
        return {"loss": losses["loss"] * (1e4 if self.count in (26, 30) else 1)}


@pytest.mark.parametrize("every", [True, False], ids=["a long run", "a run of 2"])
def test_skip_stops_after_too_many_in_a_row(train: Callable[..., Runner], every: bool) -> None:
    limit = {"in_a_row": 4} if every else {}
    spoiled = range(4, 16) if every else range(16)
    runner = train(train_dataloader=loader(Data(spoiled)), on_bad_loss={"type": "skip", **limit})

    with pytest.raises(ArithmeticError, match=r"in a row|a step must be possible"):
        runner.train()

    assert runner.iter == (5 if every else 8)


def test_skip_counts_go_on_in_a_resumed_run(train: Callable[..., Runner]) -> None:
    data = loader(Data([6]))
    train(train_dataloader=data, on_bad_loss="skip").train()
    runner = train(
        train_dataloader=data,
        on_bad_loss="skip",
        resume=True,
        train_cfg={"by_epoch": True, "max_epochs": 2},
    )

    runner.train()

    assert "iteration 12; 2 so far" in log_of(runner)
    hook = next(hook for hook in runner.hooks if isinstance(hook, FiniteLossHook))
    assert hook.summary == [("steps left out", "2, for a bad loss")]


@pytest.mark.parametrize("action", ["skip", "raise", "warn"])
def test_files_of_data_elements_are_named(train: Callable[..., Runner], action: str) -> None:
    class Elements(Data):
        def __getitem__(self, index: int) -> Any:
            x, y = super().__getitem__(index)
            return {
                "x": x,
                "y": y,
                "sample": BaseDataElement(metainfo={"img_path": f"{index}.png"}),
            }

    class OfElements(Net):
        def forward(self, x: Any, y: Any, mode: str = "tensor", sample: Any = None) -> Any:
            return super().forward(torch.stack(x), torch.stack(y), mode)

    data = {**loader(Elements([6])), "collate_fn": {"type": "pseudo_collate"}}
    hook = {"type": "FiniteLossHook", "action": action}
    runner = train(model=OfElements(), train_dataloader=data, default_hooks={"finite_loss": hook})

    expected: Any = pytest.raises(ArithmeticError) if action == "raise" else nullcontext()
    with expected as caught:
        runner.train()

    text = str(caught.value) if caught else log_of(runner)
    assert re.search(r"It has 6.png, 7.png\.|samples 6, 7 \(6.png, 7.png\)", text)


def test_raise_names_the_step_the_losses_and_the_files(
    train: Callable[..., Runner], tmp_path: Path
) -> None:
    class Files(BaseDataset):
        def load_data_list(self) -> list[dict[str, Any]]:
            return [{"img_path": f"{index}.png", "value": float(index)} for index in range(16)]

    class Parts(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(1, 1)

        def forward(self, value: Any, mode: str = "tensor", **names: Any) -> Any:
            x = torch.as_tensor(value).float()[:, None]
            bad = math.nan if 10.0 in x else 1.0
            loss = self.linear(x).square().mean()
            return {"loss_a": loss, "loss_b": loss * bad, "loss_c": loss * bad}

    data = loader(Files())
    runner = train(model=Parts(), train_dataloader=data, on_bad_loss="raise")

    with pytest.raises(ArithmeticError) as caught:
        runner.train()

    text = str(caught.value)
    assert "loss_b must be finite, got nan at iteration 6" in text
    assert "not finite either: loss_c, loss;" in text
    assert "batch 5 of pass 0 over the data: samples 10, 11 (10.png, 11.png)" in text


def test_raise_stops_at_a_loss_that_jumps(train: Callable[..., Runner]) -> None:
    runner = train(
        train_cfg={"by_epoch": False, "max_iters": 40},
        on_bad_loss={"type": "raise", "jump": 50},
        model=Jumping(),
    )

    with pytest.raises(ArithmeticError, match=r"deviations above the median .* at iteration 26"):
        runner.train()


def test_skip_with_an_optimizer_that_cannot_leave_steps_out_raises(
    train: Callable[..., Runner],
) -> None:
    from engine_optim import BaseOptimWrapper

    class Own(BaseOptimWrapper):
        def update_params(self, loss: Tensor) -> None:
            self.step()

        def backward(self, loss: Tensor, **kwargs: Any) -> None: ...

        def step(self, **kwargs: Any) -> None: ...

    model = Net()
    own = Own(torch.optim.SGD(model.parameters(), lr=0.1))

    with pytest.raises(ValueError, match="got 'skip', which needs an OptimWrapper"):
        train(model=model, optim_wrapper=own, on_bad_loss="skip").train()


def test_short_run_of_a_scaler_without_a_finite_loss_is_an_error(
    train: Callable[..., Runner],
) -> None:
    runner = train(
        train_dataloader=loader(Data(range(16))),
        optim_wrapper={**MOMENTUM, "type": "AmpOptimWrapper", "dtype": "float16"},
    )

    with pytest.raises(ArithmeticError, match="loss must be finite, got nan at iteration 1"):
        runner.train()
