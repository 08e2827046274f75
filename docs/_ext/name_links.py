"""Turn names in code font into links, where the reference or an inventory has the name.

In docstrings it is the default role: `Name`. In pages it is any code of one name that has a
capital letter or a dot. A name that is not found stays code: it may be of any library, or of the
reader. Explicit roles, such as ``{py:class}``, must resolve.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache

from docutils import nodes
from public_names import homes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.intersphinx import InventoryAdapter
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxRole

NAME = re.compile(r"^[A-Za-z_]\w*(\.\w+)*(\(\))?$")
KIND = "engine-name"
# How our sources import these modules.
SHORT = {"nn": "torch.nn", "np": "numpy", "dist": "torch.distributed", "F": "torch.nn.functional"}


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension."""
    app.add_role(KIND, NameRole())
    app.add_transform(LinkCode)
    app.connect("missing-reference", resolve, priority=900)  # after intersphinx
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class NameRole(SphinxRole):
    """The role of single backticks in a docstring."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return a reference that becomes a link or code."""
        return [pending(self.env, self.text)], []


class LinkCode(SphinxTransform):
    """Replace the code of one name on a page of Markdown by a reference."""

    default_priority = 400

    def apply(self) -> None:
        """Replace them."""
        if self.env.doc2path(self.env.docname).suffix != ".md":
            return
        for literal in list(self.document.findall(nodes.literal)):
            text = literal.astext()
            in_link = isinstance(literal.parent, nodes.reference | addnodes.pending_xref)
            if not in_link and NAME.match(text) and (text != text.lower() or "." in text):
                literal.replace_self(pending(self.env, text))


def pending(env: BuildEnvironment, text: str) -> addnodes.pending_xref:
    """Return a reference to a name; its place in the code is that of the docstring, if any.

    Of a name with ``~`` in front, the last part is shown.
    """
    shown = text.rpartition(".")[2] if text.startswith("~") else text
    node = addnodes.pending_xref(
        "",
        nodes.literal(shown, shown, classes=["py", "xref"]),
        refdomain="",
        reftype=KIND,
        reftarget=text.lstrip("~").removesuffix("()"),
        refdoc=env.docname,
        refexplicit=False,
    )
    node["py:module"] = env.ref_context.get("py:module")
    node["py:class"] = env.ref_context.get("py:class")
    return node


def resolve(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.TextElement
) -> nodes.Element | None:
    """Return a link for a reference, or code for one of `NameRole` that has no entry."""
    if node["reftype"] != KIND and node.get("refdomain") != "py":
        return None
    target = str(node["reftarget"])
    for candidate in candidates(env, target, node.get("py:module"), node.get("py:class")):
        link = link_to(app, env, node, candidate, content)
        if link is not None:
            return link
    return content if node["reftype"] == KIND else None


def candidates(
    env: BuildEnvironment, target: str, module: str | None, cls: str | None
) -> Iterator[str]:
    """Yield the full names that a name can mean, the nearest first."""
    for scope in (cls, module and f"{module}.{cls}", module):
        if scope:
            yield f"{scope}.{target}"
    yield homes().get(target, target)
    owner, _, attribute = target.rpartition(".")
    if owner in homes():
        yield f"{homes()[owner]}.{attribute}"
    head, dot, rest = target.partition(".")
    if head in SHORT:
        yield f"{SHORT[head]}{dot}{rest}"
    found = endings(env).get(target, ())
    package = (module or "").partition(".")[0]
    near = [name for name in found if name.partition(".")[0] == package]
    for names in (near, found):
        if len(names) == 1:
            yield names[0]
    yield f"builtins.{target}"


def endings(env: BuildEnvironment) -> Mapping[str, tuple[str, ...]]:
    """Return the full names by each of their endings of one or two parts that is a name alone."""
    objects = env.domains.python_domain.objects
    names = (*(name for name, entry in objects.items() if not entry.aliased), *outside(env))
    return _endings(names)


@cache
def _endings(names: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        parts = name.split(".")
        for count in (1, 2, 3):
            # The last part alone is the name of a method, too; those need their class.
            if count < len(parts) and (count > 1 or not parts[-2][:1].isupper()):
                found[".".join(parts[-count:])].append(name)
    return {ending: tuple(full) for ending, full in found.items()}


def outside(env: BuildEnvironment) -> Iterator[str]:
    """Yield the Python names of the inventories, without those of the defining modules."""
    for kind, entries in InventoryAdapter(env).main_inventory.items():
        if kind.startswith("py:"):
            yield from (name for name, item in entries.items() if item.uri.endswith(f"#{name}"))


def link_to(
    app: Sphinx,
    env: BuildEnvironment,
    node: addnodes.pending_xref,
    name: str,
    content: nodes.TextElement,
) -> nodes.Element | None:
    """Return a link to a full name of the reference or of an inventory."""
    domain = env.domains.python_domain
    if name in domain.objects:
        entry = domain.objects[name]
        uri = app.builder.get_relative_uri(str(node["refdoc"]), entry.docname)
        return nodes.reference(
            "", "", content, internal=True, refuri=f"{uri}#{entry.node_id}", reftitle=name
        )
    for kind, entries in InventoryAdapter(env).main_inventory.items():
        if kind.startswith("py:") and name in entries:
            item = entries[name]
            return nodes.reference("", "", content, internal=False, refuri=item.uri, reftitle=name)
    return None
