"""SIGTERM to the process group, workers included, costs no finished iteration."""

import json
from pathlib import Path
from typing import Any, Protocol

import pytest


class Scripts(Protocol):
    """The fixture ``scripts`` of the conftest.py above, as far as this test uses it."""

    def run(self, script: Path, *arguments: object, folder: Path) -> Any: ...


Found = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, scripts: Scripts) -> Found:
    """Stop all trainings at once, and return how each ended."""
    folder = tmp_path_factory.mktemp("stopped")
    done = scripts.run(Path(__file__).with_name("stop_script.py"), folder, folder=folder)
    assert done.returncode == 0, done.stdout
    cases: Found = json.loads(done.stdout.splitlines()[-1])
    return cases


# Epochs, iterations and finished validations; each epoch has four iterations.
SAVED = {
    "after a validation": [1, 4, 1],
    "after its last iteration": [1, 4, -1],
    "in a validation": [1, 4, -1],
    "in an iteration": [1, 6, 1],
    "twice": [1, 6, 1],
    "without workers": [1, 4, 1],
}


@pytest.mark.parametrize("point", SAVED)
def test_signal_to_the_group_saves_what_was_trained(found: Found, point: str) -> None:
    assert found[point] == {
        "code": 143,
        "file": "interrupted.pth",
        "counted": SAVED[point],
        "trained weights": True,
    }


def test_signal_while_a_checkpoint_is_saved_leaves_it_whole(found: Found) -> None:
    assert found["while saving"]["code"] == 143
    assert found["while saving"]["counted"][:2] == [3, 12]


def test_signal_before_the_first_iteration_stops(found: Found) -> None:
    assert found["before the first iteration"]["code"] == 143


def test_trained_weights_are_saved_after_a_validation_of_other_weights(found: Found) -> None:
    assert found["in a validation of other weights"] == {
        "code": 143,
        "file": "interrupted.pth",
        "counted": [1, 4, 1],
        "trained weights": True,
    }
