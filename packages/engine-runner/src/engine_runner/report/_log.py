"""Read the log files of a run: environment, warnings, errors, and the best checkpoints."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine_utils import mask_text

_LINE = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) - [^ ]+ - ([A-Z]+) - (.*)", re.DOTALL)
_PLACE = re.compile(r"(\S+\.py) - (\S+) - (\d+) - ")
_BEST = re.compile(
    r"The best checkpoint with (\S+) (.+) at (\d+ \w+) is saved to (.+?)\.?\s*$", re.MULTILINE
)
_ENTRY = re.compile(r"    (\S[^:]*): ?(.*)")
_SERIOUS = ("WARNING", "ERROR", "CRITICAL")
_LONGEST = 4000  # characters of a message
_MOST = 300  # messages


@dataclass(kw_only=True)
class Message:
    """A warning or error of the log, and how often it was logged.

    Example:
        >>> Message(level="WARNING", text="slow", first="2026/01/31 12:00:00").count
        1
    """

    level: str
    text: str
    first: str
    last: str = ""
    count: int = 1


@dataclass(kw_only=True)
class LogFacts:
    """What the log files of a run say.

    Attributes:
        environment: The entries of the environment by name, of the last attempt.
        messages: The warnings and errors, in the order of their first lines.
        omitted: Further messages that are not stored.
        best: For each best checkpoint by name, why it is the best.
        started: The time of the first line.
        ended: The time of the last line.

    Example:
        >>> LogFacts().messages
        []
    """

    environment: dict[str, str] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    omitted: int = 0
    best: dict[str, str] = field(default_factory=dict)
    started: str = ""
    ended: str = ""


def read_logs(paths: Sequence[Path]) -> LogFacts:
    """Read log files in order. Bytes that are not UTF-8 are shown as U+FFFD.

    Args:
        paths: The log files.
    """
    facts = LogFacts()
    known: dict[tuple[str, str], Message] = {}
    for path in paths:
        for time, level, text in _entries(path):
            facts.started = facts.started or time
            facts.ended = time
            if level in _SERIOUS:
                _note(facts, known, Message(level=level, text=_shortened(text), first=time))
            elif "System environment:" in text[:200]:
                facts.environment = _environment(text)
            elif found := _BEST.search(text):
                value, metric, when, name = found.groups()
                facts.best[Path(name).name] = f"{metric} {value} at {when}"
    return facts


def _entries(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield time, level and text of each record; a record may have several lines."""
    head: tuple[str, str] | None = None
    lines: list[str] = []
    size = 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            found = _LINE.match(line)
            if found:
                if head:
                    yield *head, "".join(lines)
                head, lines, size = (found[1], found[2]), [found[3]], 0
            elif size < 1_000_000:  # a file without the format of a log is not kept as a whole
                lines.append(line)
                size += len(line)
    if head:
        yield *head, "".join(lines)


def _note(facts: LogFacts, known: dict[tuple[str, str], Message], message: Message) -> None:
    key = (message.level, message.text)
    earlier = known.get(key)
    if earlier is not None:
        earlier.count += 1
        earlier.last = message.first
    elif len(known) < _MOST:
        known[key] = message
        facts.messages.append(message)
    else:
        facts.omitted += 1


def _shortened(text: str) -> str:
    text = mask_text(_PLACE.sub(r"\1:\3: ", text.strip(), count=1))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _environment(text: str) -> dict[str, str]:
    entries: dict[str, str] = {}
    name = ""
    for line in mask_text(text.partition("\nConfig:\n")[0]).splitlines():
        if found := _ENTRY.fullmatch(line):
            name = found[1]
            entries[name] = found[2]
        elif name and line.startswith("  "):  # the lines of a value that has several
            entries[name] += f"\n{line.strip()}"
    return entries
