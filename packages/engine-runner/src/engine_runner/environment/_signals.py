"""Take signals that ask the process to stop, and end it if they are repeated."""

import errno
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import FrameType
from typing import Any

from engine_dist.watch import end_process
from engine_runner._errors import SettingsError

_ONE_REQUEST = 1.0  # seconds in which several signals are one
_END_SECONDS = 5.0  # for the main thread, which may be stuck outside of Python
_DEFAULT_HANDLERS = (signal.SIG_DFL, signal.default_int_handler)

_wakeup_of_parent = False  # whether a forked child has the socket of this process


class StopSignals:
    """Note the first signal that asks to stop; at the second, end the process at once.

    Schedulers and ``timeout`` send a signal to the process, and then to its group, and terminals
    send SIGHUP twice. Several signals within a second are therefore one, unless both are SIGINT and
    ``repeats`` is set.

    Python calls handlers in the main thread, and only between two of its instructions. Therefore a
    thread is woken, too: it passes the first signal on, and ends the process five seconds after the
    second if the main thread is stuck in a library.

    Args:
        names: The names of the signals.
        on_first: Called in a thread at the first signal, with its number.
        repeats: Whether two SIGINT within a second are two requests, as of a user at a terminal.

    Attributes:
        number: The number of the first signal; 0 before.

    Raises:
        SettingsError: This system has no signal of a name, or it cannot be handled.

    Example:
        >>> taken = StopSignals(["SIGTERM"], print)
        >>> taken.install()
        >>> taken.is_installed, taken.number
        (True, 0)
        >>> taken.restore()
    """

    def __init__(
        self, names: Iterable[str], on_first: Callable[[int], None], *, repeats: bool = True
    ) -> None:
        self._numbers = [number for name in names if (number := signal_number(name)) is not None]
        self._on_first, self._repeats = on_first, repeats
        self.number = 0
        self._process = os.getpid()
        self._former: dict[int, Any] = {}
        self._children: Any = None
        self._in_main, self._in_thread = (_Arrivals(repeats) for _ in range(2))
        self._ended = threading.Event()
        self._sockets: tuple[socket.socket, socket.socket] | None = None
        self._former_wakeup = -1

    @property
    def is_installed(self) -> bool:
        """Whether signals are taken."""
        return bool(self._former)

    def install(self) -> None:
        """Take the signals from now on; one that the process ignores (``nohup``) stays ignored.

        Only the main thread can do that. A second call does nothing: a run that returns to a
        checkpoint starts its training again.
        """
        if self.is_installed:
            return
        self._children = signal.getsignal(signal.SIGCHLD) if hasattr(signal, "SIGCHLD") else None
        for number in self._numbers:
            # None: a handler that was not set in Python, which could not be restored.
            if (former := signal.getsignal(number)) not in (None, signal.SIG_IGN):
                self._former[number] = former
        if not self._former:
            return
        self._start_thread()
        for number in self._former:
            signal.signal(number, self._note)

    def restore(self) -> None:
        """Set the former handlers again; a second call does nothing."""
        for number, handler in self._former.items():
            signal.signal(number, handler)
        if self._children is not None and self.number:
            signal.signal(signal.SIGCHLD, self._children)
        self._former, self._children = {}, None
        self._ended.set()
        if self._sockets is not None:
            global _wakeup_of_parent
            signal.set_wakeup_fd(self._former_wakeup, warn_on_full_buffer=False)
            _wakeup_of_parent = False
            # Ends the thread, which closes the other one. A close alone does not, as long as a
            # worker that was forked in the training has a copy.
            self._sockets[1].shutdown(socket.SHUT_RDWR)
            self._sockets[1].close()
            self._sockets = None

    def own_handler(self, number: int) -> Callable[[int, FrameType | None], Any] | None:
        """Return the handler that the program has set itself, if it has."""
        handler = self._former.get(number)
        return handler if callable(handler) and handler not in _DEFAULT_HANDLERS else None

    def _start_thread(self) -> None:
        global _wakeup_of_parent
        self._sockets = reader, writer = socket.socketpair()
        writer.setblocking(False)
        self._former_wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        _wakeup_of_parent = True
        threading.Thread(
            target=self._watch, args=(reader,), name="engine-signals", daemon=True
        ).start()

    def _watch(self, reader: socket.socket) -> None:
        with reader:
            while numbers := reader.recv(64):
                if self._former_wakeup >= 0:  # of an event loop
                    os.write(self._former_wakeup, numbers)
                for number in numbers:
                    if number in self._numbers:
                        self._arrived(number)

    def _arrived(self, number: int) -> None:
        if self._in_thread.is_first(number):
            self._on_first(number)
        elif self._in_thread.is_second(number) and not self._ended.wait(_END_SECONDS):
            end_process("stopped by a second signal", 128 + number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return  # a forked worker: the main process ends it
        drop_output_without_reader()
        if self._in_main.is_first(number):
            self.number = number
            if hasattr(signal, "SIGCHLD"):
                # torch's handler raises when a worker was ended by the same signal, mid-iteration.
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # os.write, as a signal may arrive while this thread holds the lock of sys.stderr.
            with suppress(OSError):
                os.write(2, b"finishing this iteration, then saving; once more to stop at once\n")
        elif self._in_main.is_second(number):
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


class _Arrivals:
    """Distinguish a second request from a first one that arrives twice."""

    def __init__(self, repeats: bool) -> None:
        self._repeats = repeats
        self._first = 0
        self._at = 0.0

    def is_first(self, number: int) -> bool:
        """Return whether this is the first signal, and note it."""
        if self._first:
            return False
        self._first, self._at = number, time.monotonic()
        return True

    def is_second(self, number: int) -> bool:
        """Return whether a signal after the first one is another request."""
        by_hand = self._repeats and number == self._first == signal.SIGINT
        return by_hand or time.monotonic() - self._at >= _ONE_REQUEST


def signal_number(name: str) -> int | None:
    """Return the number of a signal; None for SIGHUP where there is none.

    Args:
        name: Such as ``"SIGTERM"``.

    Raises:
        SettingsError: There is no such signal, or no process can handle it.
    """
    number = getattr(signal, name, None) if str(name).startswith("SIG") else None
    if not isinstance(number, signal.Signals):
        if name == "SIGHUP":  # Windows
            return None
        raise SettingsError(
            f"signals must be names of signals, got {name!r}; such as 'SIGTERM' or 'SIGUSR1'"
        )
    if name in ("SIGKILL", "SIGSTOP", "SIGCHLD", "SIGSEGV", "SIGFPE", "SIGBUS", "SIGILL"):
        raise SettingsError(
            f"signals must be such as ask a process to stop, got {name!r}; leave it out"
        )
    return int(number)


def drop_output_without_reader() -> None:
    """Redirect stdout and stderr to the null device if their terminal or pipe has been closed."""
    for descriptor in (1, 2):
        if _has_no_reader(descriptor):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, descriptor)
            os.close(null)


def _has_no_reader(descriptor: int) -> bool:
    try:
        os.get_terminal_size(descriptor)
    except OSError as error:
        if error.errno == errno.EIO:  # the terminal was closed
            return True
    else:
        return False
    if not hasattr(select, "poll"):
        return False
    try:
        poll = select.poll()
        poll.register(descriptor, 0)
        return any(events & select.POLLERR for _, events in poll.poll(0))
    except OSError:
        return False


def _forget_wakeup() -> None:
    # Otherwise a signal to the child would wake the thread of the parent.
    global _wakeup_of_parent
    if _wakeup_of_parent:
        _wakeup_of_parent = False
        signal.set_wakeup_fd(-1)


if hasattr(os, "register_at_fork") and sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_wakeup)
