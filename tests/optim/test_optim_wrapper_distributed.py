"""Accumulation in several processes."""

from collections.abc import Callable

import pytest


@pytest.mark.slow
def test_accumulation_exchanges_gradients_once_per_window(run_ranks: Callable[..., None]) -> None:
    run_ranks("ranks_accumulation.py", world_size=2)
