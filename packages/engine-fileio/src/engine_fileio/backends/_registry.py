"""Find a storage backend by name or prefix, and register backends of users."""

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar, overload

from engine_fileio._paths import StrPath, prefix_of, shown
from engine_fileio.backends._base import BaseStorageBackend
from engine_fileio.backends._local import LocalBackend
from engine_fileio.backends._row import BackendRow
from engine_fileio.backends._table import ROWS
from engine_utils import MASK, declare_secrets, did_you_mean

BackendT = TypeVar("BackendT", bound=type[BaseStorageBackend])

_by_name: dict[str, BackendRow] = {}
_by_prefix: dict[str, BackendRow] = {}
_singletons: dict[Hashable, BaseStorageBackend] = {}
_local = LocalBackend()


def add_row(row: BackendRow) -> None:
    """Add a row under its name and prefixes, and replace earlier rows of these."""
    declare_secrets(*row.secrets)
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
    """Register a backend under a name and URI prefixes; also a decorator.

    Args:
        name: The value of ``backend`` in ``backend_args`` that chooses the backend.
        backend: A subclass of `BaseStorageBackend`; None for the decorator form.
        force: Whether to replace a backend of the same name or prefix.
        prefixes: URI schemes, such as ``"s3"``, that choose this backend.

    Returns:
        The class, or the decorator that returns it.

    Raises:
        KeyError: Name or prefix is taken and ``force`` is False.
        TypeError: ``name`` is not a string, or ``backend`` not a subclass of `BaseStorageBackend`.

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
        raise TypeError(f"the name of a backend must be a string, got {name!r}")
    if not (isinstance(backend, type) and issubclass(backend, BaseStorageBackend)):
        raise TypeError(f"a backend must be a subclass of BaseStorageBackend, got {backend!r}")
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
    """Return the backend for a URI, or the one that ``backend_args`` names.

    Args:
        uri: A path or URI. Its prefix chooses unless ``backend_args`` holds ``backend``.
        backend_args: Arguments of the backend and, optionally, its name as ``backend``.
        enable_singleton: Whether to return the same object for the same backend and arguments.

    Raises:
        KeyError: No backend has the name in ``backend_args``.
        ValueError: No backend has the prefix of ``uri``, both arguments are missing, or a secret in
            ``backend_args`` is masked.

    Example:
        >>> get_file_backend("data/train.txt").name
        'LocalBackend'
        >>> get_file_backend(backend_args={"backend": "disk"}).name
        'LocalBackend'
    """
    if not backend_args and enable_singleton and type(uri) is str and "://" not in uri:
        return _local  # the fast path of most calls: no look-up, no key
    arguments = dict(backend_args or {})
    masked = [name for name, value in arguments.items() if value == MASK]
    if masked:
        raise ValueError(
            f"{masked[0]} of backend_args must be the secret itself, got {MASK!r}; the config was "
            "written by a run, which masks secrets, so set it again"
        )
    backend = _choose(arguments.pop("backend", None), uri)
    if not enable_singleton:
        return backend(**arguments)
    key = (backend, frozen(arguments))
    if key not in _singletons:
        # No lock, because a forked child could inherit it locked. Two threads may therefore build
        # two backends; setdefault keeps the first.
        _singletons.setdefault(key, backend(**arguments))
    return _singletons[key]


def backend_class(name: str) -> type[BaseStorageBackend]:
    """Return the backend registered as ``name``.

    Raises:
        KeyError: No backend has the name; the message lists the names.
    """
    if name in _by_name:
        return _by_name[name].load()
    hint = did_you_mean(name, _by_name) or ";"
    raise KeyError(f"no storage backend is named {name!r}{hint} registered: {sorted(_by_name)}")


def prefix_class(prefix: str | None, uri: StrPath) -> type[BaseStorageBackend]:
    """Return the backend registered for ``prefix``, or the local one if it is None.

    Raises:
        ValueError: No backend has the prefix; the message shows ``uri`` and lists the prefixes.
    """
    if prefix is None:
        return LocalBackend
    if prefix in _by_prefix:
        return _by_prefix[prefix].load()
    raise ValueError(
        f"no storage backend has the prefix {prefix!r} of {shown(uri)!r}; registered: "
        f"{sorted(_by_prefix)}. Register one with register_backend, or use any file system of "
        'fsspec with backend_args={"backend": "fsspec"}'
    )


def known_prefix(uri: StrPath) -> str | None:
    """Return the prefix of ``uri``, or None for a plain path.

    A Path such as ``odd:/name`` is a plain path unless a backend has the prefix ``odd``, because
    pathlib drops the second slash of a URI.
    """
    prefix = prefix_of(uri)
    return prefix if isinstance(uri, str) or prefix in _by_prefix else None


def _choose(name: str | None, uri: StrPath | None) -> type[BaseStorageBackend]:
    if name is not None:
        return backend_class(name)
    if uri is None:
        raise ValueError('no backend is chosen; pass uri, or backend_args with "backend"')
    return prefix_class(known_prefix(uri), uri)


def frozen(value: object) -> Hashable:
    """Return a hashable key that is equal for equal arguments, also for dicts and lists."""
    if isinstance(value, Mapping):
        return ("dict", frozenset((key, frozen(item)) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return ("list", tuple(frozen(item) for item in value))
    if isinstance(value, set):
        return ("set", frozenset(value))
    # With the type, because 1, 1.0 and True are equal but may mean different things to a backend.
    return (type(value), value if isinstance(value, Hashable) else _Same(value))


class _Same:
    """A key that equals only a key of the same object.

    It keeps the object alive, so that its id is not reused.
    """

    def __init__(self, value: object) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)


def class_names() -> list[str]:
    """Return the sorted class names of all rows."""
    return sorted({row.class_name for row in ROWS})


def class_named(name: str, module: str) -> type[BaseStorageBackend]:
    """Return the class of that name, for the ``__getattr__`` of ``module``.

    Raises:
        AttributeError: No row has a class of this name.
    """
    for row in ROWS:
        if row.class_name == name:
            return row.load()
    raise AttributeError(f"module {module!r} has no attribute {name!r}")
