"""The command line starts without torch, and its table describes its commands."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from engine_runner.cli._app import COMMANDS, engine

if TYPE_CHECKING:
    from tests.runner.conftest import Command

TAKES_NO_ARGUMENTS = {"env", "list"}

START = """
import os, sys
from click.testing import CliRunner
from engine_runner.cli._app import COMMANDS, engine, main

words = [[], ["--help"], ["--version"], ["tarin"], ["--halp"], ["train", "cgf.py"]]
words += [[name, "--help"] for name in COMMANDS]
words += [[name] for name in sys.argv[1:]]
for arguments in words:
    done = CliRunner().invoke(engine, arguments)
    assert done.output, arguments
    assert "torch" not in sys.modules, arguments
os.environ.update(_ENGINE_COMPLETE="bash_complete", COMP_WORDS="engine tr", COMP_CWORD="1")
try:
    main()
except SystemExit:
    assert "torch" not in sys.modules, "completion"
"""


def test_help_mistakes_and_completion_load_no_torch(tmp_path: Path) -> None:
    (tmp_path / "start.py").write_text(START)
    needing = sorted(set(COMMANDS) - TAKES_NO_ARGUMENTS)

    done = subprocess.run(
        [sys.executable, tmp_path / "start.py", *needing],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "plain,train\n"  # of the completion


def test_engine_alone_prints_its_help() -> None:
    alone = CliRunner().invoke(engine)

    assert alone.exit_code == 2
    assert alone.output == CliRunner().invoke(engine, ["--help"]).output


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - TAKES_NO_ARGUMENTS))
def test_command_without_arguments_prints_its_help(name: str) -> None:
    alone = CliRunner().invoke(engine, [name])

    assert alone.exit_code == 2
    assert alone.output == CliRunner().invoke(engine, [name, "--help"]).output


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_row_of_a_command_has_its_name_and_line_and_the_command_has_examples(name: str) -> None:
    row = COMMANDS[name]
    command = row.load()

    assert isinstance(command, click.Command)
    assert command.name == name
    assert row.help.rstrip(".") in (command.help or "").splitlines()[0]
    assert (
        f"engine {name}"
        in CliRunner().invoke(engine, [name, "--help"]).output.split("Examples:")[1]
    )


@pytest.mark.parametrize(
    ("word", "hint"),
    [("tarin", "did you mean 'train'?"), ("zzz", "the commands are train, test")],
    ids=["close", "far"],
)
def test_mistyped_command_lists_what_was_meant(command: "Command", word: str, hint: str) -> None:
    error = command(word, "cfg.py", code=2).stderr

    assert f"no such command: {word}" in error
    assert hint in error
