"""Two runners of one process keep their scope, message hub and log apart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine_logging import MessageHub
from engine_registry import VISUALIZERS, DefaultScope, Registry
from engine_runner import Hook, Runner
from engine_visualization import Visualizer


class Write(Hook):
    """Write a number to the current message hub, and keep the current scope's name."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.scopes: list[str] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        MessageHub.get_current_instance().update_info("number", self.number)
        scope = DefaultScope.get_current_instance()
        self.scopes.append("" if scope is None else scope.scope_name)


class LibraryVisualizer(Visualizer):
    """A visualizer that a library registers in a registry of its own."""


def log_text(folder: Path) -> str:
    """Return the text of all log files in a folder."""
    return "".join(path.read_text() for path in sorted(folder.glob("*/*.log")))


@pytest.mark.parametrize("first", [0, 1])
def test_the_current_instances_are_those_of_the_runner_that_trains(
    toy_run: Callable[..., Runner], tmp_path: Path, first: int
) -> None:
    hooks = [Write(0), Write(1)]
    runners = [
        toy_run(
            work_dir=str(tmp_path / str(number)),
            custom_hooks=[hooks[number]],
            default_scope=f"scope_{number}",
            default_hooks={"logger": {"type": "LoggerHook", "interval": 1}},
        )
        for number in range(2)
    ]

    for number in (first, 1 - first):
        runners[number].train()

    for number in range(2):
        assert runners[number].message_hub.get_info("number") == number
        assert set(hooks[number].scopes) == {f"scope_{number}"}
        assert log_text(tmp_path / str(number)).count("[4/4]") == 2


@pytest.mark.parametrize("scope", [None, "library"], ids=["ours", "of-a-library"])
def test_a_visualizer_of_the_same_name_writes_to_the_folder_of_its_own_run(
    toy_run: Callable[..., Runner], tmp_path: Path, scope: str | None
) -> None:
    child = Registry("visualizer", parent=VISUALIZERS, scope="library")
    child.register_module(module=LibraryVisualizer)
    config = {
        "type": "Visualizer" if scope is None else "LibraryVisualizer",
        "name": "visualizer",
        "vis_backends": [{"type": "LocalVisBackend"}],
    }
    runners = [
        toy_run(work_dir=str(tmp_path / str(number)), visualizer=dict(config), default_scope=scope)
        for number in range(2)
    ]

    for runner in reversed(runners):
        runner.train()

    for number in range(2):
        [scalars] = (tmp_path / str(number)).rglob("scalars.json")
        assert scalars.read_text().count("loss") == scalars.read_text().count("\n") > 0
