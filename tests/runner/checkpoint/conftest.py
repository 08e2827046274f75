"""Checkpoint files in the layout that the reference documents, made by hand."""

import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

from engine_runner import Runner

MODULE = "mmengine.logging.history_buffer"
EPOCHS = {"checkpoint": {"type": "CheckpointHook", "interval": 1}}
INFOS = {
    "answer": 42,
    "score": np.float64(0.5),
    "cfg": "model = dict(type='Regressor')",
    "dataset_meta": {"classes": ("line",)},
    "experiment_name": "line_20230101_000000",
    "loop_stage": "train",
    "last_ckpt": "work/epoch_1.pth",
}
WITHOUT_VAL = dict.fromkeys(("val_cfg", "val_dataloader", "val_evaluator"))


class Buffer:
    """A history as the reference pickles it: its class by name, and its private attributes."""

    def __init__(self, values: list[float], counts: list[int]) -> None:
        self._log_history = np.array(values)
        self._count_history = np.array(counts)
        self.max_length = 1_000_000
        # Methods of the class, which a pickle names by a call of getattr.
        self._statistics_methods = {"mean": Buffer.mean}

    def mean(self) -> None:
        """Stand for a statistic."""


class Hub:
    """A message hub with private attributes, of any class."""


class Explosive:
    """An object that would end the process if its pickle were run."""

    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('the pickle ran')",)


@contextmanager
def named_as_the_reference(*classes: type) -> Iterator[None]:
    """Let classes be pickled as `HistoryBuffer` of the reference, whether or not it is there."""
    parts = ["mmengine", "mmengine.logging", MODULE]
    with patch.dict(sys.modules, {name: ModuleType(name) for name in parts}):
        for kind in classes:
            former = kind.__module__, kind.__qualname__
            kind.__module__, kind.__qualname__ = MODULE, "HistoryBuffer"
            vars(sys.modules[MODULE])["HistoryBuffer"] = kind
            yield
            kind.__module__, kind.__qualname__ = former


def in_layout(path: Path) -> dict[str, Any]:
    """Return a checkpoint of ours with what the documented layout has, as the reference saves it.

    Optimizers, weights and averages are those of torch, and the attributes of schedules those that
    are documented.
    """
    own = torch.load(path, weights_only=True)
    hub = own["message_hub"]
    kept = ("state_dict", "optimizer", "ema_state_dict")
    return {
        "meta": {
            "epoch": own["progress"]["epoch"],
            "iter": own["progress"]["iter"],
            "cfg": "model = dict(type='Regressor')\n",
            "seed": 3,
            "experiment_name": "line_20230101_000000",
            "time": "20230101_000000",
            "mmengine_version": "0.10.4",
            "dataset_meta": {"classes": ("line",), "palette": np.array([[1, 2, 3]])},
        },
        "message_hub": {
            "log_scalars": OrderedDict(
                (name, Buffer(state["log_history"], state["count_history"]))
                for name, state in hub["log_scalars"].items()
            ),
            "runtime_info": OrderedDict({**hub["runtime_info"], **INFOS}),
            "resumed_keys": OrderedDict({**hub["resumed_keys"], **dict.fromkeys(INFOS, True)}),
        },
        "param_schedulers": _as_documented(own["param_schedulers"]),
        **{name: own[name] for name in kept if name in own},
    }


def _as_documented(states: Any) -> Any:
    if isinstance(states, dict):
        return {name: _as_documented(group) for name, group in states.items()}
    return [
        {
            **state,
            **({"milestones": Counter(state["milestones"])} if "milestones" in state else {}),
            "_get_lr_called_within_step": False,
        }
        for state in states
    ]


Save = Callable[[dict[str, Any]], str]
MakeToy = Callable[..., Runner]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Return a function that saves a checkpoint as the reference would, and returns its path."""

    def write(checkpoint: dict[str, Any]) -> str:
        path = tmp_path / "theirs.pth"
        with named_as_the_reference(Buffer):
            torch.save(checkpoint, path)
        return str(path)

    return write


@pytest.fixture
def toy(make_runner: Callable[..., Runner]) -> MakeToy:
    """Return a function that builds a run whose steps draw no random numbers."""

    def build(**changes: Any) -> Runner:
        settings = {
            "param_scheduler": [
                {"type": "MultiStepLR", "milestones": [1, 2], "gamma": 0.5},
                {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 6},
            ],
            "default_hooks": EPOCHS,
            **WITHOUT_VAL,
        }
        runner = make_runner(**{**settings, **changes})
        dropout = getattr(runner.model, "dropout", None)
        if dropout is not None:
            dropout.p = 0.0
        return runner

    return build


@pytest.fixture(name="in_layout")
def _in_layout() -> Callable[[Path], dict[str, Any]]:
    return in_layout


@pytest.fixture
def explosive() -> type[Explosive]:
    """Return a class whose objects would end the process if their pickle were run."""
    return Explosive


@pytest.fixture
def hub_object() -> Callable[[dict[str, Any]], Any]:
    """Return a function that makes the state of a hub an object, as the first versions saved it."""

    def build(state: dict[str, Any]) -> Any:
        hub = Hub()
        hub.__dict__ |= {f"_{name}": value for name, value in state.items()}
        return hub

    return build


class Called:
    """The class that a file of the reference names, with the documented arguments."""

    def __init__(self, log_history: Any, count_history: Any, max_length: int) -> None:
        assert len(log_history) == len(count_history)
        self.log_history, self.max_length = log_history, max_length


@pytest.fixture
def reference_classes() -> Callable[[], Any]:
    """Return a context in which `HistoryBuffer` of the reference can be imported."""
    return lambda: named_as_the_reference(Called)
