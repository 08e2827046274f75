"""Read the text of a config file and parse it; parsed texts are cached."""

from __future__ import annotations

import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from engine_config._errors import (
    ConfigError,
    ConfigFileNotFoundError,
    ConfigFormatError,
    ConfigParseError,
    ConfigReadError,
)
from engine_config._facts import IfExecuted
from engine_config._keys import BASE_KEY
from engine_config._marks import Source
from engine_config.origin import Lines
from engine_config.read._python import PythonConfig, parse
from engine_config.read._simple import Template
from engine_config.read._substitution import PATTERN, Substitution, substitute

FORMATS: Final = (".py", ".json", ".yaml", ".yml")
_CACHE_SIZE: Final = 512
_KINDS: Final = {stat.S_IFIFO: "a named pipe (FIFO)", stat.S_IFSOCK: "a socket"}


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options for reading configs: the arguments of `Config.fromfile`.

    ``environment`` is allowed by default, and ``remote_bases`` with None, if code may run.
    """

    file_variables: bool = True
    environment: bool | IfExecuted = IfExecuted.TRUE
    lazy: bool | None = None
    execute: bool = True
    remote_bases: bool | None = None
    timeout: float = 60.0

    def __post_init__(self) -> None:
        for name in ("environment", "remote_bases"):
            if getattr(self, name) in (None, IfExecuted.TRUE):
                object.__setattr__(self, name, self.execute)


@dataclass(kw_only=True)
class Parsed:
    """One parsed text: a Python config, or the data of another format with its lines.

    Attributes:
        source: The text and its path.
        substitution: The meaning of its ``{{…}}``.
        python: A Python config.
        data: The data of another format.
        lines: The lines of that data.
        template: The values of the file, if each reading gives the same; they must be copied.
    """

    source: Source
    substitution: Substitution
    python: PythonConfig | None = None
    data: Mapping[Any, Any] = field(default_factory=dict)
    lines: Lines | None = None
    template: Template | None = None

    def keep(self, template: Template) -> None:
        """Keep the values for the next reading, and drop what only the first one needs."""
        # In this order: another thread that finds no template has the lines.
        self.template = template
        if self.python is not None:
            self.python = replace(self.python, lines={}, body=[], followed=[])

    def children(self) -> Mapping[object, Lines]:
        """Return the lines of the top-level keys of data."""
        children = self.lines.children if self.lines is not None else None
        return children if isinstance(children, dict) else {}

    def own_data(self) -> dict[Any, Any]:
        """Return the data without ``_base_``."""
        return {key: value for key, value in self.data.items() if key != BASE_KEY}


class _Cache:
    """The most recently parsed texts.

    The whole text is the key, instead of path and modification time. Therefore a changed file is
    always parsed again, on any storage.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[object, Mapping[bool | None, Parsed]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object) -> Mapping[bool | None, Parsed] | None:
        """Return the parsed text for each value of the option ``lazy`` that it was read with."""
        with self._lock:
            parsed = self._entries.get(key)
            if parsed is not None:
                self._entries.move_to_end(key)
            return parsed

    def put(self, key: object, parsed: Mapping[bool | None, Parsed]) -> None:
        with self._lock:
            self._entries[key] = parsed
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


cache: Final = _Cache(_CACHE_SIZE)


def parse_text(text: str, path: str, suffix: str, options: Options) -> Parsed:
    """Parse a config text, or return it from the cache.

    Args:
        text: The text.
        path: The path it was read from, for errors and predefined variables.
        suffix: Its format, one of `FORMATS`.
        options: How to read it.

    Raises:
        ConfigFormatError: The suffix is not one of `FORMATS`.
        ConfigParseError: The text is malformed.
    """
    if suffix not in FORMATS:
        known = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        where = None if path == "<string>" else path
        raise ConfigFormatError(f"{suffix!r} is not a config format; use {known}", file=where)
    substitution = substitute(
        text,
        path,
        file_variables=options.file_variables,
        environment=bool(options.environment),
        is_json=suffix == ".json",
    )
    # The key includes the values of `{{…}}`, because an environment variable may change.
    values = tuple(substitution.uses.items())
    key = (path, suffix, text, values, options.execute)
    # Most files are read with another `lazy` as a base, and are of the same kind with each.
    kinds = cache.get(key) or {}
    parsed = kinds.get(options.lazy)
    if parsed is None:
        parsed = _parse(Source(path, text), substitution, suffix, options)
        decided = parsed.python is None or parsed.python.kind_is_decided
        same = (True, False, None) if decided else (options.lazy,)
        cache.put(key, {**kinds, **dict.fromkeys(same, parsed)})
    return parsed


def _parse(source: Source, substitution: Substitution, suffix: str, options: Options) -> Parsed:
    path = source.file
    if suffix == ".py":
        try:
            python = parse(substitution, source, lazy=options.lazy, execute=options.execute)
        except ConfigParseError as error:
            raise _explained(error, substitution.text, options) from error.__cause__
        template = python.template
        return Parsed(source=source, substitution=substitution, python=python, template=template)
    # Imported here, because most configs are Python: importing PyYAML takes as long as reading a
    # hundred configs.
    if suffix == ".json":
        from engine_config.read._json import read
    else:
        from engine_config.read._yaml import read
    data, lines = read(substitution.text, path)
    if not isinstance(data, dict):
        message = f"a config must be a mapping of keys to values, got {type(data).__name__}"
        raise ConfigParseError(message, file=path, line=1)
    return Parsed(source=source, substitution=substitution, data=data, lines=lines)


def _explained(error: ConfigParseError, text: str, options: Options) -> ConfigParseError:
    """Return the error for a line that is malformed because its variable was not replaced."""
    line = text.split("\n")[error.line - 1] if error.line else ""
    variable = PATTERN.search(line)
    if options.environment or variable is None or not variable["env"]:
        return error
    message = (
        f"{variable[0]} is an environment variable, which is not read here; pass "
        "use_environment_variables=True"
    )
    return ConfigParseError(message, file=error.file, line=error.line)


def is_remote(path: str) -> bool:
    """Return whether a path has a prefix such as ``s3://``."""
    return "://" in path


def read_text(path: str, timeout: float) -> str:
    """Return the text of a config file on the disk or in a storage of engine-fileio.

    Args:
        path: The path or address.
        timeout: Seconds that reading from an address may take.

    Raises:
        ConfigFileNotFoundError: There is no such file.
        ConfigReadError: It cannot be read in time, is not a regular file, or is not UTF-8.
    """
    try:
        if is_remote(path):
            return _remote_text(path, timeout).replace("\r\n", "\n")
        return _local_text(path)
    except ConfigError:
        raise
    except FileNotFoundError as error:
        raise ConfigFileNotFoundError(_not_found(path), file=path) from error
    except OSError as error:
        message = f"the config cannot be read: {error.strerror or error}"
        raise ConfigReadError(message, file=path) from error
    except (UnicodeDecodeError, ValueError) as error:
        raise ConfigReadError(f"the config is not UTF-8 text: {error}", file=path) from error


def _local_text(path: str) -> str:
    # Opening a pipe would wait for a writer, and a device may have no end.
    kind = stat.S_IFMT(os.stat(path).st_mode)
    if kind not in (stat.S_IFREG, stat.S_IFDIR):  # open() has a good message for a folder
        what = _KINDS.get(kind, "a device")
        raise ConfigReadError(f"a config must be a regular file, got {what}", file=path)
    # Unbuffered: a text file of Python takes twice as long to open.
    with open(path, "rb", buffering=0) as file:
        data = file.readall()
    # utf-8-sig: editors on Windows write a byte-order mark, which Python's parser rejects.
    text = data.decode("utf-8-sig" if data[:1] == b"\xef" else "utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _remote_text(path: str, timeout: float) -> str:
    # Imported here, for remote files only: it is slower to import than this package.
    from engine_fileio import get_text

    found: list[str] = []
    errors: list[Exception] = []

    def read() -> None:
        try:
            found.append(get_text(path))
        except Exception as error:
            errors.append(error)

    # A thread, because a server that sends a byte now and then keeps to the time limits of a
    # connection. A daemon, because it may never end.
    thread = threading.Thread(target=read, name=f"read {path}", daemon=True)
    thread.start()
    thread.join(timeout)
    if errors:
        raise errors[0]
    if not found:
        message = f"no complete answer within {timeout:g} s; copy the config to the disk, or pass"
        raise ConfigReadError(f"{message} a longer timeout to Config.fromfile", file=path)
    return found[0]


def _not_found(path: str) -> str:
    message = "there is no such config file"
    if is_remote(path):
        return message
    folder, name = os.path.split(path)
    if not os.path.isdir(folder or "."):
        return f"{message}, and its folder does not exist"
    # Imported here, for errors only: importing this package would take 50 % longer.
    from engine_utils import closest_name

    close = closest_name(name, os.listdir(folder or "."))
    return f"{message}; did you mean {os.path.join(folder, close)}?" if close else message


def suffix_of(path: str) -> str:
    """Return the extension of a path, in lower case."""
    return os.path.splitext(path)[1].lower()
