"""Wrong values of ``on_bad_loss`` raise when the runner is built."""

from collections.abc import Callable
from typing import Any

import pytest

from engine_runner import Runner


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("ignore", "on_bad_loss must be one of raise, skip, rollback, or options"),
        ({"jump": 3}, "on_bad_loss must be one of raise, skip, rollback"),
        ("skipp", "got 'skipp'; did you mean 'skip'"),
        ({"type": "skip", "max_rollbacks": 3}, "max_rollbacks acts with 'rollback', got 'skip'"),
        ({"type": "skip", "window": 30}, "on_bad_loss.window acts with jump alone"),
        ({"type": "skip", "jump": 0}, "on_bad_loss.jump must be a number > 0, got 0"),
        ({"type": "skip", "window": 3, "jump": 9}, "window must be an integer >= 20, got 3"),
        ({"type": "skip", "in_a_row": 0}, "in_a_row must be an integer >= 1, got 0"),
        ({"type": "rollback", "most": 3}, "on_bad_loss has no argument 'most'"),
    ],
    ids=[
        "name",
        "no type",
        "misspelled",
        "no rollback",
        "no jump",
        "jump",
        "window",
        "in_a_row",
        "unknown",
    ],
)
def test_wrong_setting_raises_when_the_runner_is_built(
    make_runner: Callable[..., Runner], value: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_runner(on_bad_loss=value)


def test_setting_beside_its_hook_raises(make_runner: Callable[..., Runner]) -> None:
    with pytest.raises(
        ValueError, match=r"on_bad_loss and default_hooks\.finite_loss are both set"
    ):
        make_runner(on_bad_loss="skip", default_hooks={"finite_loss": None})
