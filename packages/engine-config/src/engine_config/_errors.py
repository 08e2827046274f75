"""The errors that a caller may catch, each with its file, line and key."""

from __future__ import annotations

from typing import Any


class ConfigError(Exception):
    """Base class of the errors in configs.

    Args:
        message: The rule, the value and the solution.
        file: The file that holds the mistake, or None if it is not in a file.
        line: The line in that file, counted from 1; 0 if it is unknown.
        key_path: The dotted path of the key, or an empty string.

    Example:
        >>> from engine_config import Config
        >>> try:
        ...     cfg = Config.fromstring("lr = = 2", ".py")
        ... except ConfigError as error:
        ...     print(error.line, error.message)
        1 invalid syntax
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
        # An exception is pickled by its positional arguments. File and line would get lost between
        # processes.
        state = {"file": self.file, "line": self.line, "key_path": self.key_path}
        return (_rebuild_error, (type(self), self.message, state))


def _rebuild_error(cls: type[ConfigError], message: str, state: dict[str, object]) -> ConfigError:
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    error.message = message
    error.__dict__.update(state)
    return error


class ConfigParseError(ConfigError, ValueError):
    """The text of a config is malformed, too deep, or names something that does not exist.

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
    """A config file exists but cannot be read, or is not text.

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
    """A module or object that a config names cannot be imported.

    Example:
        >>> from engine_config import Config
        >>> Config.fromstring("custom_imports = dict(imports=['no_such_module'])", ".py")
        Traceback (most recent call last):
        engine_config._errors.ConfigImportError: <string>:1: custom_imports: failed to import ...
    """


class ConfigExecutionError(ConfigError, RuntimeError):
    """A Python config raised an error while it ran; the original error is the cause.

    Example:
        >>> from engine_config import Config
        >>> Config.fromstring("a = 1 / 0", ".py")
        Traceback (most recent call last):
        engine_config._errors.ConfigExecutionError: <string>:1: ZeroDivisionError: division by zero
    """


class ConfigKeyError(ConfigError, KeyError):
    """A key is reserved, set by two bases, or missing.

    Example:
        >>> from engine_config import Config
        >>> Config({"pretty_text": 1})
        Traceback (most recent call last):
        engine_config._errors.ConfigKeyError: pretty_text: this name is reserved for Config...
    """


class ConfigTypeError(ConfigError, TypeError):
    """A value has a type that cannot be merged or used in this place.

    Example:
        >>> from engine_config import Config
        >>> Config({"lr": 0.1}).merge_from_dict({"lr.scale": 2})
        Traceback (most recent call last):
        engine_config._errors.ConfigTypeError: ...lr.scale: cannot be set, because lr is 0.1...
    """


def shown(value: Any) -> str:
    """Return the ``repr`` of a value for a message, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
