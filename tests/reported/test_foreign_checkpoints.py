"""Checkpoints of another library with the documented layout load and resume, and run no code."""

import logging
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from sys import modules
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

from engine_model import read_checkpoint
from engine_model.weights._foreign import InertUnpickler, UnsafePickleError
from engine_runner import Runner

_MODULE = "mmengine.logging.history_buffer"
_SGD = {"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}}
_STEP = {"type": "MultiStepLR", "milestones": [1], "gamma": 0.5}


class HistoryBuffer:
    """A history as the other library pickles it: by its class and attributes."""

    def __init__(self, values: list[float], private: bool = True) -> None:
        start = "_" if private else ""
        self.__dict__ |= {
            f"{start}log_history": np.array(values),
            f"{start}count_history": np.ones(len(values), dtype=np.int64),
            f"{start}max_length": 1_000_000,
            "_statistics_methods": {"mean": len},
        }


class Explosive:
    """An object that would raise an error if its pickle were run."""

    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('the pickle ran')",)


@contextmanager
def other_library() -> Iterator[None]:
    """Let `HistoryBuffer` be pickled as a class of the other library."""
    parts = ["mmengine", "mmengine.logging", _MODULE]
    with patch.dict(modules, {name: ModuleType(name) for name in parts}):
        modules[_MODULE].HistoryBuffer = HistoryBuffer  # type: ignore[attr-defined]  # a stub
        HistoryBuffer.__module__ = _MODULE
        try:
            yield
        finally:
            HistoryBuffer.__module__ = __name__


@pytest.fixture
def checkpoint(toy_run: Callable[..., Runner], tmp_path: Path) -> dict[str, Any]:
    """Return a checkpoint in the documented layout, after one of two epochs."""
    folder = tmp_path / "first"
    toy_run(optim_wrapper=_SGD, param_scheduler=[_STEP], work_dir=str(folder)).train()
    own = torch.load(folder / "epoch_1.pth", weights_only=True)
    schedule = {**own["param_schedulers"][0], "_get_lr_called_within_step": False}
    return {
        "meta": {
            "epoch": 1,
            "iter": 4,
            "cfg": "model = dict(type='Fit')\n",
            "seed": 0,
            "dataset_meta": {"classes": ("line",)},
            "mmengine_version": "0.10.4",
            "experiment_name": "fit_20230101_000000",
            "time": "20230101_000000",
        },
        "state_dict": own["state_dict"],
        "message_hub": {
            "log_scalars": OrderedDict(
                {
                    "train/loss": HistoryBuffer([3.0, 2.0, 1.0]),
                    "train/lr": HistoryBuffer([0.1], private=False),
                }
            ),
            "runtime_info": OrderedDict(epoch=1, iter=4, best_score=np.float64(0.5), answer=42),
            "resumed_keys": OrderedDict({"train/loss": True, "answer": True}),
        },
        "optimizer": own["optimizer"],
        "param_schedulers": [schedule],
        "ema_state_dict": own["state_dict"],
    }


def resumed(
    toy_run: Callable[..., Runner], checkpoint: dict[str, Any], folder: Path, **changes: Any
) -> Runner:
    """Save the checkpoint as the other library would, and train from it to the end."""
    path = folder / "theirs.pth"
    with other_library():
        torch.save(checkpoint, path)
    settings = {"optim_wrapper": _SGD, "param_scheduler": [_STEP], "resume": True, **changes}
    runner = toy_run(load_from=str(path), **settings)
    runner.train()
    return runner


def test_everything_that_can_be_read_is_resumed(
    toy_run: Callable[..., Runner], checkpoint: dict[str, Any], tmp_path: Path
) -> None:
    runner = resumed(toy_run, checkpoint, tmp_path)

    uninterrupted = toy_run(
        optim_wrapper=_SGD, param_scheduler=[_STEP], work_dir=str(tmp_path / "second")
    )
    uninterrupted.train()
    assert (runner.epoch, runner.iter) == (2, 8)
    for ours, theirs in zip(
        runner.model.parameters(), uninterrupted.model.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
    assert runner.optim_wrapper.get_lr()["lr"] == [pytest.approx(0.05)]
    hub = runner.message_hub
    assert hub.get_scalar("train/loss").data[0][:3].tolist() == [3.0, 2.0, 1.0]
    assert hub.get_info("answer") == 42
    assert hub.get_info("best_score") == 0.5


def test_what_cannot_be_read_is_skipped_with_a_warning_and_runs_no_code(
    toy_run: Callable[..., Runner],
    checkpoint: dict[str, Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub = checkpoint["message_hub"]
    hub["log_scalars"]["train/odd"] = Explosive()
    hub["runtime_info"]["trap"] = [Explosive()]
    checkpoint["meta"]["cfg"] = Explosive()
    checkpoint["param_schedulers"] *= 2
    group = checkpoint["optimizer"]["param_groups"][0]
    checkpoint["optimizer"]["param_groups"] = [group, group]

    with caplog.at_level(logging.WARNING):
        runner = resumed(toy_run, checkpoint, tmp_path)

    assert runner.iter == 8
    assert runner.message_hub.get_info("answer") == 42
    assert "train/odd, trap" in caplog.text
    for name in ("optimizer", "param_schedulers"):
        assert f"{name} of the checkpoint, which another library saved, does not fit" in caplog.text


def test_a_hub_of_another_class_is_skipped(
    toy_run: Callable[..., Runner], checkpoint: dict[str, Any], tmp_path: Path
) -> None:
    checkpoint["message_hub"] = HistoryBuffer([1.0])
    assert resumed(toy_run, checkpoint, tmp_path).iter == 8


def test_states_with_a_loss_scaler_and_base_settings_are_resumed(
    toy_run: Callable[..., Runner], checkpoint: dict[str, Any], tmp_path: Path
) -> None:
    checkpoint["optimizer"] |= {
        "loss_scaler": {"scale": 2.0, "growth_factor": 2.0},
        "base_param_settings": {"params": torch.tensor([0.0]), "lr": 0.1},
    }
    runner = resumed(toy_run, checkpoint, tmp_path)
    momentum = next(iter(runner.optim_wrapper.optimizer.state.values()))["momentum_buffer"]
    assert runner.iter == 8
    assert momentum.abs().sum() > 0


def test_arrays_of_numbers_are_read_and_shared(tmp_path: Path) -> None:
    shared = np.arange(6, dtype=">f4").reshape(2, 3)
    columns = np.asfortranarray(np.array([[1, 2], [3, 4]], dtype=np.int16))
    objects = np.array([Path("a")], dtype=object)
    data = {"a": shared, "again": shared, "columns": columns, "objects": objects}
    path = tmp_path / "arrays.pth"
    torch.save({"note": Path("b"), **data}, path)

    found = read_checkpoint(path)

    np.testing.assert_array_equal(found["a"], shared)
    assert found["again"] is found["a"]
    assert found["a"].flags.writeable
    np.testing.assert_array_equal(found["columns"], columns)
    assert repr(found["objects"]) == "<inert numpy.ndarray>"


def test_an_array_with_missing_values_raises(tmp_path: Path) -> None:
    array = np.arange(4.0)
    broken = pickle.dumps(array, protocol=2)
    assert broken.count(b"K\x04\x85") == 1  # the shape (4,)
    with pytest.raises(UnsafePickleError, match="too few or too many values"):
        InertUnpickler(BytesIO(broken.replace(b"K\x04\x85", b"K\x05\x85"))).load()
