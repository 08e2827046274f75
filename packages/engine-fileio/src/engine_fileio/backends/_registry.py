"""Which back end a name or a prefix means."""

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar, overload

from engine_fileio._paths import StrPath, prefix_of, shown
from engine_fileio.backends._base import BaseStorageBackend
from engine_fileio.backends._local import LocalBackend
from engine_fileio.backends._table import ROWS, BackendRow
from engine_utils import did_you_mean

BackendT = TypeVar("BackendT", bound=type[BaseStorageBackend])

_by_name: dict[str, BackendRow] = {}
_by_prefix: dict[str, BackendRow] = {}
_singletons: dict[Hashable, BaseStorageBackend] = {}
_local = LocalBackend()


def add_row(row: BackendRow) -> None:
    """Make a row findable by its name and prefixes; it replaces rows that had them before."""
    _by_name[row.name] = row
    _by_prefix.update(dict.fromkeys(row.prefixes, row))


for _row in ROWS:
    add_row(_row)


@overload
def register_backend(
    name: str,
    backend: None = None,
    force: bool = False,
    prefixes: str | Sequence[str] | None = None,
) -> Callable[[BackendT], BackendT]: ...
@overload
def register_backend(
    name: str, backend: BackendT, force: bool = False, prefixes: str | Sequence[str] | None = None
) -> BackendT: ...
def register_backend(
    name: str,
    backend: BackendT | None = None,
    force: bool = False,
    prefixes: str | Sequence[str] | None = None,
) -> BackendT | Callable[[BackendT], BackendT]:
    """Make a back end known by a name, and by URI prefixes; also usable as a decorator.

    Args:
        name: What ``backend_args={"backend": name}`` will mean.
        backend: Subclass of `BaseStorageBackend`; left out in the decorator form.
        force: Replace an earlier back end of the same name or prefix.
        prefixes: URI schemes, such as ``"s3"``, that choose this back end.

    Returns:
        The class, or the decorator that returns it.

    Raises:
        KeyError: Name or prefix is taken and ``force`` is False.
        TypeError: ``name`` is no string, or ``backend`` no subclass of `BaseStorageBackend`.

    Example:
        >>> from engine_fileio import BaseStorageBackend, get, register_backend
        >>> @register_backend("echo", prefixes="echo")
        ... class EchoBackend(BaseStorageBackend):
        ...     def get(self, filepath):
        ...         return str(filepath).encode()
        ...     def get_text(self, filepath):
        ...         return str(filepath)
        >>> get("echo://hello")
        b'echo://hello'
    """
    if backend is None:
        return functools.partial(_register, name, force=force, prefixes=prefixes)
    return _register(name, backend, force=force, prefixes=prefixes)


def _register(
    name: str, backend: BackendT, *, force: bool, prefixes: str | Sequence[str] | None
) -> BackendT:
    if not isinstance(name, str):
        raise TypeError(f"the name of a back end is a string, not {name!r}")
    if not (isinstance(backend, type) and issubclass(backend, BaseStorageBackend)):
        raise TypeError(f"{backend!r} is not a subclass of BaseStorageBackend")
    schemes = [prefixes] if isinstance(prefixes, str) else list(prefixes or ())
    for table, keys, kind in ((_by_name, [name], "name"), (_by_prefix, schemes, "prefix")):
        taken = [key for key in keys if key in table]
        if taken and not force:
            raise KeyError(
                f"the backend {kind} {taken[0]!r} belongs to {table[taken[0]].class_name}; "
                "choose another, or pass force=True to replace it"
            )
    add_row(BackendRow(name, backend, tuple(schemes)))
    return backend


def get_file_backend(
    uri: StrPath | None = None,
    *,
    backend_args: Mapping[str, Any] | None = None,
    enable_singleton: bool = False,
) -> BaseStorageBackend:
    """Return the back end for a URI, or the one that ``backend_args`` names.

    Args:
        uri: A path or URI; its prefix decides unless ``backend_args`` holds ``backend``.
        backend_args: Arguments of the back end, and optionally its name as ``backend``.
        enable_singleton: Return the same object for the same back end and arguments.

    Raises:
        KeyError: No back end has the name in ``backend_args``.
        ValueError: No back end has the prefix of ``uri``, or neither argument says anything.

    Example:
        >>> get_file_backend("data/train.txt").name
        'LocalBackend'
        >>> get_file_backend(backend_args={"backend": "disk"}).name
        'LocalBackend'
    """
    if not backend_args and enable_singleton and type(uri) is str and "://" not in uri:
        return _local  # the way of nearly every call: no lock, no look-up
    arguments = dict(backend_args or {})
    backend = _choose(arguments.pop("backend", None), uri)
    if not enable_singleton:
        return backend(**arguments)
    key = (backend, frozen(arguments))
    if key not in _singletons:
        # No lock, which a forked child could inherit locked: of two made at once, one is kept.
        _singletons.setdefault(key, backend(**arguments))
    return _singletons[key]


def backend_class(name: str) -> type[BaseStorageBackend]:
    """Return the backend registered as ``name``; KeyError lists the names there are."""
    if name in _by_name:
        return _by_name[name].load()
    hint = did_you_mean(name, _by_name)
    raise KeyError(f"no storage backend is named {name!r}{hint} Known: {sorted(_by_name)}")


def prefix_class(prefix: str | None, uri: StrPath) -> type[BaseStorageBackend]:
    """Return the back end registered for ``prefix``; None means the local disk."""
    if prefix is None:
        return LocalBackend
    if prefix in _by_prefix:
        return _by_prefix[prefix].load()
    raise ValueError(
        f"no storage back end knows the prefix {prefix!r} of {shown(uri)!r}; known: "
        f"{sorted(_by_prefix)}. Register one with register_backend, or reach any fsspec "
        'file system with backend_args={"backend": "fsspec"}'
    )


def known_prefix(uri: StrPath) -> str | None:
    """Return the prefix of ``uri``; a Path whose ``scheme:`` nobody knows is a plain path."""
    prefix = prefix_of(uri)
    return prefix if isinstance(uri, str) or prefix in _by_prefix else None


def _choose(name: str | None, uri: StrPath | None) -> type[BaseStorageBackend]:
    if name is not None:
        return backend_class(name)
    if uri is None:
        raise ValueError('give a uri, or backend_args that hold "backend", to choose a back end')
    return prefix_class(known_prefix(uri), uri)


def frozen(value: object) -> Hashable:
    """Return a key that is equal for equal arguments, even where they are dicts and lists."""
    if isinstance(value, Mapping):
        return ("dict", frozenset((key, frozen(item)) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return ("list", tuple(frozen(item) for item in value))
    if isinstance(value, set):
        return ("set", frozenset(value))
    # 1, 1.0 and True are equal and hash alike, but a back end may tell them apart
    return (type(value), value if isinstance(value, Hashable) else _Same(value))


class _Same:
    """Equal only for one and the same object, which it keeps alive so that its id stays taken."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)
