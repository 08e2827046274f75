"""Evaluation in real processes: every rank returns the values of a single process."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine_fileio import load

if TYPE_CHECKING:
    from conftest import Scripts

SIZE = 11
WORLD_SIZE = 3  # 11 samples leave one rank with padding, one sample leaves two with nothing else
NUMBERS = list(range(SIZE))


def _run(scripts: "Scripts", world_size: int, folder: Path) -> list[dict[str, Any]]:
    script = Path(__file__).with_name("ranks_script.py")
    for rank in scripts.run_ranks(script, folder, folder=folder, size=world_size):
        assert rank.returncode == 0, rank.stdout
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(world_size)]


@pytest.mark.slow
def test_every_rank_gets_exact_results(tmp_path: Path, scripts: "Scripts") -> None:
    ranks = _run(scripts, WORLD_SIZE, tmp_path)
    unreached = [rank.pop("unreached") for rank in ranks]
    failures = [rank.pop("failure") for rank in ranks]
    assert ranks == [ranks[0]] * WORLD_SIZE
    assert failures[0] == "ZeroDivisionError: no positives"
    for failure in failures[1:]:
        assert failure == (
            "MetricError: Failing failed on the main rank: ZeroDivisionError: no positives"
        )
    found = ranks[0]
    for case in ("in order", "shuffled", "not rounded up"):
        assert found[case]["samples/numbers"] == NUMBERS, case
        assert found[case]["batches/sums"] == [SIZE, sum(NUMBERS), 2 * sum(NUMBERS)], case
        assert sorted(found[case]["parts/numbers"]) == sorted(2 * NUMBERS), case
    assert found["without indices"] == {"samples/numbers": NUMBERS}
    assert found["few"] == {"samples/numbers": [5], "batches/sums": [1, 5, 10]}
    assert found["offline"]["samples/numbers"] == NUMBERS
    assert sorted(found["offline"]["parts/numbers"]) == sorted(2 * NUMBERS)
    assert found["dump"] == {}
    predictions = load(tmp_path / "predictions.pkl")
    assert [int(one["number"]) for one in predictions] == NUMBERS
    assert found["through files"] == found["shuffled"] | {"left": []}
    exchanged = load(tmp_path / "exchanged.pkl")
    assert [int(one["number"]) for one in exchanged] == NUMBERS
    for error in unreached[1:]:
        assert error.startswith("FileNotFoundError: ")
        assert "tmpdir must be a folder that all ranks reach; leave it out" in error
    assert unreached[0] != "none"
