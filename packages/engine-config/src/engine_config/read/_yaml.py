"""Read YAML configs with PyYAML's safe classes.

Two rules differ from PyYAML, so that Python, JSON and YAML configs agree: ``1e-3`` is a number, and
a date is text.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from engine_config._errors import ConfigParseError
from engine_config.origin import Lines
from engine_config.origin._attach import MAX_DEPTH

_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_FLOAT: Final = re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$")

# The classes in C are several times as fast, but not every build of PyYAML has them.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def scalar_rules(base: Any) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Return the changed rules of a PyYAML class for unquoted scalars, by first character.

    Numbers such as ``1e-3`` are added, which PyYAML reads as text. Dates are removed.
    """
    kept = {
        first: [pair for pair in pairs if pair[0] != _TIMESTAMP]
        for first, pairs in base.yaml_implicit_resolvers.items()
    }
    for first in "-+0123456789":
        kept[first] = [*kept.get(first, []), ("tag:yaml.org,2002:float", _FLOAT)]
    return kept


class _Loader(_SafeLoader):  # type: ignore[misc]  # chosen when imported
    yaml_implicit_resolvers = scalar_rules(_SafeLoader)
    yaml_constructors: Final = {
        tag: constructor
        for tag, constructor in _SafeLoader.yaml_constructors.items()
        if tag != _TIMESTAMP
    }


def read(text: str, file: str) -> tuple[Any, Lines | None]:
    """Return the value of a YAML text, and the lines of its keys.

    Raises:
        ConfigParseError: The text is not YAML, has tags that are not plain data, gives a key twice,
            or is too deep.
    """
    try:
        _reject_depth(text, file)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            _reject_repeated(node, file, set())
            value = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        parts = (getattr(error, "context", None), getattr(error, "problem", None))
        problem = ": ".join(filter(None, parts)) or str(error).partition("\n")[0]
        line = getattr(getattr(error, "problem_mark", None), "line", -1) + 1
        raise ConfigParseError(problem, file=file, line=line) from error
    except (ValueError, TypeError, RecursionError, LookupError, AttributeError) as error:
        # PyYAML does not convert errors of int(), of a mapping merged with itself, and similar
        # ones.
        if isinstance(error, ConfigParseError):
            raise
        message = f"a value cannot be read: {type(error).__name__}: {error}"
        raise ConfigParseError(message, file=file) from error
    return ({} if value is None else value), _lines(node, {})


def _reject_depth(text: str, file: str) -> None:
    # libyaml's composer recurses in C: a text of a hundred thousand brackets would crash the
    # process. Its event parser does not recurse.
    depth = 0
    for event in yaml.parse(text, Loader=_SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise ConfigParseError(
                    f"the config is nested more than {MAX_DEPTH} levels deep",
                    file=file,
                    line=getattr(event.start_mark, "line", -1) + 1,
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _reject_repeated(node: yaml.Node | None, file: str, done: set[int]) -> None:
    """Raise for a repeated key in a mapping: PyYAML would silently keep the last value."""
    # An alias is the same node again. Without `done`, nested aliases would take exponential time.
    if id(node) in done or not isinstance(node, yaml.CollectionNode):
        return
    done.add(id(node))
    lines: dict[tuple[str, str], int] = {}
    for item in node.value:
        key, value = item if isinstance(item, tuple) else (None, item)
        _reject_repeated(value, file, done)
        if not isinstance(key, yaml.ScalarNode):
            continue
        line = key.start_mark.line + 1
        name = (key.tag, key.value)
        if name in lines and key.value != "<<":
            message = f"the key {key.value!r} repeats the key of line {lines[name]}"
            raise ConfigParseError(message, file=file, line=line)
        lines[name] = line


def _lines(node: yaml.Node | None, known: dict[int, Lines]) -> Lines | None:
    if node is None:
        return None
    if id(node) in known:
        return known[id(node)]
    lines = known[id(node)] = Lines(node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        children: dict[object, Lines] = {}
        lines.children = children
        for key, value in node.value:
            part = _lines(value, known)
            if part is not None:
                # An alias puts one node at several keys, and each key has its own line.
                children[_key(key)] = Lines(key.start_mark.line + 1, part.children)
    elif isinstance(node, yaml.SequenceNode):
        lines.children = [part for item in node.value if (part := _lines(item, known))]
    return lines


def _key(node: yaml.Node) -> object:
    if node.tag == "tag:yaml.org,2002:int":
        try:
            return int(node.value)
        except ValueError:
            return node.value
    return node.value if isinstance(node, yaml.ScalarNode) else None
