"""YAML configs, read and written with PyYAML's safe classes.

Two things differ from YAML 1.1 as PyYAML has it, so that the three formats agree: `1e-3` is a
number, and a date is text.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from engine_config._attach import MAX_DEPTH
from engine_config._errors import ConfigParseError
from engine_config._lines import Lines

_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_FLOAT: Final = re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$")

_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def _resolvers(base: Any) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    kept = {
        first: [pair for pair in pairs if pair[0] != _TIMESTAMP]
        for first, pairs in base.yaml_implicit_resolvers.items()
    }
    for first in "-+0123456789":
        kept[first] = [*kept.get(first, []), ("tag:yaml.org,2002:float", _FLOAT)]
    return kept


class _Loader(_SafeLoader):  # type: ignore[misc]  # chosen when imported
    yaml_implicit_resolvers = _resolvers(_SafeLoader)
    yaml_constructors: Final = {
        tag: constructor
        for tag, constructor in _SafeLoader.yaml_constructors.items()
        if tag != _TIMESTAMP
    }


class _Dumper(_SafeDumper):  # type: ignore[misc]  # chosen when imported
    yaml_implicit_resolvers = _resolvers(_SafeDumper)

    def ignore_aliases(self, data: object) -> bool:
        return True


def read(text: str, file: str) -> tuple[Any, Lines | None]:
    """Return the value of a YAML text, and the lines of its keys.

    Raises:
        ConfigParseError: the text is not YAML, has tags that are not plain data, or is too deep.
    """
    try:
        _refuse_depth(text, file)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            _refuse_repeated(node, file, set())
            value = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        parts = (getattr(error, "context", None), getattr(error, "problem", None))
        problem = ": ".join(filter(None, parts)) or str(error).partition("\n")[0]
        line = getattr(getattr(error, "problem_mark", None), "line", -1) + 1
        raise ConfigParseError(problem, file=file, line=line) from error
    except (ValueError, TypeError, RecursionError, LookupError, AttributeError) as error:
        # PyYAML lets the errors of int(), of a mapping merged with itself and the like through.
        if isinstance(error, ConfigParseError):
            raise
        message = f"a value cannot be read: {type(error).__name__}: {error}"
        raise ConfigParseError(message, file=file) from error
    return ({} if value is None else value), _lines(node, {})


def _refuse_depth(text: str, file: str) -> None:
    # libyaml's composer recurses in C: a text of a hundred thousand brackets would end the process.
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


def _refuse_repeated(node: Any, file: str, done: set[int]) -> None:
    """Refuse a mapping with the same key twice, of which PyYAML would keep the last in silence."""
    if id(node) in done or not isinstance(node, yaml.CollectionNode):
        return
    done.add(id(node))
    lines: dict[tuple[str, str], int] = {}
    for item in node.value:
        key, value = item if isinstance(item, tuple) else (None, item)
        _refuse_repeated(value, file, done)
        if not isinstance(key, yaml.ScalarNode):
            continue
        line = key.start_mark.line + 1
        name = (key.tag, key.value)
        if name in lines and key.value != "<<":
            message = f"the key {key.value!r} is here again, after line {lines[name]}"
            raise ConfigParseError(message, file=file, line=line)
        lines[name] = line


def _lines(node: Any, known: dict[int, Lines]) -> Lines | None:
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
                # An alias is one node at several keys, each of which has a line of its own.
                children[_key(key)] = Lines(key.start_mark.line + 1, part.children)
    elif isinstance(node, yaml.SequenceNode):
        lines.children = [part for item in node.value if (part := _lines(item, known))]
    return lines


def _key(node: Any) -> object:
    if node.tag == "tag:yaml.org,2002:int":
        try:
            return int(node.value)
        except ValueError:
            return node.value
    return node.value if isinstance(node, yaml.ScalarNode) else None


def write(value: Any) -> str:
    """Return a value as block-style YAML with sorted keys where they can be compared."""
    sort = _all_text_keys(value)
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=sort, default_flow_style=False, allow_unicode=True
    )
    return text


def _all_text_keys(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _all_text_keys(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_all_text_keys, value))
    return True
