"""Tables of hooks, config keys and registered names, as Markdown."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from docstrings import described_entries, markdown_of, summary_of
from public_names import homes

import engine_registry
from engine_fileio.backends._table import ROWS
from engine_registry import Registry, count_registered_modules
from engine_runner import Hook
from engine_runner._hook import SHARED, STAGES
from engine_runner._priority import Priority, get_priority
from engine_runner._settings import Settings
from engine_runner._table import BY_NAME, NESTED, Row
from engine_runner.cli._list import kinds
from engine_runner.cli._signature import shown_parameters
from engine_runner.parts import default_hooks


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown.

    Example:
        >>> print(table(["a", "b"], [["1", "2"]]))
        | a | b |
        |---|---|
        | 1 | 2 |
    """
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    body = [f"| {' | '.join(row)} |" for row in [head, *cells]]
    return "\n".join([body[0], f"|{'---|' * len(head)}", *body[1:]])


def code(text: object) -> str:
    """Return a text as code of Markdown; empty for None and an empty text."""
    return f"`{text}`" if text not in (None, "") else ""


def link(name: str) -> str:
    """Return a name that becomes a link to its entry in the reference."""
    return f"{{engine-name}}`{name}`"


def link_to(name: str, item: Any) -> str:
    """Return the name of an object that becomes a link to the entry of this object."""
    own = f"{getattr(item, '__module__', '')}.{getattr(item, '__qualname__', '')}"
    return link(f"~{homes()[own]}" if own in homes() else name)


def registry_of(kind: str) -> Registry:
    """Return the registry of a kind of ``engine list``, with every package imported."""
    count_registered_modules(verbose=False)
    return kinds()[kind]


def registered(kind: str) -> str:
    """Return the names of a kind, with their arguments and a line of explanation."""
    rows = [
        [link_to(name, item), arguments_of(item), summary_of(item)]
        for name, item in sorted(registry_of(kind).module_dict.items())
    ]
    return table(["name", "arguments", "what it does"], rows)


def arguments_of(item: Any) -> str:
    """Return the parameters of a callable, with their defaults, as code."""
    parts = [
        name if default is None else f"{name}={default}"
        for name, default in shown_parameters(item).items()
    ]
    return ", ".join(map(code, parts))


def hook_classes() -> Mapping[str, type[Hook]]:
    """Return the registered hooks by name."""
    found: Mapping[str, Any] = registry_of("hooks").module_dict
    return dict(sorted(found.items()))


def points_of(hook: type[Hook]) -> list[str]:
    """Return the points of a run at which a hook acts."""
    return [
        stage
        for stage in STAGES
        if is_overridden(hook, stage) or is_overridden(hook, SHARED.get(stage, stage))
    ]


def is_overridden(hook: type[Hook], method: str) -> bool:
    """Return whether a hook has a method of its own."""
    return getattr(hook, method) is not getattr(Hook, method)


def priority_of(hook: type[Hook]) -> str:
    """Return the number and the level of a hook's priority."""
    number = get_priority(hook.priority)
    level = next((f" {level.name}" for level in Priority if level == number), "")
    return f"{number}{level}"


def default_names() -> dict[str, str]:
    """Return the keys of ``default_hooks`` by the name of their hook."""
    return {value["type"]: key for key, value in default_hooks(None).items()}


def hooks() -> str:
    """Return a table of the hooks, and a section per hook with its parameters."""
    defaults = default_names()
    rows, sections = [], []
    for name, hook in hook_classes().items():
        points = ", ".join(map(code, points_of(hook)))
        default = code(defaults.get(name, ""))
        rows.append([link_to(name, hook), summary_of(hook), default, priority_of(hook), points])
        sections += [f"### {name}", "", summary_of(hook), "", parameters_of(hook), ""]
    head = ["hook", "what it does", "key in `default_hooks`", "priority", "points"]
    return "\n".join([table(head, rows), "", "## Parameters", "", *sections])


def parameters_of(item: Any) -> str:
    """Return a table of a class's parameters: default and meaning."""
    meanings = described_entries(item, "Args")
    rows = [
        [code(name), code(default) or "required", markdown_of(meanings.get(name, ""))]
        for name, default in shown_parameters(item).items()
    ]
    if not rows:
        return "It has no parameters."
    return table(["parameter", "default", "meaning"], rows)


def points() -> str:
    """Return a table of the points of a run, in their order, with the hooks that act at each."""
    by_number = sorted(hook_classes().items(), key=lambda item: get_priority(item[1].priority))
    rows = []
    for stage in STAGES:
        acting = [link_to(name, hook) for name, hook in by_number if stage in points_of(hook)]
        rows.append([code(stage), summary_of(getattr(Hook, stage)), ", ".join(acting)])
    return table(["point", "when", "hooks that act, by priority"], rows)


def config_keys() -> str:
    """Return a table of the keys of a config's top level."""
    meanings = described_entries(Settings, "Attributes")
    rows = [
        [code(field.name), markdown_of(meanings[field.name]), default_of(field),
         built_from(field.metadata["row"])]
        for field in dataclasses.fields(Settings)
    ]  # fmt: skip
    return table(["key", "meaning", "default", "built from"], rows)


def default_of(field: "dataclasses.Field[Any]") -> str:
    """Return the default of a setting as code."""
    if field.default is not dataclasses.MISSING:
        return code(repr(field.default))
    if field.default_factory is not dataclasses.MISSING:
        return code(repr(field.default_factory()))
    return "required"


def built_from(row: Row) -> str:
    """Return the registries of a row, and what it implies without a ``type``."""
    names = ", ".join(link(name_of(registry)) for registry in row.registries)
    implied = f"; without a `type`: {link(row.implied)}" if isinstance(row.implied, str) else ""
    return names + implied


def name_of(registry: Registry) -> str:
    """Return the constant of engine_registry that is a registry; of two, the plural."""
    names = [name for name in engine_registry.__all__ if getattr(engine_registry, name) is registry]
    return f"~engine_registry.{names[-1]}"  # shown without the module


def nested_keys() -> str:
    """Return a table of the keys below the top level that are built."""
    rows = [
        [code(key), built_from(row), ", ".join(map(code, row.adds)),
         "yes" if row.by_name or key in BY_NAME else ""]
        for key, row in NESTED.items()
    ]  # fmt: skip
    return table(["key", "built from", "arguments that the run adds", "a name is enough"], rows)


def storage_backends() -> str:
    """Return a table of the storage backends."""
    rows = []
    for row in ROWS:
        backend = row.load()
        prefixes = ", ".join(f"`{prefix}://`" for prefix in row.prefixes)
        rows.append([code(row.name), link(backend.__name__), prefixes, summary_of(backend)])
    return table(["backend", "class", "paths", "what it does"], rows)
