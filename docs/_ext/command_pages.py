"""The commands of the command line, a section each, from their definitions in click."""

import inspect
import re

import click
from engine_tables import code, table

from engine_runner.cli._app import COMMANDS, engine


def commands() -> str:
    """Return a section per command."""
    whole = click.Context(engine, info_name="engine")
    parts: list[str] = []
    for name, row in COMMANDS.items():
        command = row.load()
        context = click.Context(command, info_name=name, parent=whole)
        parts += [f"## engine {name}", "", paragraphs(command.help or row.help), ""]
        parts += ["```text", usage_of(command, context), "```", ""]
        parts += [options_of(command, context), "", *examples_of(command)]
    return "\n".join(parts)


def command_group() -> str:
    """Return what holds for all commands: the exit codes, and the options."""
    context = click.Context(engine, info_name="engine")
    return "\n".join([paragraphs(engine.help or ""), "", options_of(engine, context)])


def usage_of(command: click.Command, context: click.Context) -> str:
    """Return the line of usage, such as ``engine check [OPTIONS] CONFIG``."""
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


def paragraphs(text: str) -> str:
    """Return a help text as Markdown; words in capitals are arguments."""
    plain = inspect.cleandoc(text).replace("\b\n", "").replace("\f", "")
    return re.sub(r"(?<![\w`-])([A-Z][A-Z_]{2,})(?![\w`-])", r"`\1`", escaped(plain))


def escaped(text: str) -> str:
    """Return a text whose characters that mean something in Markdown are escaped."""
    marked = re.sub(r"(?<![\w-])(--?[a-z][\w-]*)", r"`\1`", text)
    return re.sub(r"([<>*_\[\]])(?=[^`]*(?:`[^`]*`[^`]*)*$)", r"\\\1", marked)


def options_of(command: click.Command, context: click.Context) -> str:
    """Return a table of the options."""
    rows = []
    for option in command.get_params(context):
        record = option.get_help_record(context)
        if isinstance(option, click.Option) and record is not None:
            rows.append([code(record[0]), escaped(record[1])])
    return table(["option", "meaning"], rows)


def examples_of(command: click.Command) -> list[str]:
    """Return the examples of a command as a block."""
    lines = inspect.cleandoc((command.epilog or "").replace("\b", "")).splitlines()
    shown = [line.strip() for line in lines if line.strip().startswith(("engine ", "torchrun "))]
    return ["```bash", *shown, "```", ""] if shown else []
