"""What a `Config` holds beside its values: where they were read from, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from engine_config._marks import Source

if TYPE_CHECKING:
    from engine_config._lazy import LazyObject


class IfExecuted(Enum):
    """The default of an option that holds unless ``execute`` is false; signatures show ``True``."""

    TRUE = True

    def __repr__(self) -> str:
        return "True"


class Facts(NamedTuple):
    """The facts of one config.

    Attributes:
        filename: The path of the file.
        sources: The texts that were read, bases first.
        env_variables: The environment variables that the texts use, and the values they had.
        imported: The names that a lazy config imports, which are not among its values.
        wrapped: Whether `Config.pretty_text` breaks long values into lines.
    """

    filename: str | None = None
    sources: tuple[Source, ...] = ()
    env_variables: Mapping[str, str] = {}
    imported: Mapping[str, LazyObject] = {}
    wrapped: bool = True

    @property
    def text(self) -> str:
        """The text of the file. With bases: all texts, bases first, each below its file name."""
        if len(self.sources) == 1:
            return self.sources[0].text
        return "\n".join(f"# {source.file}\n{source.text}" for source in self.sources)
