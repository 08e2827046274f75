"""The command group, which imports a command when it is used."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from engine_utils import did_you_mean


class CommandRow(NamedTuple):
    """A command: where it is, and its line in the list of commands."""

    path: str  # module:attribute
    help: str

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.path.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


class LazyGroup(click.Group):
    """A group whose list of commands needs none of their modules.

    Args:
        rows: The commands by name, in the order of the list.
        attributes: The arguments of `click.Group`.
    """

    def __init__(self, *, rows: Mapping[str, CommandRow] = {}, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.rows = rows

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(self.rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command, and return it; None for an unknown name."""
        row = self.rows.get(cmd_name)
        return None if row is None else row.load()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the first argument.

        Raises:
            click.UsageError: There is none of that name; the message has the closest one.
        """
        name = args[0]
        if name in self.rows or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        hint = did_you_mean(name, self.rows) or f"; the commands are {', '.join(self.rows)}"
        raise click.UsageError(f"no such command: {name}{hint}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.help) for name, row in self.rows.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin with a text, or the options of the group."""
        found = [
            CompletionItem(name, help=row.help)
            for name, row in self.rows.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]
