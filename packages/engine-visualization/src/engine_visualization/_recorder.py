"""Call a tracking backend so that its failures neither end a run nor stall it."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from engine_utils import plain_value
from engine_visualization._record_queue import RecordQueue, close_at_exit, keep_open_at_exit
from engine_visualization.backends import BaseVisBackend

_logger = logging.getLogger("engine.visualization")

_LONGEST_REASON = 200  # characters
# A backend may attach hooks to the model, which must not happen in the middle of an iteration.
_GRAPH_TIMEOUT = 10.0
_NUMBERED = ("add_scalar", "add_scalars", "add_image")


class Recorder:
    """Call one backend, and log its first exception as a warning.

    A backend that sets ``threaded`` is called in a thread, from a bounded queue. The values of a
    record are copied before.

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
        if backend.threaded:
            self._queue = RecordQueue(name, backend, self._call, self._drop)
        # The config of a service that can continue a run; the next record passes it on. Before, a
        # resumed training has named the run to continue.
        self._config: dict[str, Any] | None = None
        self._holds = backend.threaded and type(backend).resume is not BaseVisBackend.resume

    def record(self, method: str, **arguments: Any) -> None:
        """Call ``add_config``, ``add_graph``, ``add_image``, ``add_scalar`` or ``add_scalars``."""
        if _does_nothing(self.backend, method):
            return  # at once: the graph would wait for the start of a service that takes none
        self.records += method in _NUMBERED
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
        self._queue.put(method, _copied(arguments), weight)
        if method == "add_graph":
            self._queue.wait(_GRAPH_TIMEOUT)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the backend, with its folder and the number of its records.

        It is empty if the backend fails.
        """
        own = {"save_dir": self.backend.save_dir, "records": self.records}
        try:
            return {**own, **self.backend.state_dict()}
        except Exception as error:
            self._drop(f"failed in state_dict: {_reason(error)}", 0)
            return {}

    def resume(self, state: Mapping[str, Any], save_dir: str) -> None:
        """Let the backend continue an earlier record; see `BaseVisBackend.resume`.

        A run that rolls back may have pending records: the backend gets them before.
        """
        self.records = int(state.get("records", 0))
        arguments = {"state": state, "save_dir": save_dir}
        if self._queue is None or self._queue.is_idle:
            self._call("resume", arguments)  # now: the folder of the backend may change
        else:
            self._queue.put("resume", arguments, weight=0)

    def _pass_config(self) -> None:
        config, self._config = self._config, None
        if config is not None and self._queue is not None:
            self._queue.put("add_config", config)

    def close(self) -> None:
        """Close the backend, and log the number of records that failed.

        A threaded backend gets ``close_timeout`` seconds for its pending records.
        """
        if self._queue is None:
            self._call("close", {})
        else:
            self._pass_config()
            keep_open_at_exit(self)
            self._queue.close()
        if self.lost:
            _logger.warning(
                "the tracking backend %r has lost %d records of this run", self.name, self.lost
            )
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
            self._drop(f"failed in {method}: {_reason(error)}", int(method.startswith("add_")))
            return False
        return True

    def _drop(self, reason: str, records: int) -> None:
        """Count lost records, and log the reason for the first ones."""
        self.lost += records
        if not self._has_warned:
            self._has_warned = True
            _logger.warning(
                "the tracking backend %r %s; the run continues, and further failures of this "
                "backend are not logged",
                self.name,
                reason,
            )


def _does_nothing(backend: BaseVisBackend, method: str) -> bool:
    """Return whether a backend leaves a method as its base class has it."""
    return getattr(type(backend), method, None) is getattr(BaseVisBackend, method)


def _reason(error: BaseException) -> str:
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
