"""Bring pages of the repository into the site, before they are parsed.

- ``{include}`` of a page of the repository is replaced by its text, whose links are rewritten.
- A link to a page or folder of the repository becomes a link to its page of the site.
- A block with ``file=NAME`` shows the name above its code.
"""

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
FENCE = re.compile(r"^(?P<fence>```+)(?P<info>.*)\n(?P<text>(?:.*\n)*?)(?P=fence)$", flags=re.M)
INCLUDE = re.compile(r"^```\{include\} (?P<file>\S+)\n```$", flags=re.M)
LINK = re.compile(r"(?<=\]\()(?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?(?=[)\s])")
# The address of a file in a repository on the web, as the README of a published package has it.
ON_THE_WEB = re.compile(r"https://[^/\s]+/.+?/(?:blob|tree)/[^/\s]+/(?P<path>.+)")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    """Change the text of a page."""
    page = app.env.doc2path(docname)
    if page.suffix == ".md":
        included = [page.parent / match["file"] for match in INCLUDE.finditer(source[0])]
        for file in included:
            app.env.note_dependency(str(file.resolve()))
        source[0] = text_of_page(source[0], Path(page))


def text_of_page(text: str, page: Path) -> str:
    """Return the text that Sphinx parses for a page of the site."""
    text = INCLUDE.sub(lambda match: included_text(page.parent / match["file"], page), text)
    return captioned(with_site_links(without_empty_patterns(text, page), page, page))


def without_empty_patterns(text: str, page: Path) -> str:
    """Return the text without the patterns of a table of contents that match no page."""
    lines = text.splitlines(keepends=True)
    pattern = re.compile(r"[\w/-]*\*\n")
    return "".join(
        line
        for line in lines
        if not pattern.fullmatch(line)
        or [file for file in page.parent.glob(f"{line.strip()}.md") if file != page]
    )


def included_text(file: Path, page: Path) -> str:
    """Return the text of a page of the repository, with the links of a page of the site."""
    return with_site_links(file.read_text().rstrip(), file.resolve(), page)


def captioned(text: str) -> str:
    """Return the text with the names of files above their blocks."""
    return FENCE.sub(_captioned_block, text)


def _captioned_block(match: re.Match[str]) -> str:
    found = re.fullmatch(r"(?P<language>\w+) file=(?P<name>\S+)", match["info"].strip())
    if found is None:
        return match[0]
    head = f"{match['fence']}{{code-block}} {found['language']}\n:caption: {found['name']}\n\n"
    return f"{head}{match['text']}{match['fence']}"


def with_site_links(text: str, source: Path, page: Path) -> str:
    """Return the text with links that lead from a page of the site to where they led from a file.

    Args:
        text: The Markdown.
        source: The file that the text was written in.
        page: The page of the site that it is read in.
    """
    parts: list[str] = []
    end = 0
    for block in FENCE.finditer(text):  # code has no links
        parts += [_with_site_links(text[end : block.start()], source, page), block[0]]
        end = block.end()
    return "".join([*parts, _with_site_links(text[end:], source, page)])


def _with_site_links(text: str, source: Path, page: Path) -> str:
    def rewritten(match: re.Match[str]) -> str:
        target, anchor = match["target"], match["anchor"] or ""
        on_the_web = ON_THE_WEB.fullmatch(target)
        if on_the_web and (ROOT / on_the_web["path"]).exists():
            place = ROOT / on_the_web["path"]
        elif "://" in target or target.startswith("mailto:"):
            return match[0]
        else:
            place = Path(os.path.normpath(source.parent / target))
        return os.path.relpath(page_for(place), page.parent) + anchor

    return LINK.sub(rewritten, text)


def page_for(place: Path) -> Path:
    """Return the page of the site for a file or folder of the repository; itself without one."""
    if not place.is_relative_to(ROOT):
        return place
    inside = place.relative_to(ROOT).as_posix()
    if package := re.fullmatch(r"packages/(engine-\w+)(/|/README\.md)?", inside):
        return DOCS / "packages" / f"{package[1]}.md"
    if inside in ("README.md", "."):
        return DOCS / "index.md"
    if inside in ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        return DOCS / "inside" / f"{place.stem.lower()}.md"
    if inside in ("benchmarks", "benchmarks/README.md"):
        return DOCS / "inside" / "benchmarks.md"
    return place
