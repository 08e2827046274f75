"""Each collective in real process groups of 1, 2 and 4 ranks; see ranks.py and the checks."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NAMES = [
    name
    for file in sorted(Path(__file__).parent.glob("*_checks.py"))
    for name in re.findall(r"^def check_(\w+)\(", file.read_text(), flags=re.MULTILINE)
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 2, 4], ids=["one", "two", "four"])
def test_group_of_real_processes(
    ranks: Callable[[str], tuple[Path, dict[str, Any]]], size: int, name: str
) -> None:
    folder, ended = ranks("groups")
    failures = {}
    for rank in range(size):
        process = ended[f"{size}_{rank}"]
        assert process.end == 0, f"rank {rank} of {size} ended by {process.end}:\n{process.output}"
        report = json.loads((folder / str(size) / f"report_{rank}.json").read_text())
        if report[f"check_{name}"]:
            failures[rank] = report[f"check_{name}"]

    assert not failures, "\n".join(f"rank {rank}:\n{text}" for rank, text in failures.items())
