"""Save a checkpoint of a run: its states, counters and facts."""

import warnings
from collections.abc import Mapping
from typing import Any, Protocol

from engine_runner._progress import Progress
from engine_runner._protocols import Run, Stateful
from engine_runner.checkpoint._checkpointer import Checkpointer
from engine_runner.checkpoint._meta import dataset_meta
from engine_runner.checkpoint._states import run_states
from engine_runner.parts import Parts


class _Saves(Run, Protocol):
    checkpointer: Checkpointer


def save_run(
    run: _Saves,
    parts: Parts,
    hooks: Stateful,
    *,
    out_dir: str,
    filename: str,
    file_client_args: Mapping[str, Any] | None,
    save_optimizer: bool,
    save_param_scheduler: bool,
    meta: Mapping[str, Any] | None,
    by_epoch: bool,
    backend_args: Mapping[str, Any] | None,
    progress: Progress | None,
) -> str:
    """Save a checkpoint, and return its path; all ranks must call this.

    Args:
        run: The run.
        parts: The parts of the run.
        hooks: The hooks of the run.
        out_dir: The folder, in any storage of engine-fileio.
        filename: The name of the file.
        file_client_args: Older form of ``backend_args``; it warns.
        save_optimizer: Include the optimizers' state.
        save_param_scheduler: Include the schedulers' state.
        meta: Further plain facts.
        by_epoch: Count the epoch that ends now, rather than the iteration.
        backend_args: Arguments of the storage backend.
        progress: The counters to save, in place of that.
    """
    if file_client_args is not None:
        if backend_args is not None:
            raise ValueError("give save_checkpoint either backend_args or file_client_args")
        message = "file_client_args of save_checkpoint is deprecated; use backend_args"
        # Through `Runner.save_checkpoint` and its decorator.
        warnings.warn(message, DeprecationWarning, stacklevel=4)
    counted = run.progress.advanced(epochs=int(by_epoch), iterations=int(not by_epoch))
    include = {"optimizer": save_optimizer, "param_schedulers": save_param_scheduler}
    return run.checkpointer.save(
        run,
        out_dir,
        filename,
        run_states(run, parts, hooks, include, saving=True, whole=not run.checkpointer.sharded),
        progress=progress or counted,
        meta={**dataset_meta(parts), **(meta or {})},
        backend_args=dict(backend_args or file_client_args or {}) or None,
    )
