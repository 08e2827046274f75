"""The digits examples as scripts; in a file of its own, so that another worker runs them."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Scripts

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_script_without_a_config_trains(scripts: "Scripts", tmp_path: Path) -> None:
    done = scripts.run(EXAMPLES / "digits" / "script.py", folder=tmp_path)

    assert done.returncode == 0, done.stdout
    [accuracy] = re.findall(r"^accuracy: (.+)$", done.stdout, re.M)
    assert float(accuracy) > 0.9
    assert (tmp_path / "work_dirs" / "script" / "epoch_5.pth").is_file()


@pytest.mark.slow
def test_test_time_augmentation_prints_both_accuracies(scripts: "Scripts", tmp_path: Path) -> None:
    done = scripts.run(EXAMPLES / "test_time_augmentation.py", folder=tmp_path)

    assert done.returncode == 0, done.stdout
    accuracies = re.findall(r"^accuracy(| with test-time augmentation): (.+)$", done.stdout, re.M)
    assert [name for name, _ in accuracies] == ["", " with test-time augmentation"]
    assert all(float(accuracy) > 0.9 for _, accuracy in accuracies)
