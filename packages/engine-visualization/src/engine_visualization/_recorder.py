"""Call a tracking backend so that its failures neither end a run nor stall it."""

import inspect
import json
import logging
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import numpy as np

from engine_utils import plain_value
from engine_visualization._record_queue import (
    RecordQueue,
    close_at_exit,
    keep_open_at_exit,
    returns_within,
)
from engine_visualization.backends import BaseVisBackend

_logger = logging.getLogger("engine.visualization")

_LONGEST_REASON = 200  # characters
# A backend may attach hooks to the model, which must not happen in the middle of an iteration.
_GRAPH_TIMEOUT = 10.0
_NUMBERED = ("add_scalar", "add_scalars", "add_image")
_SAVED = ("add_scalar", "add_scalars")  # images are too large for a checkpoint
# How long the training waits for one record of a backend that does not set `threaded`, and for a
# state of any backend.
_RECORD_TIMEOUT, _STATE_TIMEOUT = 0.5, 5.0


class Recorder:
    """Call one backend, and log its first failure as a warning.

    A backend is called in a thread, from a bounded queue, unless it sets ``threaded = False``. The
    values of a record are copied before, if the training does not wait for the record.

    Args:
        name: The name of the backend, for the log.
        backend: The backend.

    Attributes:
        name: The name of the backend.
        backend: The backend.
        lost: The number of records that failed.
        records: The number of scalars and images of the whole training.

    Example:
        >>> class Broken(BaseVisBackend):
        ...     def add_scalar(self, name, value, step=0, **kwargs):
        ...         raise OSError("no space left")
        >>> recorder = Recorder("broken", Broken("logs"))
        >>> recorder.record("add_scalar", name="loss", value=0.5)
        >>> recorder.lost
        1
    """

    def __init__(self, name: str, backend: BaseVisBackend) -> None:
        self.backend = backend
        self.lost = 0
        self.records = 0
        self.name = name
        self._has_warned = False
        self._queue: RecordQueue | None = None
        self._waits = backend.threaded is None
        if backend.threaded is not False:
            self._queue = RecordQueue(name, backend, self._call, self._drop, pauses=not self._waits)
        # The config of a service that can continue a run; the next record passes it on. Before, a
        # resumed training has named the run to continue.
        self._config: dict[str, Any] | None = None
        continues = type(backend).resume is not BaseVisBackend.resume
        self._holds = bool(backend.threaded) and continues
        self._process = uuid4().hex  # distinguishes a rollback from a resumed process
        self._has_state = True

    @property
    def is_queued(self) -> bool:
        """Whether the backend is called in a thread."""
        return self._queue is not None

    def record(self, method: str, **arguments: Any) -> None:
        """Call ``add_config``, ``add_graph``, ``add_image``, ``add_scalar`` or ``add_scalars``."""
        if _does_nothing(self.backend, method):
            return  # at once: the graph would wait for the start of a service that takes none
        self.records += method in _NUMBERED
        if "iteration" in arguments and not _takes_iteration(self.backend):
            del arguments["iteration"]
        if self._queue is None:
            self._call(method, arguments)
            return
        close_at_exit(self)
        if self._holds and method == "add_config":
            self._config = arguments
            return
        self._pass_config()
        image = arguments.get("image")
        weight = 1 + getattr(image, "nbytes", 0) // (1 << 18)
        values = arguments if self._waits else _copied(arguments)
        self._queue.put(method, values, weight)
        if method == "add_graph":
            self._queue.wait(_GRAPH_TIMEOUT)
        elif self._waits and not self._queue.wait(_RECORD_TIMEOUT):
            self._waits = False
            self._warn(
                f"takes longer than {_RECORD_TIMEOUT:g} s in {method}, and is not waited for"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the backend, with its folder and the number of its records.

        It has the scalars that the service may not have written yet, too, because a killed process
        loses them. It is empty if the backend fails.
        """
        if not self._has_state:
            return {}
        queue = self._queue
        pending = [] if queue is None or not self._holds else queue.unwritten()
        saved = [[method, values] for method, values in pending if _is_plain(method, values)]
        own = {
            "save_dir": self.backend.save_dir,
            "records": self.records,
            "pending": saved,
            "process": self._process,
        }
        states: list[dict[str, Any]] = []
        if queue is None:
            self._call_state(states)
        elif not returns_within(_STATE_TIMEOUT, lambda: self._call_state(states)):
            self._has_state = False
            self._drop(f"did not return from state_dict within {_STATE_TIMEOUT:g} s", 0)
        return {**own, **states[0]} if states else {}

    def _call_state(self, states: list[dict[str, Any]]) -> None:
        try:
            states.append(self.backend.state_dict())
        except Exception as error:
            self._drop(f"failed in state_dict: {reason_of(error)}", 0)

    def resume(self, state: Mapping[str, Any], save_dir: str) -> None:
        """Let the backend continue an earlier record; see `BaseVisBackend.resume`.

        A run that rolls back may have pending records: the backend gets them before.
        """
        records = int(state.get("records", 0))
        pending = [] if state.get("process") == self._process else list(state.get("pending", ()))
        self.records = records - len(pending)
        arguments = {"state": {**state, "records": self.records}, "save_dir": save_dir}
        if self._queue is None:
            self._call("resume", arguments)
        else:
            waits = self._queue.is_idle
            self._queue.put("resume", arguments, weight=0)
            if waits:  # the folder of the backend may change
                self._queue.wait(_STATE_TIMEOUT)
        for method, values in pending:
            if method in _SAVED:
                self.record(method, **values)

    def _pass_config(self) -> None:
        config, self._config = self._config, None
        if config is not None and self._queue is not None:
            self._queue.put("add_config", config)

    def close(self) -> None:
        """Close the backend, and log the number of records that failed.

        A backend in a thread gets ``close_timeout`` seconds for its pending records.
        """
        if self._queue is None:
            self._call("close", {})
        else:
            self._pass_config()
            keep_open_at_exit(self)
            self._queue.close()
        if self.lost:
            _logger.info("%d records of this run are not in %r", self.lost, self.name)
            self.lost = 0

    def _call(self, method: str, arguments: Mapping[str, Any]) -> bool:
        """Call the backend, and return whether it succeeded."""
        try:
            getattr(self.backend, method)(**arguments)
        except BaseException as error:
            # In the main thread, SystemExit and such may come from a handler of a signal. In the
            # thread of a queue they can only be the backend's, and would end it in silence.
            if not isinstance(error, Exception) and self._queue is None:
                raise
            self._drop(f"failed in {method}: {reason_of(error)}", int(method.startswith("add_")))
            return False
        return True

    def _drop(self, reason: str, records: int) -> None:
        """Count lost records, and log the reason for the first ones."""
        self.lost += records
        self._warn(reason)

    def _warn(self, reason: str) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        _logger.warning(
            "the tracking backend %r %s; the run continues, and further failures of this "
            "backend are not logged; check its service and settings, or remove it from "
            "vis_backends",
            self.name,
            reason,
        )


def _is_plain(method: str, values: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint can hold a record."""
    if method not in _SAVED:
        return False
    try:
        json.dumps(values)
    except (TypeError, ValueError):
        return False
    return True


def _does_nothing(backend: BaseVisBackend, method: str) -> bool:
    """Return whether a backend leaves a method as its base class has it."""
    return getattr(type(backend), method, None) is getattr(BaseVisBackend, method)


def _takes_iteration(backend: BaseVisBackend) -> bool:
    """Return whether ``add_scalars`` of a backend takes any keywords, as that of its base does."""
    parameters = inspect.signature(backend.add_scalars).parameters
    return any(one.kind is one.VAR_KEYWORD for one in parameters.values())


def reason_of(error: BaseException) -> str:
    """Return an exception as one short line."""
    kind = type(error).__name__
    try:
        text = str(error).strip()
    except Exception:  # an exception whose own text fails must not end the run either
        text = ""
    reason = f"{kind}: {text.splitlines()[0]}" if text else kind
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}..."


def _copied(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with copies of the values that the caller may change later."""
    return {name: _copy(name, value) for name, value in arguments.items()}


def _copy(name: str, value: Any) -> Any:
    if name == "scalar_dict":
        return plain_value(dict(value), scalars=True)
    if name == "value":
        return plain_value(value, scalars=True)
    if isinstance(value, np.ndarray):
        return value.copy()
    # A tensor, by its methods: torch need not be loaded.
    return value.detach().clone() if hasattr(value, "detach") else value
