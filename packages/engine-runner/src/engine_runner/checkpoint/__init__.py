"""Checkpoints of a run: what they hold, where the newest lies, and the state of randomness."""

from engine_runner.checkpoint._content import (
    dataloader_state,
    describe,
    load_optimizer_state,
    load_progress,
    load_scheduler_states,
    optimizer_state,
    scheduler_states,
    warn_of_changes,
    warn_of_new_config,
)
from engine_runner.checkpoint._latest import (
    MARKER,
    checkpoints_beside,
    find_latest_checkpoint,
    mark_latest_checkpoint,
)
from engine_runner.checkpoint._random import capture_random_states, restore_random_states

__all__ = [
    "MARKER",
    "capture_random_states",
    "checkpoints_beside",
    "dataloader_state",
    "describe",
    "find_latest_checkpoint",
    "load_optimizer_state",
    "load_progress",
    "load_scheduler_states",
    "mark_latest_checkpoint",
    "optimizer_state",
    "restore_random_states",
    "scheduler_states",
    "warn_of_changes",
    "warn_of_new_config",
]
