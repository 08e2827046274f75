"""`{{…}}` in config texts: predefined variables, environment variables and values of the bases.

Each use is replaced by an unusual name before the text is parsed, and that name by the value
afterwards. What comes from a file name or the environment is thus data wherever it stands: it can
never become code.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine_config._dict import ConfigDict, copy_containers
from engine_config._errors import ConfigKeyError, ConfigTypeError

_FILE: Final = ("fileDirname", "fileBasename", "fileBasenameNoExtension", "fileExtname")
PATTERN: Final = re.compile(
    r"\{\{[ \t]*(?:_base_\.(?P<base>\w+(?:\.\w+)*)"
    rf"|(?P<file>{'|'.join(_FILE)})"
    r"|\$[ \t]*(?P<env>[A-Za-z_]\w*)[ \t]*(?P<given>:(?P<default>[^{}\n]*?))?)[ \t]*\}\}"
)
_JSON_STRING: Final = re.compile(r'"(?:\\.|[^"\\])*"', re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Use:
    """One `{{…}}`: the dotted path it names in the bases, or the text it stands for."""

    base: str | None
    text: str
    bare: bool
    line: int


@dataclass(frozen=True, kw_only=True)
class Substitution:
    """A text without `{{…}}` and what the names in their places mean."""

    text: str
    uses: Mapping[str, Use] = field(default_factory=dict)
    prefix: str = ""

    def constant(self, text: str) -> str:
        """Return a string of the config with file and environment variables filled in."""
        for name, use in self.uses.items():
            if use.base is None and name in text:
                text = text.replace(name, use.text)
        return text

    def resolve(self, value: Any, find_base: Callable[[Use], Any]) -> Any:
        """Return a value with every name in it replaced, in nested values too."""
        if isinstance(value, dict):
            for key, item in list(dict.items(value)):
                dict.__setitem__(value, key, self.resolve(item, find_base))
            return value
        if type(value) in (list, tuple):
            return type(value)(self.resolve(item, find_base) for item in value)
        if isinstance(value, BaseReference):
            return find_base(value.use)
        if isinstance(value, str) and self.prefix in value:
            return self._string(value, find_base)
        return value

    def _string(self, value: str, find_base: Callable[[Use], Any]) -> Any:
        whole = self.uses.get(value)
        if whole is not None:
            if whole.base is not None:
                return find_base(whole)
            return literal(whole.text) if whole.bare else whole.text
        value = self.constant(value)
        for name, use in self.uses.items():
            if name in value:
                value = value.replace(name, str(find_base(use)))
        return value


class BaseReference:
    """What `{{_base_.x}}` is while a Python config runs: it can be placed, not changed."""

    def __init__(self, use: Use, file: str) -> None:
        object.__setattr__(self, "use", use)
        object.__setattr__(self, "file", file)

    use: Use
    file: str

    def _refuse(self, *_: object) -> Any:
        raise ConfigTypeError(
            f"{{{{_base_.{self.use.base}}}}} can be copied to a key but not used or changed while "
            f"the file is read; write _base_.{self.use.base} without braces",
            file=self.file,
            line=self.use.line,
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._refuse()

    __setattr__ = __setitem__ = __getitem__ = __delitem__ = __iter__ = __len__ = _refuse
    __add__ = __radd__ = __mul__ = __bool__ = __call__ = __contains__ = _refuse


def substitute(
    text: str, path: str, *, file_variables: bool, environment: bool, is_json: bool
) -> Substitution:
    """Replace every `{{…}}` that has a meaning by a name.

    Args:
        text: the text of a config file.
        path: the path of that file, which the predefined variables are made from.
        file_variables: whether `{{fileDirname}}` and its kin are replaced.
        environment: whether `{{$NAME}}` and `{{$NAME:default}}` are replaced.
        is_json: whether a use outside of quotes must be quoted to make the text JSON.
    """
    if "{{" not in text:
        return Substitution(text=text)
    prefix = "_engine_use_"
    while prefix in text:
        prefix = f"_{prefix}"
    variables = _file_variables(path) if file_variables else {}
    strings = [match.span() for match in _JSON_STRING.finditer(text)] if is_json else []
    uses: dict[str, Use] = {}

    def replace(match: re.Match[str]) -> str:
        line = text.count("\n", 0, match.start()) + 1
        if (match["file"] and match["file"] not in variables) or (match["env"] and not environment):
            return match[0]
        value = variables.get(match["file"] or "", "")
        if match["env"]:
            value = _environment(match, path, line)
        quoted = is_json and any(a < match.start() < b for a, b in strings)
        bare = not quoted if is_json else text[match.start() - 1 : match.start()] not in "'\""
        name = f"{prefix}{len(uses)}_"
        uses[name] = Use(
            base=match["base"], text=value, bare=bare and match["file"] is None, line=line
        )
        return f'"{name}"' if is_json and not quoted else name

    return Substitution(text=PATTERN.sub(replace, text), uses=uses, prefix=prefix)


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


def _environment(match: re.Match[str], path: str, line: int) -> str:
    value = os.environ.get(match["env"])
    if value is not None:
        return value
    if match["given"] is None:
        raise ConfigKeyError(
            f"the environment variable {match['env']} is not set; set it, or give a default as "
            f"{{{{${match['env']}:default}}}}",
            file=path,
            line=line,
        )
    return (match["default"] or "").strip()


def literal(text: str) -> Any:
    """Return the value a text is a Python literal of, or the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


def base_value(base: ConfigDict, use: Use, file: str) -> Any:
    """Return a copy of what `{{_base_.a.b}}` names.

    Raises:
        ConfigKeyError: the bases have no such key.
    """
    value: Any = base
    for name in (use.base or "").split("."):
        try:
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
