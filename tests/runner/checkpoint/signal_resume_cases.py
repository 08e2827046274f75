"""Runs of two ranks with drawn features that a signal stops, and that are resumed."""

import os
import runpy
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine_dist import get_rank
from engine_runner import Hook, Runner

RUNS = runpy.run_path(str(Path(__file__).with_name("resume_cases.py")))
SEEDS = (0, 6)  # the latter averages buffers; neither saves at that iteration


class Ask(Hook):
    """Send a signal to the last rank in an iteration, so that all ranks save after it and stop."""

    priority = "VERY_HIGH"

    def __init__(self, at: int, in_validation: bool = False) -> None:
        self.at = at

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == self.at and get_rank() == runner.world_size - 1:
            os.kill(os.getpid(), signal.SIGTERM)


def _on_ranks(seed: int) -> Callable[[int, Path], list[str]]:
    def case(rank: int, folder: Path) -> list[str]:
        found: list[str] = RUNS["found_differences"](RUNS["Draw"](seed, folder, ranks=2), Ask)
        return found

    return case


CASES = {f"signal, seed {seed}": _on_ranks(seed) for seed in SEEDS}
