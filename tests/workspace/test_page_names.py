"""The names on the pages exist: commands with their options, make targets, extras, files."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from engine_runner.cli._app import COMMANDS, engine

if TYPE_CHECKING:
    from tests.workspace.conftest import Page

ROOT = Path(__file__).parents[2]
AS_MODULE = ["-m", "engine_runner.cli"]


def commands(page: "Page") -> Iterator[str]:
    """Yield the commands of the blocks that a shell would run, each on one line."""
    for block in page.blocks():
        if block.language == "bash":
            text = block.text
        elif block.language == "console":
            text = "\n".join(re.findall(r"^\$ (.*)$", block.text, flags=re.M))
        else:
            continue
        yield from text.replace("\\\n", " ").splitlines()


def engine_calls(command: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of ``engine`` in a line of a shell."""
    words = shlex.shlex(command, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    calls: list[list[str]] = [[]]
    for word in words:
        if set(word) <= set("();<>|&"):
            calls.append([])
        else:
            calls[-1].append(word)
    for call in calls:
        while call and re.match(r"\w+=", call[0]):  # an assignment before the program
            call = call[1:]
        if call[:1] == ["engine"]:
            yield call[1:]
        for place in range(len(call) - 1):
            if call[place : place + 2] == AS_MODULE:
                yield call[place + 2 :]


def unknown_word(arguments: list[str]) -> str | None:
    """Return the first word that is not the name of a command or option; None without one."""
    command: click.Command = engine
    for word in arguments:
        if command is engine and not word.startswith("-"):
            if word not in COMMANDS:
                return word
            command = COMMANDS[word].load()
        elif re.match(r"--?[a-z]", word):
            context = click.Context(command, help_option_names=["-h", "--help"])
            options = command.get_params(context)
            names = {name for option in options for name in option.opts + option.secondary_opts}
            if word.partition("=")[0] not in names:
                return word
    return None


def test_commands_of_a_page_exist(page: "Page") -> None:
    wrong = [
        f"{command}: {word}"
        for command in commands(page)
        for arguments in engine_calls(command)
        if (word := unknown_word(arguments))
    ]

    assert wrong == []


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("engine tarin config.py", "tarin"),
        ("engine train config.py --resmue", "--resmue"),
        ("A=1 engine list hooks --all-of-them=yes", "--all-of-them"),
        ("cd runs && engine check config.py --strictly | head -3", "--strictly"),
        ("torchrun --nproc-per-node 2 -m engine_runner.cli trian config.py", "trian"),
        ("engine --debug train -h --resume --cfg-options a.b=-1 c=[1,2]", None),
    ],
)
def test_unknown_word_of_a_command_is_found(command: str, word: str | None) -> None:
    [arguments] = engine_calls(command)

    found = unknown_word(arguments)

    assert found == word or (found and found.partition("=")[0] == word)


def test_commands_in_the_text_of_a_page_exist(page: "Page") -> None:
    named = set(re.findall(r"`engine ([a-z][\w-]*)", page.prose))

    assert named - set(COMMANDS) == set()


def test_make_targets_named_in_a_page_exist(page: "Page") -> None:
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), flags=re.M))

    named = set(re.findall(r"(?:`|^)make ([a-z][\w-]*)", page.text, flags=re.M))

    assert named <= targets


def test_extras_named_in_a_page_exist(page: "Page") -> None:
    named = re.findall(r"engine-([a-z]+)\[([\w,-]+)\]", page.text)
    for package, extras in named:
        if package == "x":  # a placeholder for any package
            continue
        pyproject = (ROOT / f"packages/engine-{package}/pyproject.toml").read_text()
        for extra in extras.split(","):
            assert re.search(rf"^{extra} = \[", pyproject, flags=re.M), f"{package}[{extra}]"


def test_links_of_a_page_exist(page: "Page") -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.prose)

    dead = [link for link in links if "://" not in link and not (page.path.parent / link).exists()]

    assert dead == []


def test_scripts_named_in_a_page_exist(page: "Page") -> None:
    named = set(re.findall(r"\b(?:scripts|benchmarks)/[\w.-]+\w", page.text))

    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_benchmark_is_listed() -> None:
    listed = re.findall(
        r"^\| \[`([\w.]+)`\]", (ROOT / "benchmarks/README.md").read_text(), flags=re.M
    )

    assert listed == sorted(script.name for script in (ROOT / "benchmarks").glob("*.py"))
