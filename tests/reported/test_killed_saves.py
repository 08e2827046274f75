"""A training that is killed at random instants, and resumed, ends as one that was never killed."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Scripts


@pytest.mark.slow
@pytest.mark.parametrize("writer", ["PlainWriter", "AsyncWriter"])
def test_killed_training_ends_with_the_weights_of_one_that_was_not(
    tmp_path: Path, scripts: "Scripts", writer: str
) -> None:
    script = Path(__file__).with_name("kill_saves_script.py")

    done = scripts.run(script, str(tmp_path), writer, "6", folder=tmp_path)

    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("runs") >= 1
    assert found.pop("kills") == 6
    assert set(found.values()) == {0}, done.stdout
