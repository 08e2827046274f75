"""`Problem`: one mistake in a config, and `ConfigCheckError`, which lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine_config._errors import ConfigError

ProblemKind = Literal[
    "unknown type",
    "unknown argument",
    "missing argument",
    "wrong type",
    "wrong value",  # found by a caller that adds its own problems, such as engine-runner
    "dead _delete_",
    "unknown key",
]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One mistake in a config.

    Attributes:
        file: The file that holds it, or the name of a command-line option.
        line: The line, counted from 1; 0 if it is not in a file.
        key_path: The dotted path of the key.
        message: The mistake, and a suggestion.
        kind: The kind of mistake.

    Example:
        >>> from engine_config import Config
        >>> cfg = Config.fromstring("number = dict(type='complex', image=1)", ".py")
        >>> (problem,) = cfg.check(lambda type_value, key_path: complex)
        >>> print(problem)
        <string>:1: number.image: complex has no argument 'image'; did you mean 'imag'?
        >>> problem.kind
        'unknown argument'
    """

    file: str
    line: int
    key_path: str
    message: str
    kind: ProblemKind

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.key_path, self.message) if part)


class ConfigCheckError(ConfigError):
    """`Config.check` found mistakes.

    Attributes:
        problems: All of them, in order.

    Example:
        >>> from engine_config import Config
        >>> def resolve(type_value, key_path):
        ...     return {"Net": complex}[type_value]
        >>> Config({"model": {"type": "Net", "image": 1}}).check(resolve, raise_error=True)
        Traceback (most recent call last):
        engine_config.check._problem.ConfigCheckError: 1 problem in the config
          ...: model.image: complex has no argument 'image'; did you mean 'imag'?
    """

    problems: tuple[Problem, ...]

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"{count} problem{'' if count == 1 else 's'} in the config"
        super().__init__("\n".join([head, *(f"  {problem}" for problem in self.problems)]))

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.problems,))
