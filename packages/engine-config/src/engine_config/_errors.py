"""What a caller may catch: one tree of errors, which know file, line and key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine_config._check import Problem


class ConfigError(Exception):
    """Something is wrong with a config; base class of every error this package raises on purpose.

    Args:
        message: what is wrong and what to do about it.
        file: the file that holds the mistake, or None when it did not come from a file.
        line: the line in that file, counted from 1, or 0 when unknown.
        key_path: the dotted path of the key concerned, or an empty string.

    Example:
        >>> print(ConfigError("cannot be empty", file="a.py", line=3, key_path="model.type"))
        a.py:3: model.type: cannot be empty
    """

    def __init__(
        self, message: str, *, file: str | None = None, line: int = 0, key_path: str = ""
    ) -> None:
        super().__init__(message)
        self.message, self.file, self.line, self.key_path = message, file, line, key_path

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        return ": ".join(part for part in (place, self.key_path, self.message) if part)

    def __reduce__(self) -> tuple[object, ...]:
        state = {"file": self.file, "line": self.line, "key_path": self.key_path}
        return (_rebuild_error, (type(self), self.message, state))


def _rebuild_error(cls: type[ConfigError], message: str, state: dict[str, object]) -> ConfigError:
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    error.message = message
    error.__dict__.update(state)
    return error


class ConfigParseError(ConfigError, ValueError):
    """The text of a config file is malformed, too deep, or refers to something that is not there.

    Example:
        >>> from engine_config import Config
        >>> Config.fromstring("a = = 1", ".py")
        Traceback (most recent call last):
        engine_config._errors.ConfigParseError: <string>:1: invalid syntax
    """


class ConfigFormatError(ConfigError, OSError):
    """The format of a config is not one of Python, JSON and YAML.

    Example:
        >>> from engine_config import Config
        >>> Config.fromstring("a = 1", ".toml")
        Traceback (most recent call last):
        engine_config._errors.ConfigFormatError: '.toml' is not a config format; use ...
    """


class ConfigFileNotFoundError(ConfigError, FileNotFoundError):
    """A config file, or one that it names as its base, does not exist.

    Example:
        >>> from engine_config import Config
        >>> Config.fromfile("no_such_config.py")
        Traceback (most recent call last):
        engine_config._errors.ConfigFileNotFoundError: ...: there is no such config file
    """


class ConfigReadError(ConfigError, OSError):
    """A config file is there but cannot be read, or is not text.

    Example:
        >>> from engine_config import Config
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "a.py"
        >>> folder.mkdir()
        >>> Config.fromfile(folder)
        Traceback (most recent call last):
        engine_config._errors.ConfigReadError: ...a.py: the config cannot be read: Is a directory
    """


class ConfigImportError(ConfigError, ImportError):
    """Something that a config names, in `custom_imports` or a lazy import, cannot be imported.

    Example:
        >>> from engine_config import Config
        >>> Config.fromstring("custom_imports = dict(imports=['no_such_module'])", ".py")
        Traceback (most recent call last):
        engine_config._errors.ConfigImportError: <string>:1: custom_imports: failed to import ...
    """


class ConfigExecutionError(ConfigError, RuntimeError):
    """A Python config raised an error while it ran; the error itself is chained.

    Example:
        >>> from engine_config import Config
        >>> Config.fromstring("a = 1 / 0", ".py")
        Traceback (most recent call last):
        engine_config._errors.ConfigExecutionError: <string>:1: ZeroDivisionError: division by zero
    """


class ConfigKeyError(ConfigError, KeyError):
    """A key is reserved, repeated among bases, or not there.

    Example:
        >>> from engine_config import Config
        >>> Config({"pretty_text": 1})
        Traceback (most recent call last):
        engine_config._errors.ConfigKeyError: pretty_text: this name is reserved for Config...
    """


class ConfigTypeError(ConfigError, TypeError):
    """A value is of a kind that cannot be merged or used at its place.

    Example:
        >>> from engine_config import Config
        >>> Config({"lr": 0.1}).merge_from_dict({"lr.scale": 2})
        Traceback (most recent call last):
        engine_config._errors.ConfigTypeError: ...lr.scale: cannot be set, because lr is 0.1...
    """


class ConfigCheckError(ConfigError):
    """`Config.check` found mistakes; `problems` holds all of them.

    Example:
        >>> ConfigCheckError([]).problems
        ()
    """

    problems: tuple[Problem, ...]

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"{count} problem{'' if count == 1 else 's'} in the config"
        super().__init__("\n".join([head, *(f"  {problem}" for problem in self.problems)]))

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.problems,))
