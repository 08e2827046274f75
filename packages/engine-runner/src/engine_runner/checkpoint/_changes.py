"""Log what differs between a saved run and the run that resumes it."""

import logging
from collections.abc import Mapping
from difflib import unified_diff
from typing import Any

from engine_runner._protocols import Run
from engine_utils import mask_text

_log = logging.getLogger("engine.runner")
_MOST_CHANGES = 20
_OF_ONE_RUN = ("resume =", "load_from =", "launcher =", "work_dir =")


def warn_of_changes(meta: Mapping[str, Any], run: Run) -> None:
    """Log the facts that keep a resumed run from repeating the saved one.

    Args:
        meta: The checkpoint's ``meta``.
        run: The run that resumes it.
    """
    seed, ranks = meta.get("seed"), meta.get("world_size")
    # A seed that a run has drawn itself differs at each start; the saved state replaces it.
    if run.seed_is_given and seed not in (None, run.seed):
        _log.warning(
            "the checkpoint was saved with seed=%s, this run has %s: random numbers continue as "
            "saved; only code that reads the seed of the run differs",
            seed,
            run.seed,
        )
    if ranks not in (None, run.world_size):
        _log.warning(
            "the checkpoint was saved with world_size=%s, this run has %s: the resumed run will "
            "differ from an uninterrupted one",
            ranks,
            run.world_size,
        )


def warn_of_new_config(before: str | None, now: str) -> None:
    """Log the lines of the config that have changed since the checkpoint was saved.

    Args:
        before: The text of the checkpoint's config, if it has one.
        now: The text of this run's config.
    """
    # A checkpoint of another library may hold another object than text.
    changes = _changed_lines(before, now) if isinstance(before, str) and before and now else []
    if not changes:
        return
    shown = changes[:_MOST_CHANGES]
    if len(changes) > len(shown):
        shown.append(f"... and {len(changes) - len(shown)} more lines")
    _log.warning(
        "the config has changed since the checkpoint was saved:\n%s\nOptimizers and schedules "
        "continue where they ended, with the settings of this config; to restart them from the "
        "checkpoint's weights, use load_from with resume=False",
        "\n".join(shown),
    )


def _changed_lines(before: str, now: str) -> list[str]:
    """Return the lines that differ, without those that differ in every run."""
    # A checkpoint of another program may have the secrets of its config.
    former, present = (
        [line for line in mask_text(text).splitlines() if not line.startswith(_OF_ONE_RUN)]
        for text in (before, now)
    )
    changes = unified_diff(former, present, n=0, lineterm="")
    return [line for line in changes if not line.startswith(("---", "+++", "@@"))]
