"""Loggers with one format, one file per rank, and access by name."""

import logging
import os
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

from engine_logging._file_handlers import build_file_handler
from engine_logging._handlers import ConsoleHandler, RepeatedWarningFilter
from engine_utils import ManagerMixin, did_you_mean, expand_home

# The packages log to children of this standard logger, such as `engine.optim`.
_TREE = "engine"


class MMLogger(logging.Logger, ManagerMixin):
    """A logger with one format for console and file, which any code can get by name.

    ``logging.getLogger`` does not return it, so settings of other libraries do not change it. It
    also writes the records of the packages' loggers (``engine.optim``, …). If there are several,
    the logger created last writes them.

    On the console, rank 0 writes records from ``log_level`` on, and other ranks write errors only.
    A record with ``extra={"file_only": True}``, such as a long report, goes to the file alone; the
    level ``DEBUG`` shows it on the console, too, and so does a logger without a file.
    A repeated warning is written once. A full disk or a closed output never raises: what cannot be
    written is dropped, and the first failure is reported on stderr.

    Args:
        name: The name of the instance.
        logger_name: The name in the log lines.
        log_file: The file to write, besides the console. It is put into a folder of its own name:
            ``work/run.log`` is written to ``work/run/run.log``. Rank n > 0 writes
            ``run_rank<n>.log``.
        log_level: A level of ``logging``, by name or number.
        file_mode: ``"w"`` to overwrite the file, ``"a"`` to append to it.
        distributed: Write a file on all ranks. By default only rank 0 writes one, unless the level
            is ``DEBUG``.
        file_handler_cfg: The kind of file, and its arguments: ``type`` is a handler of ``logging``
            or ``logging.handlers`` by name, such as ``"RotatingFileHandler"``, or a subclass of
            ``logging.FileHandler``. Kinds other than ``"FileHandler"`` append to a file.

    Raises:
        TypeError: ``file_handler_cfg`` has an argument that its handler does not take.
        ValueError: ``log_level`` is not the name of a level, ``file_mode`` is not ``"w"`` or
            ``"a"``, or ``file_handler_cfg`` is given without ``log_file`` or has an unknown type.

    Example:
        >>> logger = MMLogger.get_instance("example", log_level="INFO")
        >>> logger.info("epoch %d", 1)
        2... - engine - INFO - epoch 1
        >>> logger.close()
    """

    def __init__(
        self,
        name: str,
        logger_name: str = "engine",
        log_file: str | os.PathLike[str] | None = None,
        log_level: int | str = "INFO",
        file_mode: Literal["w", "a"] = "w",
        distributed: bool = False,
        file_handler_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        logging.Logger.__init__(self, logger_name)
        ManagerMixin.__init__(self, name)
        if file_mode not in ("w", "a"):
            raise ValueError(
                f'file_mode must be "w" to overwrite or "a" to append, got {file_mode!r}'
            )
        if file_handler_cfg is not None and log_file is None:
            raise ValueError(
                f"file_handler_cfg needs log_file, got {dict(file_handler_cfg)} without one"
            )
        logging.Logger.setLevel(self, _checked_level(log_level))
        rank = _rank()
        console = ConsoleHandler()
        if rank > 0:
            console.setLevel(logging.ERROR)
        self._attach(console)
        if log_file is not None and (rank == 0 or distributed or self.level <= logging.DEBUG):
            path = _rank_file(Path(expand_home(log_file)), rank)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._attach(build_file_handler(path, file_mode, file_handler_cfg or {}))
        _tree_handler.follow(self)

    def _attach(self, handler: logging.Handler) -> None:
        handler.addFilter(RepeatedWarningFilter())
        self.addHandler(handler)

    @classmethod
    def get_current_instance(cls) -> Self:
        """Return the logger of the open `as_current` block, or the one created last.

        If there is none, create one named ``engine``.
        """
        current = cls._find_current()
        return cls.get_instance("engine") if current is None else current

    @contextmanager
    def as_current(self) -> Iterator[Self]:
        """Make this the current logger in a block; it also writes the packages' records there."""
        with super().as_current(), _tree_handler.admit(self):
            yield self

    @property
    def log_files(self) -> list[Path]:
        """The files that this logger writes in this process."""
        return [Path(h.baseFilename) for h in self.handlers if isinstance(h, logging.FileHandler)]

    @property
    def log_file(self) -> str | None:
        """The path of the file that this logger writes in this process; None if it has none."""
        return next((str(path) for path in self.log_files), None)

    def callHandlers(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's
        """Pass a record to the handlers of this logger; drop it if there are none."""
        skips_console = getattr(record, "file_only", False) and self._keeps_off_the_console()
        for handler in self.handlers:
            if record.levelno < handler.level:
                continue
            if not (skips_console and isinstance(handler, ConsoleHandler)):
                handler.handle(record)

    def _keeps_off_the_console(self) -> bool:
        """Return whether records that are for the file alone do not appear on the console."""
        return self.level > logging.DEBUG and self.log_file is not None

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's
        """Return whether records of a level are written."""
        # Not the base class, which caches the result. `logging` clears the caches of registered
        # loggers when a level is set or `logging.disable` is called. This logger is not registered
        # there.
        return not self.disabled and level >= self.level and level > self.manager.disable

    def setLevel(self, level: int | str) -> None:  # noqa: N802 - logging's
        """Set the level from which records are written.

        Args:
            level: A level of ``logging``, by name or number.

        Raises:
            ValueError: ``level`` is not the name of a level.
        """
        super().setLevel(_checked_level(level))
        _tree_handler.set_level()

    def close(self) -> None:
        """Close the files, detach the handlers, and release the instance.

        The logger created before then writes the records of the packages' loggers. If there is
        none, they go to the handlers of the standard library.
        """
        for handler in list(self.handlers):
            self.removeHandler(handler)
            handler.close()
        if MMLogger._instance_dict.get(self.instance_name) is self:
            MMLogger.release_instance(self.instance_name)
        if _tree_handler.leading() is self:
            if MMLogger._instance_dict:
                _tree_handler.follow(MMLogger.get_current_instance())
            else:
                _tree_handler.leave()

    def __reduce__(self) -> tuple[Any, ...]:
        # Copied and pickled by name: a model may hold a logger, and its copy uses the same one.
        return _named, (self.instance_name,)


def _named(name: str) -> MMLogger:
    return MMLogger.get_instance(name)


class _TreeHandler(logging.Handler):
    """Pass records of the packages' loggers to the handlers of one `MMLogger`.

    That is the logger of the open `as_current` block, else the leader: the logger created last.
    """

    # A weak reference, because the handler lives as long as the process and must not keep a logger.
    leader: "weakref.ref[MMLogger] | None" = None

    def __init__(self) -> None:
        super().__init__()
        # The loggers of the open `as_current` blocks of all threads.
        self.admitted: list[MMLogger] = []

    def handle(self, record: logging.LogRecord) -> bool:
        """Pass a record to the handlers of the active logger; they lock themselves."""
        # A logger that was closed inside its own block has no handlers. The leader then writes.
        active = MMLogger._find_active()
        logger = active if active is not None and active.handlers else self.leading()
        # The level of the tree may come from a logger that is active in another thread, so check it
        # here.
        if logger is not None and (not self.admitted or record.levelno >= logger.level):
            logger.callHandlers(record)
        return logger is not None

    @contextmanager
    def admit(self, logger: MMLogger) -> Iterator[None]:
        """Let the tree pass records from the level of a logger on, inside a block."""
        self.admitted.append(logger)
        self.set_level()
        try:
            yield
        finally:
            self.admitted.remove(logger)
            self.set_level()

    def set_level(self) -> None:
        """Set the level of the tree to the lowest level of the leader and the active loggers."""
        tree, leader = logging.getLogger(_TREE), self.leading()
        with _level_lock:
            levels = [logger.level for logger in (leader, *self.admitted) if logger is not None]
            if levels and self in tree.handlers:
                tree.setLevel(min(levels))

    def leading(self) -> MMLogger | None:
        """Return the logger that writes the records outside of blocks."""
        return self.leader() if self.leader is not None else None

    def follow(self, logger: MMLogger) -> None:
        """Make this logger the only leader."""
        self.leader = weakref.ref(logger)
        tree = logging.getLogger(_TREE)
        if self not in tree.handlers:
            tree.addHandler(self)
        self.set_level()
        # The handlers of the root logger belong to others, and would write each line twice.
        tree.propagate = False

    def leave(self) -> None:
        """Reset the packages' loggers to their state without an `MMLogger`."""
        self.leader = None
        tree = logging.getLogger(_TREE)
        tree.removeHandler(self)
        tree.setLevel(logging.NOTSET)
        tree.propagate = True


_tree_handler = _TreeHandler()
_level_lock = threading.Lock()


def print_log(
    msg: Any, logger: logging.Logger | str | None = None, level: int = logging.INFO
) -> None:
    """Write a message to a logger, or print it.

    Args:
        msg: The message.
        logger: A logger; the name of an `MMLogger` instance; ``"current"`` for the one created
            last; ``"silent"`` for nothing; None to print.
        level: A level of ``logging``; ignored for a printed message.

    Raises:
        ValueError: No `MMLogger` of that name was created.
        TypeError: ``logger`` has another type.

    Example:
        >>> print_log("hello")
        hello
    """
    if logger is None:
        if sys.stdout is not None:  # a service has none
            sys.stdout.write(f"{msg}\n")
    elif isinstance(logger, logging.Logger):
        logger.log(level, msg, stacklevel=2)
    elif logger == "silent":
        return
    elif logger == "current":
        MMLogger.get_current_instance().log(level, msg, stacklevel=2)
    elif not isinstance(logger, str):
        raise TypeError(
            f"logger must be a logging.Logger, a string or None, got {type(logger).__name__}"
        )
    elif MMLogger.check_instance_created(logger):
        MMLogger.get_instance(logger).log(level, msg, stacklevel=2)
    else:
        raise ValueError(
            f"there is no MMLogger named {logger!r}; create it with "
            f"MMLogger.get_instance({logger!r}), or use 'current', 'silent' or None"
        )


def _checked_level(level: int | str) -> int | str:
    names = logging.getLevelNamesMapping()
    if isinstance(level, str) and level not in names:
        hint = did_you_mean(level, names) or f"; there are {', '.join(names)}"
        raise ValueError(f"there is no level {level!r}{hint}")
    return level


def _rank_file(path: Path, rank: int) -> Path:
    folder = path.parent if path.parent.name == path.stem else path.parent / path.stem
    return folder / (path.name if rank == 0 else f"{path.stem}_rank{rank}{path.suffix}")


def _rank() -> int:
    # Torch is never imported here: it is loaded if there is a process group. Before, the launcher's
    # RANK counts.
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank())
    rank = os.environ.get("RANK", "")
    return int(rank) if rank.isdecimal() else 0
