"""`ModelSummaryHook`: what it logs, and that the training is as without it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runner.conftest import Line
from torch import distributed, nn
from torch.utils.data import DataLoader, IterableDataset

from engine_model.analysis import measure_cost
from engine_runner import Runner
from engine_runner.hooks import Hook, ModelSummaryHook

MakeRunner = Callable[..., Runner]
Settings = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _no_compiled_functions() -> Iterator[None]:
    """Let no function of an earlier test be compiled, as in a fresh process."""
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()
    yield
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()


def _log(runner: Runner) -> str:
    return next(Path(runner.log_dir).glob("*.log")).read_text()


def test_summary_logs_size_and_operations_before_the_first_line(make_runner: MakeRunner) -> None:
    runner = make_runner()
    runner.train()

    text = _log(runner)
    size = "Model Regressor: 2 parameters, 2 of them trained, 8B"
    passed = "Forward pass: 2 FLOPs per sample, 3 samples per batch; a multiply-add is two FLOPs"
    assert text.count(size) == text.count(passed) == 1
    assert text.index(size) < text.index(passed) < text.index("Epoch(train) [1]")


class Stream(IterableDataset[Any]):
    """Four samples without a length."""

    def __iter__(self) -> Iterator[Any]:
        return iter([Line()[index] for index in range(4)])


def test_operations_of_a_stream_are_per_sample_of_its_batches(make_runner: MakeRunner) -> None:
    runner = make_runner(train_dataloader=DataLoader(Stream(), batch_size=2), param_scheduler=None)
    runner.train()

    assert "2 samples per batch; a multiply-add" in _log(runner)


def test_table_is_in_the_log_file_with_the_operations_of_a_batch(
    make_runner: MakeRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = make_runner()
    runner.train()

    table = _log(runner).split("Model by module, FLOPs per batch:\n")[1].splitlines()
    assert [line.split() for line in table[:3]] == [
        ["module", "type", "parameters", "trainable", "FLOPs"],
        ["-", "Regressor", "2", "2", "6"],
        ["data_preprocessor", "BaseDataPreprocessor", "0", "0", "0"],
    ]


def test_frozen_parameters_are_not_counted_as_trained(settings: Settings) -> None:
    arguments = settings()
    arguments["model"].linear.bias.requires_grad_(False)
    runner = Runner(**arguments)
    runner.train()

    assert "2 parameters, 1 of them trained" in _log(runner)


def test_training_is_equal_bit_for_bit_with_and_without_the_summary(
    settings: Settings, tmp_path: Path
) -> None:
    weights, states = [], []
    for name, hooks in (("with", {}), ("without", {"model_summary": None})):
        arguments = settings(work_dir=str(tmp_path / name), default_hooks=hooks)
        arguments["model"].norm = nn.BatchNorm1d(1)
        runner = Runner(**arguments)
        runner.train()
        weights.append([*runner.model.parameters(), *runner.model.buffers()])
        states.append(torch.get_rng_state())

    assert all(map(torch.equal, *weights))
    assert torch.equal(*states)


@pytest.mark.parametrize("by_epoch", [True, False], ids=["epochs", "iterations"])
def test_summary_counts_the_training_not_a_validation_before_it(
    settings: Settings, by_epoch: bool
) -> None:
    class ValidateFirst(Hook):
        def before_train_epoch(self, runner: Any) -> None:
            if runner.iter == 0:
                runner.val_loop.run()

    train = {"max_epochs": 1} if by_epoch else {"max_iters": 2}
    arguments = settings(
        train_cfg={"by_epoch": by_epoch, **train},
        custom_hooks=[{"type": ValidateFirst, "priority": "LOWEST"}],
    )
    arguments["val_dataloader"] = {**arguments["val_dataloader"], "batch_size": 6}
    runner = Runner(**arguments)
    runner.train()

    assert _log(runner).count("2 FLOPs per sample, 3 samples per batch") == 1
    assert "- Regressor 2 2 6" in " ".join(_log(runner).split())


def test_without_flops_the_table_has_parameters_only(make_runner: MakeRunner) -> None:
    hook = {"type": "ModelSummaryHook", "flops": False, "max_depth": 0}
    runner = make_runner(default_hooks={"model_summary": hook})
    runner.train()

    text = _log(runner)
    assert "Forward pass" not in text
    table = text.split("Model by module:\n")[1].splitlines()
    assert table[0].split() == ["module", "type", "parameters", "trainable"]
    assert "data_preprocessor" not in table[2]


def test_compiled_model_is_summarized_without_operations(make_runner: MakeRunner) -> None:
    runner = make_runner(compile={"backend": "eager"})
    runner.train()

    text = _log(runner)
    assert "Model Regressor: 2 parameters" in text
    assert "Forward pass" not in text


def test_failed_first_step_leaves_no_counter_on_the_model(settings: Settings) -> None:
    class Broken(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("broken")

    arguments = settings()
    arguments["model"].dropout = Broken()
    runner = Runner(**arguments)
    with pytest.raises(RuntimeError, match="broken"):
        runner.train()

    modules = list(runner.model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)


def test_model_whose_step_does_not_call_it_is_summarized(settings: Settings) -> None:
    arguments = settings()
    model = arguments["model"]

    def train_step(data: Any, optim_wrapper: Any) -> dict[str, torch.Tensor]:
        loss: torch.Tensor = model.linear(data[0]).square().mean()
        optim_wrapper.update_params(loss)
        return {"loss": loss}

    model.train_step = train_step
    runner = Runner(**arguments)
    runner.train()

    assert "Forward pass" not in _log(runner)  # neither of the training nor of a validation
    assert not model._forward_hooks


@pytest.mark.parametrize("depth", [-1, 1.5, "2"], ids=str)
def test_wrong_depth_raises(depth: Any) -> None:
    with pytest.raises(ValueError, match="max_depth must be an integer >= 0, got"):
        ModelSummaryHook(max_depth=depth)


def test_logged_operations_equal_the_measured_cost(settings: Settings) -> None:
    arguments = settings()
    arguments["model"].linear = nn.Sequential(nn.Linear(1, 64), nn.LayerNorm(64), nn.Linear(64, 1))
    runner = Runner(**arguments)
    runner.train()

    x = torch.zeros(3, 1)
    total = measure_cost(runner.model, x, x).flops
    assert f"Forward pass: {total // 3} FLOPs per sample" in _log(runner)


def test_sharded_model_is_summarized_as_a_whole_without_operations(
    settings: Settings, tmp_path: Path
) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        runner = Runner(**settings(strategy="FSDPStrategy"))
        runner.train()
    finally:
        distributed.destroy_process_group()

    text = _log(runner)
    assert "Model Regressor: 2 parameters, 2 of them trained, 8B" in text
    assert "Forward pass" not in text
    assert "Model by module:" in text
