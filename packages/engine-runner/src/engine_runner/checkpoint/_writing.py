"""Write checkpoints one after the other, and do what follows each."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from engine_dist import is_main_process
from engine_model.weights import SUFFIX, is_sharded_path
from engine_runner._errors import CheckpointWriteError, SettingsError
from engine_runner._protocols import Following
from engine_runner.checkpoint.writers import PlainWriter, Writer

_LONG_WAIT = 1.0  # seconds

_log = logging.getLogger("engine.runner")


class Writing:
    """The writer of a run, the save that may still be in progress, and what follows it.

    All ranks call each method.

    Args:
        writer: A `PlainWriter` by default.

    Attributes:
        writer: The writer.
        slowest: The seconds that the slowest followed checkpoint took until it was complete, on the
            main rank; 0 before.

    Example:
        >>> import tempfile
        >>> writing, path = Writing(), f"{tempfile.mkdtemp()}/epoch_1.pth"
        >>> writing.write_and_follow({"state_dict": {}}, path)
        >>> writing.finish()
    """

    def __init__(self, writer: Writer | None = None) -> None:
        self.writer: Writer = writer or PlainWriter()
        self.slowest = 0.0
        self._next: Following | None = None  # of the save that `save_followed` calls
        self._unsettled: tuple[Following, str] | None = None
        self._warned = False  # of a long wait

    @property
    def sharded(self) -> bool:
        """Whether checkpoints are collected with the shards of each rank."""
        return getattr(self.writer, "sharded", False)

    def name_of(self, filename: str) -> str:
        """Return the name that the writer gives a checkpoint: a folder of shards ends in ``.dcp``.

        Args:
            filename: The name of a file, such as ``"epoch_3.pth"``.

        Raises:
            SettingsError: The name is that of a folder of shards, and the writer writes files.
        """
        if not is_sharded_path(filename):
            return f"{filename.removesuffix('.pth')}{SUFFIX}" if self.sharded else filename
        if not self.sharded:
            raise SettingsError(
                f"a checkpoint whose name ends with {SUFFIX} must be a folder of shards, got "
                f"{filename!r}; set writer='ShardedWriter' in CheckpointHook, or use a name that "
                "ends with .pth"
            )
        return filename

    def use(self, writer: Writer) -> None:
        """Write with another writer from now on."""
        self.finish()
        self.writer = writer

    def save_followed(self, following: Following, save: Callable[[], str]) -> None:
        """Save, and do not wait for it if the writer works in the background.

        ``following`` is settled before the next save, or when the run ends; if ``save`` raises,
        that is left to the caller.

        Args:
            following: What follows.
            save: Saves one checkpoint, by `Runner.save_checkpoint` or in its own way, and returns
                its path.
        """
        self._next = following
        try:
            path = save()
            saved_by_itself = self._next is following
        finally:
            self._next = None
        if saved_by_itself:
            if is_main_process():
                following.complete(path)
            following.settle(None)

    def write(
        self,
        checkpoint: dict[str, Any],
        path: str,
        *,
        backend_args: Mapping[str, Any] | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Write a checkpoint, or start to; see `Writer.write`.

        Raises:
            CheckpointWriteError: The storage cannot be written to; raised on all ranks.
        """
        with _naming_the_path(path):
            self.writer.write(checkpoint, path, backend_args=backend_args, then=then)

    def write_and_follow(
        self,
        checkpoint: dict[str, Any],
        path: str,
        *,
        backend_args: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a checkpoint: completely, unless `save_followed` has called for it.

        Raises:
            CheckpointWriteError: The storage cannot be written to; raised on all ranks.
        """
        following, self._next = self._next, None
        if following is None:
            self.write(checkpoint, path, backend_args=backend_args)
            with _naming_the_path(path):
                self.writer.finish()
            return
        started = time.monotonic()

        def then() -> None:
            self.slowest = max(self.slowest, time.monotonic() - started)
            following.complete(path)

        self.write(checkpoint, path, backend_args=backend_args, then=then)
        self._unsettled = following, path
        if not self.writer.in_background:
            self._settle()

    def settle(self) -> None:
        """Return when the former save is complete, or has failed, and all ranks have noted it."""
        started = time.monotonic()
        self._settle()
        waited = time.monotonic() - started
        if waited > _LONG_WAIT and not self._warned:
            self._warned = True
            _log.warning(
                "the training waited %.1f s for the former checkpoint to be complete; a longer "
                "interval or a faster storage saves this time",
                waited,
            )

    def finish(self) -> None:
        """Return when every checkpoint is completely written.

        Raises:
            CheckpointWriteError: One that nothing followed could not be written.
        """
        self._settle()
        with _naming_the_path("a checkpoint"):
            self.writer.finish()

    def wait(self) -> None:
        """Return when this process writes nothing; for a run that ends with an error.

        It does not wait for other ranks.
        """
        self.writer.wait()

    def _settle(self) -> None:
        if self._unsettled is None:
            return
        (following, path), self._unsettled = self._unsettled, None
        failure = None
        try:
            with _naming_the_path(path):
                self.writer.finish()
        except CheckpointWriteError as error:
            failure = error
            failure.is_logged = getattr(self.writer, "logs_failures", False)
        following.settle(failure)


@contextmanager
def _naming_the_path(path: str) -> Iterator[None]:
    """Raise an error of the storage as that of a checkpoint."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise CheckpointWriteError(f"{path} cannot be written: {error}") from error
        raise CheckpointWriteError(error.errno, error.strerror, path) from error
