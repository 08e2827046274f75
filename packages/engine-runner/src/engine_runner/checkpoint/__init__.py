"""Checkpoints: what is saved, how it is written, which is the latest and which are kept."""

from engine_runner.checkpoint._accumulation import finish_windows
from engine_runner.checkpoint._best import BestMetric, best_metrics, best_names
from engine_runner.checkpoint._buffers import (
    BufferStates,
    average_buffers,
    saved_buffers,
    values_of_ranks,
    values_of_this_rank,
)
from engine_runner.checkpoint._checkpointer import Checkpointer
from engine_runner.checkpoint._conversion import (
    Converted,
    convert_checkpoint,
    publish_checkpoint,
    require_ending,
)
from engine_runner.checkpoint._finite import BrokenWeightsError, broken_weight, non_finite_weights
from engine_runner.checkpoint._folder import (
    CheckpointFolder,
    backend_args_in,
    checkpoint_folders,
    folder_of,
    require_writable,
    storages_in,
)
from engine_runner.checkpoint._following import Attempt, NewBest, Place, Rotation
from engine_runner.checkpoint._interrupted import save_now
from engine_runner.checkpoint._latest import (
    find_latest_checkpoint,
    latest_checkpoints,
)
from engine_runner.checkpoint._lock import training_in
from engine_runner.checkpoint._manifest import (
    Manifest,
    manifest_path,
    read_manifest,
    remove_manifest,
    verify,
    write_manifest,
)
from engine_runner.checkpoint._marker import (
    MARKER,
    mark_latest_checkpoint,
    marked_at,
    open_for_run,
)
from engine_runner.checkpoint._noted import take_over_former_state
from engine_runner.checkpoint._publication import (
    publish,
    published_keys,
    warn_of_missing_keys,
)
from engine_runner.checkpoint._retention import Retention, kept_by_others, remove_checkpoint
from engine_runner.checkpoint._saving import save_run
from engine_runner.checkpoint._states import (
    OptimizerStates,
    run_states,
)
from engine_runner.checkpoint.writers import (
    AsyncWriter,
    PlainWriter,
    ShardedWriter,
    Writer,
    build_writer,
    require_one_kind,
)

__all__ = [
    "MARKER",
    "AsyncWriter",
    "Attempt",
    "BestMetric",
    "BrokenWeightsError",
    "BufferStates",
    "CheckpointFolder",
    "Checkpointer",
    "Converted",
    "Manifest",
    "NewBest",
    "OptimizerStates",
    "Place",
    "PlainWriter",
    "Retention",
    "Rotation",
    "ShardedWriter",
    "Writer",
    "average_buffers",
    "backend_args_in",
    "best_metrics",
    "best_names",
    "broken_weight",
    "build_writer",
    "checkpoint_folders",
    "convert_checkpoint",
    "find_latest_checkpoint",
    "finish_windows",
    "folder_of",
    "kept_by_others",
    "latest_checkpoints",
    "manifest_path",
    "mark_latest_checkpoint",
    "marked_at",
    "non_finite_weights",
    "open_for_run",
    "publish",
    "publish_checkpoint",
    "published_keys",
    "read_manifest",
    "remove_checkpoint",
    "remove_manifest",
    "require_ending",
    "require_one_kind",
    "require_writable",
    "run_states",
    "save_now",
    "save_run",
    "saved_buffers",
    "storages_in",
    "take_over_former_state",
    "training_in",
    "values_of_ranks",
    "values_of_this_rank",
    "verify",
    "warn_of_missing_keys",
    "write_manifest",
]
