"""``val_cfg=dict(compute_loss=True)``: the losses of a validation beside its metrics."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.runner.conftest import Line, MeanError, Regressor
from torch import Tensor, nn
from torch.utils.data import DataLoader

from engine_evaluator import BaseMetric
from engine_model import BaseModel
from engine_runner import Hook, Runner
from engine_runner._errors import SettingsError

MakeRunner = Callable[..., Runner]


class Parts(Regressor):
    """Two losses and another value, and notes of how they were computed."""

    def __init__(self) -> None:
        super().__init__()
        self.modes: list[tuple[str, bool, bool]] = []

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        self.modes.append((mode, self.training, torch.is_grad_enabled()))
        out = self.linear(self.dropout(x))
        if mode == "loss":
            return {
                "loss_square": (out - y).square().mean(),
                "loss_sizes": [(out - y).abs().mean(), out.abs().mean()],
                "accuracy": (out > y).float().mean(),
            }
        return out, y


def _expected(model: Regressor) -> dict[str, float]:
    x = Line(11).x
    with torch.no_grad():
        out, y = model.linear(x), 3 * x + 1
        square = (out - y).square().mean().item()
        sizes = ((out - y).abs().mean() + out.abs().mean()).item()
    return {"loss_square": square, "loss_sizes": sizes, "loss": square + sizes}


@pytest.mark.parametrize("data", ["config", "loader", "list"])
def test_losses_are_the_means_over_all_samples(make_runner: MakeRunner, data: str) -> None:
    config = {
        "dataset": Line(11),
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
        "batch_size": 3,  # the last batch has two
    }
    forms = {"config": config, "loader": DataLoader(Line(11), 3)}
    model = Parts()

    metrics = make_runner(
        model=model,
        val_dataloader=forms.get(data, list(DataLoader(Line(11), 3))),
        val_cfg={"compute_loss": True},
    ).val()

    assert list(metrics) == ["error", "loss", "loss_square", "loss_sizes"]
    expected = _expected(model)
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, rel=1e-6)
    assert set(model.modes) == {("predict", False, False), ("loss", False, False)}


def test_samples_collated_as_lists_are_counted(make_runner: MakeRunner) -> None:
    class Lists(BaseModel):
        def forward(self, inputs: list[Tensor], mode: str = "tensor") -> Any:
            mean = torch.stack(inputs).mean()
            return {"loss": mean} if mode == "loss" else [mean] * len(inputs)

    class Nothing(BaseMetric):
        def process(self, data_batch: Any, data_samples: Any) -> None:
            self.results += data_samples

        def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
            return {"n": len(results)}

    samples = [{"inputs": torch.full((2,), float(index))} for index in range(5)]
    batches = [{"inputs": [one["inputs"] for one in part]} for part in (samples[:3], samples[3:])]

    metrics = make_runner(
        model=Lists(),
        val_dataloader=batches,
        val_evaluator=Nothing(),
        val_cfg={"compute_loss": True},
    ).val()

    assert metrics == {"n": 5, "loss": 2.0}


def test_losses_without_metrics(make_runner: MakeRunner) -> None:
    runner = make_runner(val_evaluator=[], val_cfg={"compute_loss": True})

    assert list(runner.val()) == ["loss"]


def test_losses_of_a_test_and_of_each_set(make_runner: MakeRunner) -> None:
    loader = DataLoader(Line(), 3)

    runner = make_runner(
        test_dataloader={"a": loader, "b": loader},
        test_cfg={"compute_loss": True},
        test_evaluator={"type": MeanError},
    )

    assert list(runner.test()) == ["a/error", "a/loss", "b/error", "b/loss"]


def test_best_checkpoint_and_plateau_take_the_validation_loss(make_runner: MakeRunner) -> None:
    runner = make_runner(
        val_cfg={"compute_loss": True},
        param_scheduler={"type": "ReduceOnPlateauLR", "monitor": "loss", "rule": "less"},
        default_hooks={
            "checkpoint": {"type": "CheckpointHook", "interval": 1, "save_best": "loss"}
        },
    )
    runner.train()

    scores = runner.message_hub.get_scalar("val/loss").data[0]
    assert runner.message_hub.get_info("best_score") == min(scores)


def test_logged_loss_is_of_one_validation(make_runner: MakeRunner) -> None:
    lines: list[str] = []

    class Note(Hook):
        priority = "LOWEST"

        def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
            lines.append(runner.log_processor.get_log_after_epoch(runner, 4, "val")[1])
            assert f"loss: {metrics['loss']:.4f}" in lines[-1]  # not a mean over validations

    make_runner(val_cfg={"compute_loss": True}, custom_hooks=[Note()]).train()

    assert len(set(lines)) == 3


def test_metric_of_the_name_of_a_loss_raises_with_the_way_out(make_runner: MakeRunner) -> None:
    class Loss(MeanError):
        def compute_metrics(self, results: list[Any]) -> dict[str, float]:
            return {"loss": 0.0}

    runner = make_runner(val_evaluator=Loss(), val_cfg={"compute_loss": True})
    with pytest.raises(SettingsError, match=r"got 'loss' from both; set a prefix of the metric"):
        runner.val()

    prefixed = make_runner(val_evaluator=Loss(prefix="own"), val_cfg={"compute_loss": True})
    assert list(prefixed.val()) == ["own/loss", "loss"]


def test_model_without_losses_raises_with_the_way_out(make_runner: MakeRunner) -> None:
    class Plain(nn.Module):
        def val_step(self, data: Any) -> Any:
            return data

    runner = make_runner(model=Plain(), val_cfg={"compute_loss": True})

    with pytest.raises(SettingsError, match=r"Plain has no data_preprocessor; derive it from"):
        runner.val()


def test_batch_without_a_size_raises_with_the_way_out(make_runner: MakeRunner) -> None:
    class Sizeless(Regressor):
        def _run_forward(self, data: Any, mode: str) -> Any:
            return {"loss": torch.ones(())} if mode == "loss" else (torch.ones(1), torch.ones(1))

    runner = make_runner(
        model=Sizeless(), val_dataloader=[{"x": "text"}], val_cfg={"compute_loss": True}
    )

    with pytest.raises(SettingsError, match=r"needs the number of samples of a batch, got a dict"):
        runner.val()


def test_losses_are_read_once_per_pass(
    make_runner: MakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []

    class Quiet(BaseMetric):
        def process(self, data_batch: Any, data_samples: Any) -> None:
            self.results.append(0)

        def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
            return {}

    runner = make_runner(val_evaluator=Quiet(), val_cfg={"compute_loss": True})

    def noted(name: str, read: Callable[..., Any]) -> Callable[..., Any]:
        def reading(value: Tensor) -> Any:
            if value.is_floating_point():
                reads.append(name)
            return read(value)

        return reading

    for name in ("item", "tolist"):
        monkeypatch.setattr(Tensor, name, noted(name, getattr(Tensor, name)))
    runner.val()

    assert reads == ["tolist"]
