"""What only an accelerator shows; skipped where there is none."""

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, default_collate

from engine_runner import Hook, Runner
from engine_runner.hooks import GradientNormHook, ProfilerHook, ThroughputHook

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
Settings = Callable[..., dict[str, Any]]


class WaitingIsAnError(Hook):
    """Let torch raise whenever the host waits for the device, between two log lines."""

    priority = "HIGHEST"
    iterations = 0

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Allow waiting in the iteration that logs."""
        self.iterations += 1
        _raise_when_waiting(self.iterations > 1 and (batch_idx + 1) % 10 != 0)

    def after_train_epoch(self, runner: Runner) -> None:
        """Allow waiting for a checkpoint."""
        _raise_when_waiting(False)


def _raise_when_waiting(raises: bool) -> None:
    with warnings.catch_warnings(action="ignore"):  # torch calls this mode a prototype
        torch.cuda.set_sync_debug_mode("error" if raises else "default")


@pytest.fixture(autouse=True)
def _let_it_wait_again() -> Iterator[None]:
    yield
    if torch.cuda.is_available():
        _raise_when_waiting(False)


def _pinned(settings: Settings, **changes: Any) -> dict[str, Any]:
    arguments = settings(**changes)
    arguments["train_dataloader"] = {**arguments["train_dataloader"], "pin_memory": True}
    arguments["model"].data_preprocessor._non_blocking = True
    return arguments


def test_iteration_that_does_not_log_never_waits_for_the_device(settings: Settings) -> None:
    watch = WaitingIsAnError()
    arguments = _pinned(settings, custom_hooks=[watch])
    arguments["train_cfg"] = {"by_epoch": True, "max_epochs": 10}
    arguments["train_dataloader"]["batch_size"] = 1
    arguments["optim_wrapper"] |= {"clip_grad": {"max_norm": 1.0}}

    Runner(**arguments).train()

    assert watch.iterations == 120


def test_measuring_hooks_wait_only_where_the_run_logs(settings: Settings) -> None:
    hooks = [ThroughputHook(count_flops=False), GradientNormHook(per_module=True)]
    watch = WaitingIsAnError()
    arguments = _pinned(settings, custom_hooks=[watch, *hooks])
    arguments["train_cfg"] = {"by_epoch": True, "max_epochs": 10}
    arguments["train_dataloader"]["batch_size"] = 1

    runner = Runner(**arguments)
    runner.train()

    assert watch.iterations == 120
    names = {name.removeprefix("train/") for name in runner.message_hub.log_scalars}
    assert {"samples_per_s", "peak_memory", "grad_norm", "grad_norm/linear"} <= names


def test_profile_has_the_kernels_of_the_device(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    hook = ProfilerHook(
        by_epoch=False, profile_times=3, activity_with_cuda=True, json_trace_path=path
    )

    Runner(**settings(custom_hooks=[hook])).train()

    events = json.loads(path.read_text())["traceEvents"]
    assert any(event.get("cat") == "kernel" for event in events)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_mixed_precision_trains_and_resumes(settings: Settings, dtype: str) -> None:
    wrapper = {
        "type": "AmpOptimWrapper",
        "dtype": dtype,
        "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9},
    }
    expected = Runner(**settings(optim_wrapper=wrapper)).train().state_dict()

    checkpoint = f"{settings()['work_dir']}/epoch_1.pth"
    resumed = Runner(**settings(optim_wrapper=wrapper, load_from=checkpoint, resume=True))
    state = resumed.train().state_dict()

    assert next(resumed.model.parameters()).is_cuda
    assert all(torch.allclose(expected[name], state[name], atol=1e-3) for name in expected)


def test_memory_is_logged(settings: Settings) -> None:
    runner = Runner(**settings())

    runner.train()

    _, line = runner.log_processor.get_log_after_iter(runner, 0, "train")
    assert "memory: " in line


def test_shuffled_data_by_hand_resumes_at_the_next_batch(settings: Settings) -> None:
    seen: list[list[float]] = []

    class Seen(Hook):
        def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
            seen.append(data_batch[0].flatten().tolist())

    def trained(**changes: Any) -> dict[str, Any]:
        arguments = settings(custom_hooks=[Seen()], **changes)
        generator = torch.Generator().manual_seed(3)
        dataset = arguments["train_dataloader"]["dataset"]
        arguments["train_dataloader"] = DataLoader(
            dataset, 3, shuffle=True, generator=generator, collate_fn=default_collate
        )
        state: dict[str, Any] = Runner(**arguments).train().state_dict()
        return state

    expected = trained()
    whole = seen.copy()
    seen.clear()

    state = trained(load_from=f"{settings()['work_dir']}/epoch_1.pth", resume=True)

    assert seen == whole[len(whole) - len(seen) :]
    assert all(torch.equal(expected[name], state[name]) for name in expected)
