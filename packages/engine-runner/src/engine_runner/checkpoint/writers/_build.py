"""Build a writer by its name."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine_runner._errors import SettingsError
from engine_runner.checkpoint.writers._async import AsyncWriter
from engine_runner.checkpoint.writers._plain import PlainWriter
from engine_runner.checkpoint.writers._sharded import ShardedWriter
from engine_runner.checkpoint.writers._writer import Writer
from engine_utils import call_mistakes, did_you_mean, get_object_from_string

WRITERS: dict[str, Callable[..., Writer]] = {
    "AsyncWriter": AsyncWriter,
    "PlainWriter": PlainWriter,
    "ShardedWriter": ShardedWriter,
}
"""The writers by the names that a config gives them."""


def build_writer(writer: Writer | Mapping[str, Any] | str | None) -> Writer | None:
    """Return the writer of a config, or the writer that was given.

    Args:
        writer: A writer; a name, or a config with its ``type`` and arguments; None for None. The
            type is a name in `WRITERS`, a class, or the import path of one.

    Raises:
        SettingsError: There is no such writer, or it does not take such an argument.

    Example:
        >>> type(build_writer("AsyncWriter")).__name__
        'AsyncWriter'
    """
    if writer is None:
        return None
    if isinstance(writer, str):
        writer = {"type": writer}
    if not isinstance(writer, Mapping):
        return _checked(writer)
    arguments = dict(writer)
    kind = _kind(arguments.pop("type", None))
    for mistake in call_mistakes(kind, arguments):
        raise SettingsError(f"writer is wrong: {mistake.message}")
    return _checked(kind(**arguments))


def require_one_kind(writers: Iterable[Writer | None]) -> None:
    """Raise if the hooks of a run name writers of different kinds: a run has one writer.

    Args:
        writers: Those of the hooks; None for a hook that takes the one of the run.

    Raises:
        SettingsError: There are several kinds.
    """
    kinds = sorted({type(writer).__name__ for writer in writers if writer is not None})
    if len(kinds) > 1:
        raise SettingsError(
            f"writer must be the same for all hooks that save checkpoints, got {', '.join(kinds)}; "
            "set it in one of them, or the same in all"
        )


def _kind(name: object) -> Callable[..., Any]:
    if callable(name):
        return name
    if isinstance(name, str) and name in WRITERS:
        return WRITERS[name]
    found = get_object_from_string(name) if isinstance(name, str) and "." in name else None
    if not callable(found):
        raise SettingsError(
            f"writer must be one of {', '.join(WRITERS)}, a class or its import path, or a config "
            f"with such a type, got {name!r}{did_you_mean(name, WRITERS)}"
        )
    kind: Callable[..., Any] = found
    return kind


def _checked(writer: Any) -> Writer:
    if not all(callable(getattr(writer, name, None)) for name in ("write", "wait", "finish")):
        raise SettingsError(
            "writer must have the methods write, wait and finish, as "
            f"engine_runner.checkpoint.Writer describes them, got {writer!r}"
        )
    found: Writer = writer
    return found
