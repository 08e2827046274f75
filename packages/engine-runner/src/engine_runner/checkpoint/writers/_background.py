"""The thread of a writer that lets the run continue."""

import logging
import threading
from collections.abc import Callable

from engine_dist import is_main_process
from engine_runner.checkpoint.writers._failures import raise_on_all_ranks

_log = logging.getLogger("engine.runner")


class Background:
    """Write in a thread, one checkpoint at a time, and keep what fails for `finish`."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._failures: list[Exception] = []
        self._begun = False  # on all ranks: whether `finish` has something to agree on

    def begin(self) -> None:
        """Return when the former checkpoint is written; all ranks call this before the next."""
        self._begun = True
        self.wait()

    def run(self, work: Callable[[], None], path: str) -> None:
        """Start to write.

        Args:
            work: Writes the checkpoint.
            path: Its path, for the log.
        """

        def guarded() -> None:
            try:
                work()
            except Exception as error:
                self.fail(error, path)

        # Not a daemon: Python waits for it at its exit, however the run ended.
        self._thread = threading.Thread(target=guarded, name="engine-checkpoint-writer")
        self._thread.start()

    def fail(self, error: Exception, path: str) -> None:
        """Keep an error for `finish`, and log it at once."""
        self._failures.append(error)
        if is_main_process():
            _log.error("%s was not saved: %s. Former checkpoints stay", path, error)

    def wait(self) -> None:
        """Return when this process writes nothing; it asks no other rank, and raises nothing."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def finish(self) -> None:
        """Return when the checkpoints are complete; all ranks raise the error of one."""
        if not self._begun:
            return
        self.wait()
        self._begun = False
        failures, self._failures = self._failures, []
        raise_on_all_ranks(failures[0] if failures else None)
