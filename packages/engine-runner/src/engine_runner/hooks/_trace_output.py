"""Write the trace of a profiler: as a table in the log, as files, or by a user's function."""

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch.autograd.profiler_util import EventList
from torch.profiler import profile

from engine_fileio import StorageError, copyfile_from_local
from engine_utils import call_mistakes, did_you_mean, expand_home

_log = logging.getLogger("engine.runner")
_TABLE = {"sort_by": "self_cpu_time_total", "row_limit": 20, "max_name_column_width": 60}
_VIEWER = "open it in https://ui.perfetto.dev or chrome://tracing"


def tb_trace(*, dir_name: str = "tf_tracing_logs", worker_name: str = "rank") -> None:
    """State the keys of ``on_trace_ready=dict(type="tb_trace")``; `TraceOutput` acts on them."""


# The first parameter of `EventList.table` is the list itself.
_TYPES: Mapping[str, Callable[..., Any]] = {
    "log_trace": partial(EventList.table, None),  # type: ignore[arg-type]  # only its signature
    "tb_trace": tb_trace,
}


class TraceOutput:
    """Write each trace of a profiler, once it is ready.

    Without a handler and a path, the operators that took most time are logged as a table.

    Args:
        handler: ``on_trace_ready`` of `ProfilerHook`: a function of the profiler, a config, or
            None.
        json_path: A path or an address for Chrome's JSON format, or None.

    Raises:
        TypeError: ``handler`` is neither a callable nor a mapping.
        ValueError: The type of a config is unknown, or it has an unknown key.
    """

    def __init__(self, handler: Any, json_path: str | None) -> None:
        self._handler: Callable[[profile], Any] | None = handler if callable(handler) else None
        self._json_path = json_path
        self._table: dict[str, Any] | None = None
        self._tensorboard: dict[str, Any] | None = None
        self.traces = 0
        if isinstance(handler, Mapping):
            kind, arguments = _checked(handler)
            if kind == "tb_trace":
                self._tensorboard = arguments
            else:
                self._table = arguments
        elif handler is None and json_path is None:
            self._table = {}
        elif handler is not None and not callable(handler):
            raise TypeError(
                "on_trace_ready must be a callable, or a dict such as dict(type='log_trace'), got "
                f"{handler!r}"
            )

    def write(self, profiler: profile, *, work_dir: str, rank: int | None) -> None:
        """Write a trace.

        Args:
            profiler: The profiler, whose trace is ready.
            work_dir: The folder of the run, in which a relative ``dir_name`` lies.
            rank: The rank of this process, or None in a run of one process.
        """
        self.traces += 1
        if self._handler is not None:
            self._handler(profiler)
        if self._table is not None:
            _log.info(
                "Profile of the recorded part of the run:\n%s",
                profiler.key_averages().table(**{**_TABLE, **self._table}),
            )
        paths = [*self._json_paths(rank), *self._tensorboard_paths(work_dir, rank)]
        if paths:
            self._export(profiler, paths)

    def _json_paths(self, rank: int | None) -> list[str]:
        if self._json_path is None:
            return []
        folder, slash, name = self._json_path.rpartition("/")
        stem, dot, endings = name.partition(".")
        if rank is not None:
            stem += f"_rank{rank}"
        if self.traces > 1:  # a schedule records several times
            stem += f"_{self.traces}"
        return [f"{folder}{slash}{stem}{dot}{endings}"]

    def _tensorboard_paths(self, work_dir: str, rank: int | None) -> list[str]:
        if self._tensorboard is None:
            return []
        options = {"dir_name": "tf_tracing_logs", "worker_name": "rank", **self._tensorboard}
        worker = f"{options['worker_name']}{rank or 0}"
        # The name that TensorBoard's profiler plugin expects; the time keeps files apart.
        name = f"{worker}.{time.time_ns()}.pt.trace.json"
        return [str(Path(work_dir, expand_home(options["dir_name"]), name))]

    def _export(self, profiler: profile, paths: list[str]) -> None:
        with TemporaryDirectory() as folder:
            # Local first: torch writes local files only, and each trace only once.
            local = Path(folder) / Path(paths[0]).name
            try:
                profiler.export_chrome_trace(str(local))
            except RuntimeError as error:
                _log.warning(
                    "The trace of the profiler is not in %s: %s. If on_trace_ready exports it, "
                    "leave json_trace_path out.",
                    *(", ".join(paths), error),
                )
                return
            for path in paths:
                target = expand_home(path)
                try:
                    copyfile_from_local(str(local), target)
                except (OSError, StorageError) as error:  # a training must not end for a trace
                    _log.error("The trace of the profiler is not in %s: %s", target, error)
                else:
                    _log.info("The trace of the profiler is in %s; %s.", target, _VIEWER)


def _checked(handler: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the type of a config and its arguments."""
    arguments = dict(handler)
    kind = arguments.pop("type", None)
    if kind not in _TYPES:
        hint = did_you_mean(kind, _TYPES)
        raise ValueError(
            f"type of on_trace_ready must be one of {', '.join(_TYPES)}, got {kind!r}{hint}"
        )
    for mistake in call_mistakes(_TYPES[kind], arguments):
        raise ValueError(f"on_trace_ready of type {kind!r}: {mistake.message}")
    return kind, arguments
