"""Check the links of the built pages: ``python site_links.py FOLDER``.

Files and anchors of the site must exist. Addresses outside are checked for their form, and those of
projects with an inventory must be in it, as the build has no network.
"""

import sys
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

INVENTORIES = {
    "https://docs.python.org/3/": "python",
    "https://docs.pytorch.org/docs/stable/": "torch",
    "https://numpy.org/doc/stable/": "numpy",
}
FOLDER = Path(__file__).parents[1] / "_inventories"


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the attributes that refer, or are referred to."""
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            if name in ("id", "name") and value:
                self.anchors.add(value)


def addresses_of(inventory: Path) -> set[str]:
    """Return the addresses in an inventory, without its base."""
    body = zlib.decompress(inventory.read_bytes().split(b"\n", 4)[4]).decode()
    return {line.split(" ")[-2] for line in body.splitlines()}


def dead_links(folder: Path) -> Iterator[str]:
    """Yield each link that leads nowhere, with its page."""
    pages = {file.resolve(): Page(file.read_text()) for file in sorted(folder.rglob("*.html"))}
    outside = {base: addresses_of(FOLDER / f"{name}.inv") for base, name in INVENTORIES.items()}
    for file, page in pages.items():
        for link in sorted(set(page.links)):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                wrong = not is_well_formed(link, outside)
            else:
                wrong = not is_in_site(file, unquote(parts.path), unquote(parts.fragment), pages)
            if wrong:
                yield f"{file.relative_to(folder.resolve())}: {link}"


def is_in_site(file: Path, path: str, anchor: str, pages: dict[Path, Page]) -> bool:
    """Return whether a relative link has a file, and the file the anchor."""
    target = (file.parent / path).resolve() if path else file
    if target in pages:
        return anchor in pages[target].anchors
    return target.is_file()


def is_well_formed(link: str, outside: dict[str, set[str]]) -> bool:
    """Return whether an address could exist; an anchor of a known project is in its inventory."""
    parts = urlsplit(link)
    if parts.scheme in ("data", "mailto"):
        return True
    for base, addresses in outside.items():
        if link.startswith(base) and parts.fragment:
            return link.removeprefix(base) in addresses
    return parts.scheme in ("http", "https") and "." in parts.netloc and " " not in link


def main() -> None:
    """Print the dead links, and exit with 1 if there are any."""
    dead = list(dead_links(Path(sys.argv[1])))
    print("\n".join(dead) or "every link has its page")
    sys.exit(1 if dead else 0)


if __name__ == "__main__":
    main()
