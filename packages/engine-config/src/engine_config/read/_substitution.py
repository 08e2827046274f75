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
# The quotes of a key may be escaped, as in a JSON string: "{{_base_[\"sizes\"]}}".
_STEP: Final = (
    r"\.\w+|\[[ \t]*-?\d+[ \t]*\]"
    r"|\[[ \t]*\\?'[^'\\{}\n]*\\?'[ \t]*\]|\[[ \t]*\\?\"[^\"\\{}\n]*\\?\"[ \t]*\]"
)
# Only these forms are replaced. Other text in double braces, such as a Jinja template, is kept.
PATTERN: Final = re.compile(
    rf"\{{\{{[ \t]*(?:_base_(?P<base>(?:{_STEP})+)"
    rf"|(?P<file>{'|'.join(_FILE)})"
    r"|\$[ \t]*(?P<env>[A-Za-z_]\w*)[ \t]*(?P<given>:(?P<default>[^{}\n]*?))?"
    # Malformed uses, or names that may be misspelled.
    r"|(?P<other>(?:_base_\b|\$)[^{}\n]*?|[A-Za-z]\w*))[ \t]*\}\}"
)
# `filename` is a usual name in templates of other programs, and less similar.
_LIKENESS: Final = 0.88
_FILE_PART: Final = re.compile(r"file_?(?:dir|base|ext)", re.IGNORECASE)
_HOW_TO_KEEP: Final = "to keep the text as it is, write \\u007b for its first brace"
_JSON_STRING: Final = re.compile(r'"(?:\\.|[^"\\])*"', re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Use:
    """One ``{{…}}``.

    Attributes:
        base: The expression of a value of the bases, such as ``_base_.steps[0]``, or None.
        keys: The keys and indices in that expression.
        text: The replacement; None if there is none.
        bare: Whether the use is outside of quotes, so that the replacement is parsed as a value.
        line: Its line.
        env: The environment variable that it names.
        mistake: The reason why there is no replacement.
    """

    base: str | None
    keys: tuple[str | int, ...]
    text: str | None
    bare: bool
    line: int
    mistake: str = ""
    env: str | None = None


@dataclass(frozen=True, kw_only=True)
class Substitution:
    """A text with names in the places of ``{{…}}``, and the use for each name."""

    path: str
    text: str
    uses: Mapping[str, Use] = field(default_factory=dict)
    prefix: str = ""

    @property
    def env_variables(self) -> dict[str, str]:
        """The environment variables that are used, with their values or defaults."""
        uses = self.uses.values()
        return {use.env: use.text for use in uses if use.env and use.text is not None}

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
            ConfigKeyError: The use names an environment variable that is not set, or nothing.
        """
        if use.text is not None:
            return use.text
        raise ConfigKeyError(use.mistake, file=self.path, line=use.line)

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
            f"{{{{{self.use.base}}}}} can be copied to a key but not used or changed while "
            f"the file is read; write {self.use.base} without braces",
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
        # Disabled by an argument of `Config.fromfile`, or text of another program: keep it.
        if not _is_use(match, file_variables=file_variables, environment=environment):
            return match[0]
        value, mistake = _value_or_mistake(match, variables)
        quoted = is_json and any(a < match.start() < b for a, b in strings)
        bare = not quoted if is_json else text[match.start() - 1 : match.start()] not in "'\""
        # The final underscore is needed so that the name of use 1 is not found in that of use 10.
        name = f"{prefix}{len(uses)}_"
        uses[name] = Use(
            base=f"_base_{match['base']}" if match["base"] else None,
            keys=_keys(match["base"] or ""),
            text=value,
            bare=bare and match["file"] is None,
            line=text.count("\n", 0, match.start()) + 1,
            mistake=mistake,
            env=match["env"],
        )
        return f'"{name}"' if is_json and not quoted else name

    replaced = PATTERN.sub(replace, text)
    return Substitution(path=path, text=replaced, uses=uses, prefix=prefix)


def escaped(text: str, brace: str = "\\x7b") -> str:
    """Return a quoted text in which no ``{{…}}`` is replaced on reading.

    Args:
        text: The text, in the quotes of a file format.
        brace: The escape of the format for an opening brace.
    """
    if "{{" not in text:
        return text
    return PATTERN.sub(lambda use: f"{{{brace}{use[0][2:]}" if _is_use(use) else use[0], text)


def _is_use(match: re.Match[str], *, file_variables: bool = True, environment: bool = True) -> bool:
    """Return whether a text in double braces is one of the documented forms, or almost."""
    other = match["other"] or ""
    if match["env"] or other.startswith("$"):
        return environment
    if match["base"] or other.startswith("_base_"):
        return True
    return file_variables and bool(match["file"] or _is_like_variable(other))


def _is_like_variable(name: str) -> bool:
    if _FILE_PART.match(name):
        return True
    # Imported here, for texts with other names only: it takes as long as reading a config.
    from engine_utils import closest_name

    return closest_name(name, _FILE, likeness=_LIKENESS) is not None


def _value_or_mistake(match: re.Match[str], variables: Mapping[str, str]) -> tuple[str | None, str]:
    """Return the replacement of a use, or None with the reason why there is none."""
    if match["env"]:
        value = os.environ.get(match["env"])
        if value is None and match["given"] is not None:
            value = (match["default"] or "").strip()
        return value, (
            f"the environment variable {match['env']} is not set; set it, or give a default as "
            f"{{{{${match['env']}:default}}}}"
        )
    if not match["other"]:
        return variables.get(match["file"] or "", ""), ""
    return None, _mistake(match[0], match["other"])


def _mistake(text: str, name: str) -> str:
    if name.startswith("_base_"):
        rule = "must name a value of the bases by keys and indices, as in {{_base_.a['b'][0]}}"
    elif name.startswith("$"):
        rule = "must name an environment variable, as in {{$NAME}} or {{$NAME:default}}"
    else:
        # Imported here, for errors only, as in `_is_like_variable`.
        from engine_utils import closest_name

        close = closest_name(name, _FILE, likeness=0) or _FILE[0]
        rule = f"is not a predefined variable; did you mean {{{{{close}}}}}?"
    return f"{text} {rule}; {_HOW_TO_KEEP}"


def _keys(expression: str) -> tuple[str | int, ...]:
    """Return the keys and indices in an expression such as ``.a[0]['b']``."""
    keys: list[str | int] = []
    for match in re.finditer(_STEP, expression):
        step = match[0].strip("[] \t")
        if step.startswith("."):
            keys.append(step[1:])
        else:
            quoted = step.strip("\\")[:1] in "'\""
            keys.append(step.replace("\\", "")[1:-1] if quoted else int(step))
    return tuple(keys)


def _file_variables(path: str) -> dict[str, str]:
    remote = "://" in path
    folder = path.rpartition("/")[0] if remote else os.path.dirname(os.path.abspath(path))
    name = os.path.basename(path)
    stem, suffix = os.path.splitext(name)
    return {
        # On Windows only: elsewhere a backslash is part of a name.
        "fileDirname": folder.replace(os.sep, "/"),
        "fileBasename": name,
        "fileBasenameNoExtension": stem,
        "fileExtname": suffix,
    }


def literal(text: str) -> Any:
    """Parse a text outside of quotes as a value; return the text if it cannot be parsed."""
    try:
        return parse_value(text)
    except (ValueError, RecursionError):
        return text


def base_value(base: ConfigDict, use: Use, file: str) -> Any:
    """Return a copy of the value that ``{{_base_.a[0]['b']}}`` names.

    Raises:
        ConfigKeyError: The bases have no such key.
    """
    value: Any = base
    for key in use.keys:
        try:
            # Not ConfigDict.__getitem__, which would import a lazy name.
            raw = dict.__getitem__(value, key) if isinstance(value, dict) else _item(value, key)
        except (KeyError, IndexError, ValueError, TypeError):
            raise _missing(value, key, use, file) from None
        value = raw
    return copy_containers(value)


def _item(value: Any, key: str | int) -> Any:
    if not isinstance(value, list | tuple):
        raise TypeError
    return value[int(key)]  # {{_base_.steps.0}} names an item, too


def _missing(value: Any, key: str | int, use: Use, file: str) -> ConfigKeyError:
    if isinstance(value, dict):
        from engine_utils import did_you_mean

        has = (
            f"it has: {', '.join(map(str, dict.keys(value)))}{did_you_mean(key, dict.keys(value))}"
        )
    elif isinstance(value, list | tuple):
        has = f"it is a list of {len(value)} elements"
    else:
        has = "it has no keys"
    message = f"{{{{{use.base}}}}}: the base has no {key!r}; {has}"
    return ConfigKeyError(message, file=file, line=use.line)
