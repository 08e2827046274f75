"""Read a config with all its bases, and merge them into one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from engine_config._dict import ConfigDict, copy_containers, marks_of
from engine_config._errors import (
    ConfigFileNotFoundError,
    ConfigFormatError,
    ConfigKeyError,
    ConfigParseError,
    ConfigReadError,
)
from engine_config._facts import Facts
from engine_config._keys import BASE_KEY, reserved
from engine_config._lazy import LazyObject
from engine_config._marks import Mark, Source, error_at
from engine_config.merge._base_names import base_names
from engine_config.merge._locate import BaseImport, base_path, imported_configs
from engine_config.merge._merge import Merging, Note
from engine_config.merge._scope import set_scope
from engine_config.origin import Attacher, Lines
from engine_config.origin._changes import Changes
from engine_config.origin._origin import origin_at
from engine_config.read._files import (
    Options,
    Parsed,
    is_remote,
    parse_text,
    read_text,
    suffix_of,
)
from engine_config.read._kind import Kind
from engine_config.read._python import PythonConfig, run
from engine_config.read._simple import Template
from engine_config.read._substitution import base_value

_MAX_CHAIN: Final = 50
_NO_CHAIN: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(kw_only=True)
class Loaded:
    """A config with its bases merged in.

    Attributes:
        values: The merged values.
        kind: Whether the file is a plain or a lazy config.
        sources: The texts that were read, bases first.
        notes: The probable mistakes that the merges found.
        env_variables: The environment variables that the texts use, and their values.
        imported: The names that lazy configs import.
    """

    values: ConfigDict
    kind: Kind
    sources: list[Source]
    notes: list[Note] = field(default_factory=list)
    env_variables: dict[str, str] = field(default_factory=dict)
    imported: dict[str, LazyObject] = field(default_factory=dict)

    def facts(self) -> Facts:
        """Return the facts of the config beside its values."""
        return Facts(
            sources=tuple(self.sources), env_variables=self.env_variables, imported=self.imported
        )


def load_file(path: str, options: Options, chain: Mapping[str, str] = _NO_CHAIN) -> Loaded:
    """Read a config file and its bases.

    Args:
        path: The path of the file.
        options: How to read it.
        chain: The paths of the configs that inherit from this file, by their identity, the
            outermost first.

    Raises:
        ConfigError: One of the files is missing, is malformed, or conflicts with another.
    """
    # Links and `..` give one file many names. A hard link in another folder has other bases.
    real = _identity(path)
    if real in chain and os.path.realpath(chain[real]) == os.path.realpath(path):
        files = list(chain.values())
        circle = " -> ".join([*files[list(chain).index(real) :], path])
        raise ConfigParseError(f"circular `_base_`: {circle}", file=files[-1])
    if len(chain) > _MAX_CHAIN:
        raise ConfigParseError(f"more than {_MAX_CHAIN} configs inherit in a row", file=path)
    text = read_text(path, options.timeout)
    return load_text(text, path, suffix_of(path), options, chain={**chain, real: path})


def _identity(path: str) -> str:
    try:
        # Not the real path, which takes as long as reading the file.
        found = None if is_remote(path) else os.stat(path)
    except OSError:
        return path  # reading it raises
    except ValueError as error:
        raise ConfigReadError(f"{path!r} is not the path of a config: {error}") from error
    return path if found is None else f"{found.st_dev}:{found.st_ino}"


def load_text(
    text: str, path: str, suffix: str, options: Options, *, chain: Mapping[str, str] = _NO_CHAIN
) -> Loaded:
    """Read a config text and its bases; the arguments are those of `load_file`."""
    parsed = parse_text(text, path, suffix, options)
    try:
        if parsed.python is not None and parsed.python.kind == "lazy":
            loaded = _load_lazy(parsed.python, parsed, options, chain=chain)
            loaded.imported.update(parsed.python.imported)
        else:
            loaded = _load_plain(parsed, options, chain)
        loaded.env_variables.update(parsed.substitution.env_variables)
        return loaded
    # Python recurses once per level. The depth that fails depends on the depth of the caller's
    # stack.
    except RecursionError as error:
        raise ConfigParseError("the config is nested too deeply", file=path) from error


# --- plain configs: _base_ -------------------------------------------------------------------


def _load_plain(parsed: Parsed, options: Options, chain: Mapping[str, str]) -> Loaded:
    source = parsed.source
    names, base_line = base_names(parsed, options)
    # A file without bases may also be a base of a lazy config.
    kind: Kind = "plain" if names else "either"
    result = Loaded(values=ConfigDict(), kind=kind, sources=[])
    plain = options if options.lazy is False else replace(options, lazy=False)
    for name in names:
        path, scope = base_path(name, source.file, base_line, options)
        loaded = _load_base(path, plain, chain, named_at=(source.file, base_line, BASE_KEY))
        if loaded.kind == "lazy":
            raise _mixed(source.file, base_line, "_base_", path)
        if scope:
            set_scope(loaded.values, scope)
        _add_base(result, loaded, repeated=_reject_repeated)
    original = result.values
    uses = parsed.substitution.uses
    changing = parsed.python is not None and bool(parsed.python.last_change)
    if changing and any(use.base is not None for use in uses.values()):
        # {{_base_.x}} is a copy of the value of the base, whatever this file changes in it.
        original = copy_containers(result.values)
    own, has_commands = _own_values(parsed, options, result if names else None)
    # After the marks are attached, so that a value of the base keeps its marks from the base.
    if uses:
        find = partial(base_value, original, file=source.file)
        if original is not result.values:
            # The file may have put a {{…}} into a value of the bases.
            parsed.substitution.resolve(result.values, find)
        parsed.substitution.resolve(own, find)
    Merging(notes=result.notes, has_commands=has_commands).merge(result.values, own)
    result.sources.append(source)
    return result


def _own_values(parsed: Parsed, options: Options, bases: Loaded | None) -> Template:
    """Return the values that a plain config sets itself; they may be changed."""
    # Read before the template: another thread may set both, the template first.
    python = parsed.python
    if parsed.template is not None:
        return parsed.template._replace(values=copy_containers(parsed.template.values))
    if python is not None:
        data, lines = _run_plain(python, parsed, options, bases=bases)
    else:
        data, lines = parsed.own_data(), parsed.children()
    attacher = Attacher(parsed.source)
    own = attacher.root(_checked_root(data, parsed.source, lines), dict(lines))
    template = Template(own, attacher.has_commands)
    if python is None or python.repeatable:
        parsed.keep(template)
        return template._replace(values=copy_containers(own))
    return template


def _run_plain(
    python: PythonConfig, parsed: Parsed, options: Options, *, bases: Loaded | None
) -> tuple[dict[str, Any], Mapping[object, Lines]]:
    """Run a file with its bases as ``_base_``, and keep what it changes in them."""
    source = parsed.source
    # The values of the bases were built for this file: what it changes, no other file sees.
    names = {} if bases is None else {BASE_KEY: bases.values}
    changes = Changes(bases.values, source) if bases is not None and python.last_change else None
    data, lines = run(
        python,
        names,
        parsed.substitution,
        source=source,
        execute=options.execute,
        compare=changes.compare if changes is not None else _no_changes,
    )
    if bases is not None and changes is not None:
        # An error that the file has caught may have skipped the last comparison.
        changes.compare(python.last_change)
        if changes.found:
            bases.values = _settled_base(changes.marked(), source)
    return data, lines


def _no_changes(line: int) -> int:
    return 0  # a file without bases cannot change them


def _settled_base(base: ConfigDict, source: Source) -> ConfigDict:
    for key in dict.keys(base):
        if reason := reserved(key):
            raise error_at(ConfigKeyError, reason, marks_of(base)[key], str(key))
    # A copy: the file may have set one object as two values, and merging would change both.
    attacher = Attacher(source)
    values = attacher.root(base, {})
    # The file replaced these values, so a `_delete_` in them has acted already.
    Merging(has_commands=attacher.has_commands).settle(values, Mark(source, 1), "")
    return values


def _load_base(
    path: str, options: Options, chain: Mapping[str, str], *, named_at: tuple[str, int, str]
) -> Loaded:
    """Load a base; an error to read it gets the place (file, line, key) that names the base."""
    try:
        return load_file(path, options, chain)
    except (ConfigFileNotFoundError, ConfigFormatError, ConfigReadError) as error:
        if error.line or error.key_path:
            raise  # the error has a place already: a base of this base cannot be read
        file, line, key = named_at
        message = f"{path}: {error.message}"
        raise type(error)(message, file=file, line=line, key_path=key) from error


def _checked_root(
    data: dict[Any, Any], source: Source, lines: Mapping[object, Lines]
) -> dict[Any, Any]:
    for key in data:
        reason = reserved(key)
        if reason:
            line = lines[key].line if key in lines else 0
            raise ConfigKeyError(reason, file=source.file, line=line, key_path=str(key))
    return data


def _add_base(
    result: Loaded, loaded: Loaded, repeated: Callable[[ConfigDict, ConfigDict, str], None]
) -> None:
    for key, value in dict.items(loaded.values):
        if key in result.values:
            repeated(result.values, loaded.values, key)
        dict.__setitem__(result.values, key, value)
        marks_of(result.values)[key] = marks_of(loaded.values)[key]
    result.sources.extend(loaded.sources)
    result.notes.extend(loaded.notes)
    result.env_variables.update(loaded.env_variables)


def _reject_repeated(first: ConfigDict, second: ConfigDict, key: str) -> None:
    one, other = origin_at(marks_of(first)[key]), marks_of(second)[key]
    message = f"two bases set this key; it is also set at {one}. Keep it in one of them"
    raise error_at(ConfigKeyError, message, other, key)


def _mixed(file: str, line: int, how: str, base: str) -> ConfigParseError:
    kinds = ("plain", "lazy") if how == BASE_KEY else ("lazy", "plain")
    return ConfigParseError(
        f"this is a {kinds[0]} config ({how}), but its base {base} is a {kinds[1]} one; a chain "
        "must be of one kind",
        file=file,
        line=line,
    )


# --- lazy configs: with read_base() ----------------------------------------------------------


def _load_lazy(
    python: PythonConfig, parsed: Parsed, options: Options, *, chain: Mapping[str, str]
) -> Loaded:
    source = parsed.source
    result = Loaded(values=ConfigDict(), kind="lazy", sources=[])
    lazy = options if options.lazy is True else replace(options, lazy=True)
    for node in python.base_imports:
        for base in imported_configs(node, source.file):
            named_at = (source.file, node.lineno, "read_base")
            loaded = _load_base(base.path, lazy, chain, named_at=named_at)
            if loaded.kind == "plain":
                raise _mixed(source.file, node.lineno, "read_base", base.path)
            mark = Mark(source, node.lineno)
            loaded.values = _imported_names(base, loaded.values, mark)
            _add_base(result, loaded, repeated=_reject_different)
            if any(alias.name == "*" for alias in base.names):
                result.imported.update(loaded.imported)
    result.values, has_commands = _own_lazy_values(python, parsed, options, result.values)
    if has_commands:
        Merging(notes=result.notes).settle(result.values, Mark(source, 1), "")
    result.sources.append(source)
    return result


def _own_lazy_values(
    python: PythonConfig, parsed: Parsed, options: Options, bases: ConfigDict
) -> Template:
    """Return the values of a lazy config, with the names that it imports from its bases."""
    if parsed.template is not None:
        return parsed.template._replace(values=copy_containers(parsed.template.values))
    given = dict(dict.items(bases))
    data, lines = run(
        python,
        dict(given),
        parsed.substitution,
        source=parsed.source,
        execute=options.execute,
        compare=_no_changes,
    )
    root = ConfigDict()
    dict.update(root, _checked_root(data, parsed.source, lines))
    for key, value in data.items():
        # The same object: the file did not change the imported name, so keep the marks of the base.
        if key in given and value is given[key]:
            marks_of(root)[key] = marks_of(bases)[key]
    attacher = Attacher(parsed.source)
    template = Template(attacher.root(root, dict(lines)), attacher.has_commands)
    if python.repeatable and not python.base_imports:
        parsed.keep(template)
        return template._replace(values=copy_containers(template.values))
    return template


def _reject_different(first: ConfigDict, second: ConfigDict, key: str) -> None:
    # Two bases may import the same third one. Its names then occur twice, with equal values.
    if dict.__getitem__(first, key) != dict.__getitem__(second, key):
        _reject_repeated(first, second, key)


def _imported_names(base: BaseImport, values: ConfigDict, mark: Mark) -> ConfigDict:
    if any(alias.name == "*" for alias in base.names):
        return values
    chosen = ConfigDict()
    if base.whole:
        dict.__setitem__(chosen, base.whole, values)
        marks_of(chosen)[base.whole] = mark
    for alias in base.names:
        if alias.name not in values:
            has = ", ".join(dict.keys(values))
            message = f"{base.path} has no {alias.name!r}; it has: {has}"
            raise ConfigKeyError(message, file=mark.source.file, line=mark.line)
        name = alias.asname or alias.name
        dict.__setitem__(chosen, name, dict.__getitem__(values, alias.name))
        marks_of(chosen)[name] = marks_of(values)[alias.name]
    return chosen
