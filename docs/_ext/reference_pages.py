"""Write a page per public module: a table of its names, and their docstrings by autodoc.

The pages are written at each build, into ``reference/api``, which git ignores.
"""

import inspect
from collections import defaultdict
from pathlib import Path

from public_names import PublicName, public_modules, public_names
from sphinx.application import Sphinx

FOLDER = Path("reference", "api")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension."""
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", keep_text_plain, priority=400)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_pages(app: Sphinx) -> None:
    """Write the pages that have changed, and remove those of modules that are gone."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    by_module: dict[str, list[PublicName]] = defaultdict(list)
    for name in public_names():
        by_module[name.module].append(name)
    pages = {f"{module}.rst": page_of(module, by_module[module]) for module in public_modules()}
    for old in {file.name for file in folder.iterdir()} - set(pages):
        (folder / old).unlink()
    for file, text in pages.items():
        if not (folder / file).exists() or (folder / file).read_text() != text:
            (folder / file).write_text(text)


def page_of(module: str, names: list[PublicName]) -> str:
    """Return the page of a module as reStructuredText."""
    lines = [module, "=" * len(module), ""]
    lines += [f".. automodule:: {module}", "   :no-members:", ""]
    rooms = [other for other in public_modules() if other.rpartition(".")[0] == module]
    if rooms:
        lines += [".. toctree::", "   :maxdepth: 1", "", *(f"   {room}" for room in rooms), ""]
    if names:
        lines += [".. list-table::", "   :widths: 30 70", "   :class: names", ""]
    for name in names:
        lines += [f"   * - :py:obj:`~{name.home}`", f"     - {name.summary}"]
    for name in names:
        if name.home == name.full:
            lines += ["", *entry_of(name)]
    return "\n".join(lines) + "\n"


def entry_of(name: PublicName) -> list[str]:
    """Return the directive that documents a name."""
    value = name.value
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        # Its docstring is that of its class, which does not describe the value.
        kind = type(value).__name__
        is_plain = type(value) in (str, float, dict, tuple) or kind == "Registry"
        place = [f".. py:data:: {name.name}", f"   :module: {name.module}"]
        return [*place, *([f"   :type: {kind}"] if is_plain else [])]
    if not (value.__module__ or "").startswith("engine_"):
        origin = f"`{value.__module__}.{value.__qualname__}`"
        place = [f".. py:class:: {name.name}", f"   :module: {name.module}"]
        return [*place, "", f"   The same as {origin}."]
    if inspect.isroutine(value):
        return [f".. autofunction:: {name.full}"]
    kind = "exception" if issubclass(value, BaseException) else "class"
    return [f".. auto{kind}:: {name.full}", "   :members:", "   :show-inheritance:"]


def keep_text_plain(
    app: Sphinx, kind: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Keep napoleon from taking the text before a colon for a type.

    It does so in ``Returns:``, in ``Yields:`` and in the docstring of a property.
    """
    if kind in ("property", "attribute", "data") and lines and ":" in lines[0]:
        lines[0] = f": {lines[0]}"
    for number, line in enumerate(lines[:-1]):
        if line.strip() in ("Returns:", "Yields:") and ":" in lines[number + 1]:
            text = lines[number + 1]
            begin = len(text) - len(text.lstrip())
            lines[number + 1] = f"{text[:begin]}: {text[begin:]}"
