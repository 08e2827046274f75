"""What a checkpoint of a run holds, and how the parts of a run take it back.

Every function here receives the parts themselves, so that each can be tested without a runner.
"""

import logging
import time
from collections.abc import Mapping
from difflib import unified_diff
from typing import Any

from engine_model import gather_tensors, spread_optimizer_state
from engine_runner._progress import Progress

_log = logging.getLogger("engine.runner")
_MOST_CHANGES = 20
_OF_ONE_RUN = ("resume =", "load_from =", "launcher =", "work_dir =")


def describe(counted: Progress, **facts: Any) -> dict[str, Any]:
    """Return a checkpoint's ``meta``: the counters, when it was saved, and further facts."""
    saved = time.strftime("%Y%m%d_%H%M%S")
    return {"epoch": counted.epoch, "iter": counted.iter, "time": saved, **facts}


def scheduler_states(schedulers: Any) -> Any:
    """Return the states of a list of schedulers, or of a mapping of such lists."""
    if isinstance(schedulers, Mapping):
        return {name: scheduler_states(group) for name, group in schedulers.items()}
    return [scheduler.state_dict() for scheduler in schedulers or ()]


def load_scheduler_states(schedulers: Any, states: Any) -> None:
    """Give each scheduler its state back.

    Raises:
        ValueError: The run has other schedulers than the checkpoint.
    """
    if isinstance(schedulers, Mapping):
        if not isinstance(states, Mapping) or states.keys() != schedulers.keys():
            raise ValueError(
                f"the checkpoint holds schedulers for {_names(states)}, the run has "
                f"{_names(schedulers)}; resume with resume_param_scheduler=False to start them anew"
            )
        for name, group in schedulers.items():
            load_scheduler_states(group, states[name])
        return
    if len(states) != len(schedulers):
        raise ValueError(
            f"the checkpoint holds {len(states)} parameter schedulers, the run has "
            f"{len(schedulers)}; resume with resume_param_scheduler=False to start them anew"
        )
    for scheduler, state in zip(schedulers, states, strict=True):
        scheduler.load_state_dict(state)


def optimizer_state(optim_wrapper: Any) -> Any:
    """Return the whole state of one optimizer wrapper, or of several; all ranks must call this."""
    return gather_tensors(optim_wrapper.state_dict())


def load_optimizer_state(optim_wrapper: Any, state: Any) -> None:
    """Give one optimizer wrapper, or several, their state back, each rank what its shards need."""
    optim_wrapper.load_state_dict(state)
    wrappers = optim_wrapper.values() if hasattr(optim_wrapper, "values") else [optim_wrapper]
    for wrapper in wrappers:
        spread_optimizer_state(wrapper.optimizer)


def dataloader_state(dataloader: Any) -> dict[str, Any] | None:
    """Return the position of a loader that can tell it, else ``None``."""
    return dataloader.state_dict() if hasattr(dataloader, "state_dict") else None


def load_progress(checkpoint: Mapping[str, Any]) -> Progress:
    """Return the counters of a checkpoint, written by this engine or by another.

    Raises:
        ValueError: The checkpoint holds weights alone.
    """
    progress = Progress()
    state = checkpoint.get("progress") or checkpoint.get("meta")
    if not isinstance(state, Mapping) or "iter" not in state:
        raise ValueError(
            "the checkpoint says nothing of epoch and iteration, so training cannot be resumed "
            "from it; load its weights alone with resume=False"
        )
    progress.load_state_dict(state)
    return progress


def warn_of_changes(meta: Mapping[str, Any], *, seed: int | None, world_size: int) -> None:
    """Log what differs between the saved run and this one, and keeps it from going on alike."""
    for name, now in (("seed", seed), ("world_size", world_size)):
        before = meta.get(name)
        if before is not None and before != now:
            _log.warning(
                "the checkpoint was saved with %s=%s, this run has %s: it will not go on exactly "
                "as the former would have",
                name,
                before,
                now,
            )


def warn_of_new_config(before: str | None, now: str) -> None:
    """Log which lines of the config have changed since the checkpoint was saved.

    Args:
        before: Text of the config that the checkpoint holds, if it holds one.
        now: Text of this run's config.
    """
    changes = _changed_lines(before or "", now)
    if not before or not now or not changes:
        return
    shown = changes[:_MOST_CHANGES]
    if len(changes) > len(shown):
        shown.append(f"... and {len(changes) - len(shown)} more lines")
    _log.warning(
        "the config has changed since the checkpoint was saved:\n%s\nOptimizers and schedules go "
        "on with the settings that the checkpoint holds; to start them anew from its weights, use "
        "load_from with resume=False",
        "\n".join(shown),
    )


def _changed_lines(before: str, now: str) -> list[str]:
    """Return the lines of two configs that differ, less those that differ from run to run."""
    former, present = (
        [line for line in text.splitlines() if not line.startswith(_OF_ONE_RUN)]
        for text in (before, now)
    )
    changes = unified_diff(former, present, n=0, lineterm="")
    return [line for line in changes if not line.startswith(("---", "+++", "@@"))]


def _names(entries: Any) -> str:
    return ", ".join(sorted(entries)) if isinstance(entries, Mapping) else "one optimizer"
