"""Replace ``{{…}}`` in configs: predefined variables, environment variables, values of the bases.

Each use is replaced by a unique name before the text is parsed. The name is replaced by the value
after parsing. Therefore a file name or an environment variable can never become code.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine_config._dict import ConfigDict, copy_containers, marks_of
from engine_config._errors import ConfigKeyError, ConfigTypeError
from engine_config.read._values import parse_value

_FILE: Final = ("fileDirname", "fileBasename", "fileBasenameNoExtension", "fileExtname")
# Only these forms are replaced. Other text in double braces, such as a Jinja template, is kept.
PATTERN: Final = re.compile(
    r"\{\{[ \t]*(?:_base_\.(?P<base>\w+(?:\.\w+)*)"
    rf"|(?P<file>{'|'.join(_FILE)})"
    r"|\$[ \t]*(?P<env>[A-Za-z_]\w*)[ \t]*(?P<given>:(?P<default>[^{}\n]*?))?)[ \t]*\}\}"
)
_JSON_STRING: Final = re.compile(r'"(?:\\.|[^"\\])*"', re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Use:
    """One ``{{…}}``.

    Attributes:
        base: The dotted path of a value of the bases, or None.
        text: The replacement; None for an environment variable that is not set.
        bare: Whether the use is outside of quotes, so that the replacement is parsed as a value.
        line: Its line.
        variable: The name of the environment variable.
    """

    base: str | None
    text: str | None
    bare: bool
    line: int
    variable: str = ""


@dataclass(frozen=True, kw_only=True)
class Substitution:
    """A text with names in the places of ``{{…}}``, and the use for each name."""

    path: str
    text: str
    uses: Mapping[str, Use] = field(default_factory=dict)
    prefix: str = ""

    def constant(self, text: str) -> str:
        """Replace the file and environment variables in a string of the config."""
        # `resolve` replaces values of the bases later: they are known only after the bases are
        # merged.
        for name, use in self.uses.items():
            if use.base is None and name in text:
                text = text.replace(name, self.text_of(use))
        return text

    def text_of(self, use: Use) -> str:
        """Return the replacement for a use.

        Raises:
            ConfigKeyError: The use names an environment variable that is not set.
        """
        if use.text is not None:
            return use.text
        raise ConfigKeyError(
            f"the environment variable {use.variable} is not set; set it, or give a default as "
            f"{{{{${use.variable}:default}}}}",
            file=self.path,
            line=use.line,
        )

    def value_of(self, use: Use) -> Any:
        """Return the value of a use that is the whole expression or string."""
        return literal(self.text_of(use)) if use.bare else self.text_of(use)

    def resolve(self, value: Any, find_base: Callable[[Use], Any]) -> Any:
        """Replace every name in a value, also in nested values, and return the result."""
        if isinstance(value, dict):
            for key, item in list(dict.items(value)):  # a list: the loop renames keys
                if isinstance(key, str) and self.prefix in key:
                    key = self._rename(value, key)
                dict.__setitem__(value, key, self.resolve(item, find_base))
            return value
        if type(value) in (list, tuple):
            return type(value)(self.resolve(item, find_base) for item in value)
        if isinstance(value, BaseReference):
            return find_base(value.use)
        if isinstance(value, str) and self.prefix in value:
            return self._string(value, find_base)
        return value

    def _rename(self, owner: dict[Any, Any], key: str) -> str:
        new = self.constant(key)
        dict.pop(owner, key)
        if isinstance(owner, ConfigDict):
            marks_of(owner)[new] = marks_of(owner).pop(key)
        return new

    def _string(self, value: str, find_base: Callable[[Use], Any]) -> Any:
        whole = self.uses.get(value)
        if whole is not None:
            return self.value_of(whole) if whole.base is None else find_base(whole)
        value = self.constant(value)
        for name, use in self.uses.items():
            if name in value:
                value = value.replace(name, str(find_base(use)))
        return value


class BaseReference:
    """Placeholder for ``{{_base_.x}}`` while a Python config runs; it can only be assigned."""

    def __init__(self, use: Use, file: str) -> None:
        object.__setattr__(self, "use", use)
        object.__setattr__(self, "file", file)

    use: Use
    file: str

    def _reject(self, *_: object) -> Any:
        raise ConfigTypeError(
            f"{{{{_base_.{self.use.base}}}}} can be copied to a key but not used or changed while "
            f"the file is read; write _base_.{self.use.base} without braces",
            file=self.file,
            line=self.use.line,
        )

    def __getattr__(self, name: str) -> Any:
        # Python looks up special names itself, for example to copy an object.
        if name.startswith("__"):
            raise AttributeError(name)
        return self._reject()

    __setattr__ = __setitem__ = __getitem__ = __delitem__ = __iter__ = __len__ = _reject
    __hash__ = None  # type: ignore[assignment]  # a key would never be replaced
    __add__ = __radd__ = __mul__ = __bool__ = __call__ = __contains__ = _reject
    __eq__ = __ne__ = __str__ = __format__ = _reject  # otherwise it would act as a usual object


def substitute(
    text: str, path: str, *, file_variables: bool, environment: bool, is_json: bool
) -> Substitution:
    """Replace every ``{{…}}`` of the documented forms by a name.

    Args:
        text: The text of a config file.
        path: The path of that file, which gives the predefined variables.
        file_variables: Whether ``{{fileDirname}}`` and the other predefined variables are replaced.
        environment: Whether ``{{$NAME}}`` and ``{{$NAME:default}}`` are replaced.
        is_json: Whether a use outside of quotes must be quoted to make the text JSON.
    """
    if "{{" not in text:
        return Substitution(path=path, text=text)
    # Choose a prefix that does not occur in the text. It is an identifier, so that Python parses
    # it.
    prefix = "_engine_use_"
    while prefix in text:
        prefix = f"_{prefix}"
    variables = _file_variables(path) if file_variables else {}
    # JSON has no names, so a bare use must become a string. A use is bare if it is outside of all
    # strings.
    strings = [match.span() for match in _JSON_STRING.finditer(text)] if is_json else []
    uses: dict[str, Use] = {}

    def replace(match: re.Match[str]) -> str:
        line = text.count("\n", 0, match.start()) + 1
        # Disabled by an argument of `Config.fromfile`: keep the text.
        if (match["file"] and match["file"] not in variables) or (match["env"] and not environment):
            return match[0]
        value = _environment(match) if match["env"] else variables.get(match["file"] or "", "")
        quoted = is_json and any(a < match.start() < b for a, b in strings)
        bare = not quoted if is_json else text[match.start() - 1 : match.start()] not in "'\""
        # The final underscore is needed so that the name of use 1 is not found in that of use 10.
        name = f"{prefix}{len(uses)}_"
        uses[name] = Use(
            base=match["base"],
            text=value,
            bare=bare and match["file"] is None,
            line=line,
            variable=match["env"] or "",
        )
        return f'"{name}"' if is_json and not quoted else name

    replaced = PATTERN.sub(replace, text)
    return Substitution(path=path, text=replaced, uses=uses, prefix=prefix)


def _file_variables(path: str) -> dict[str, str]:
    remote = "://" in path
    folder = path.rpartition("/")[0] if remote else os.path.dirname(os.path.abspath(path))
    name = os.path.basename(path)
    stem, suffix = os.path.splitext(name)
    return {
        "fileDirname": folder.replace("\\", "/"),
        "fileBasename": name,
        "fileBasenameNoExtension": stem,
        "fileExtname": suffix,
    }


def _environment(match: re.Match[str]) -> str | None:
    value = os.environ.get(match["env"])
    if value is not None or match["given"] is None:
        return value
    return (match["default"] or "").strip()


def literal(text: str) -> Any:
    """Parse a text outside of quotes as a value; return the text if it cannot be parsed."""
    try:
        return parse_value(text)
    except (ValueError, RecursionError):
        return text


def base_value(base: ConfigDict, use: Use, file: str) -> Any:
    """Return a copy of the value that ``{{_base_.a.b}}`` names.

    Raises:
        ConfigKeyError: The bases have no such key.
    """
    value: Any = base
    for name in (use.base or "").split("."):
        try:
            # Not ConfigDict.__getitem__, which would import a lazy name.
            raw = dict.__getitem__(value, name) if isinstance(value, dict) else value[int(name)]
        except (KeyError, IndexError, ValueError, TypeError):
            keys = ", ".join(map(str, value)) if isinstance(value, dict) else "no keys"
            raise ConfigKeyError(
                f"{{{{_base_.{use.base}}}}}: the base has no {name!r}; it has: {keys}",
                file=file,
                line=use.line,
            ) from None
        value = raw
    return copy_containers(value)
