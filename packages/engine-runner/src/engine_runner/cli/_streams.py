"""Keep a command running when nobody reads its output."""

import errno
import io
import os
import sys
from typing import Any, TextIO

# A pipe whose reader has ended, a terminal that was closed, a full disk.
_LOST = (errno.EPIPE, errno.EIO, errno.ENOSPC)


class _Output(io.FileIO):
    """Write to a file descriptor, and drop the output that cannot be written.

    A training whose terminal or pipe is closed trains on, and logs to its file.
    """

    def write(self, data: Any, /) -> int:
        """Write bytes, and return how many were taken: all of them, if they are dropped."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _LOST:
                raise
            if error.errno != errno.ENOSPC:  # later there may be space again
                _to_null(self.fileno())
            return memoryview(data).nbytes


def protect_output() -> None:
    """Redirect closed standard streams to the null device, and drop output without a reader."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if _is_closed(number):
            # The number must be taken, or the next file that is opened, such as a checkpoint, gets
            # it, and everything that a library prints.
            _to_null(number)
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - to the end
    sys.stdout = _protected(sys.stdout)
    sys.stderr = _protected(sys.stderr)


def _protected(stream: TextIO) -> TextIO:
    """Return a stream that drops lost output; one of a test or notebook is returned as it is."""
    try:
        number = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return stream
    if number not in (1, 2) or not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    raw = _Output(number, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering or number == 2,
        write_through=stream.write_through,
    )


def _is_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return True
    return False


def _to_null(number: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)
