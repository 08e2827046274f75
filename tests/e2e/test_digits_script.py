"""The digits example as a script; in a file of its own, so that another worker runs it."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Scripts

SCRIPT = Path(__file__).parents[2] / "examples" / "digits" / "script.py"


@pytest.mark.slow
def test_script_without_a_config_trains(scripts: "Scripts", tmp_path: Path) -> None:
    done = scripts.run(SCRIPT, folder=tmp_path)

    assert done.returncode == 0, done.stdout
    [accuracy] = re.findall(r"^accuracy: (.+)$", done.stdout, re.M)
    assert float(accuracy) > 0.9
    assert (tmp_path / "work_dirs" / "script" / "epoch_5.pth").is_file()
