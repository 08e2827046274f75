"""Directives that write tables made from the code, so that they are never out of date.

Each is written in a page as an empty block, such as ```` ```{hooks} ````, and becomes Markdown.
"""

import engine_tables as tables
from command_pages import command_group, commands
from docutils import nodes
from docutils.statemachine import StringList
from public_names import public_modules
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directives."""
    for directive in (
        Hooks,
        ConfigKeys,
        NestedKeys,
        Registered,
        Storage,
        Points,
        CommandGroup,
        Commands,
        Modules,
    ):
        app.add_directive(directive.name_of_directive, directive)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class Generated(SphinxDirective):
    """A directive whose content is Markdown made from the code."""

    name_of_directive = ""

    def markdown(self) -> str:
        """Return the content."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Parse the content; its headings begin below that of the section it is in."""
        container = nodes.Element()
        lines = self.markdown().splitlines()
        self.state.nested_parse(
            StringList(lines, self.env.docname), self.content_offset, container, match_titles=True
        )
        return list(container.children)


class Hooks(Generated):
    """Every hook, with its priority and the points at which it acts, and then its parameters."""

    name_of_directive = "hooks"

    def markdown(self) -> str:
        """Return the table, and a section per hook."""
        return tables.hooks()


class Points(Generated):
    """Every point of a run, with the hooks that act at it by default."""

    name_of_directive = "hook-points"

    def markdown(self) -> str:
        """Return the table."""
        return tables.points()


class ConfigKeys(Generated):
    """Every key of a config's top level."""

    name_of_directive = "config-keys"

    def markdown(self) -> str:
        """Return the table."""
        return tables.config_keys()


class NestedKeys(Generated):
    """Every key below the top level that is built by name."""

    name_of_directive = "nested-keys"

    def markdown(self) -> str:
        """Return the table."""
        return tables.nested_keys()


class Registered(Generated):
    """What one kind of ``engine list`` has; the argument is the kind."""

    name_of_directive = "registered"
    required_arguments = 1

    def markdown(self) -> str:
        """Return the table."""
        return tables.registered(self.arguments[0])


class Storage(Generated):
    """The storage backends."""

    name_of_directive = "storage-backends"

    def markdown(self) -> str:
        """Return the table."""
        return tables.storage_backends()


class CommandGroup(Generated):
    """What holds for all commands."""

    name_of_directive = "command-group"

    def markdown(self) -> str:
        """Return the text and the table."""
        return command_group()


class Commands(Generated):
    """Every command of the command line, a section each."""

    name_of_directive = "commands"

    def markdown(self) -> str:
        """Return the sections."""
        return commands()


class Modules(Generated):
    """Links to the reference of a package's modules; the argument is the package's module."""

    name_of_directive = "modules"
    required_arguments = 1

    def markdown(self) -> str:
        """Return a list of links."""
        package = self.arguments[0]
        found = [m for m in public_modules() if m == package or m.startswith(f"{package}.")]
        return "\n".join(f"- [`{m}`](/reference/api/{m}.rst)" for m in found)
