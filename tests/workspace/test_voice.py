"""One voice in the whole tree: the dialect of CONTRIBUTING.md, as far as a test can hold it."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.workspace.conftest import Package, Page

ROOT = Path(__file__).parents[2]

# Phrase (a regular expression) -> what to write instead.
BANNED = {
    r"whole numbers?": "integer",
    r"back ends?": "backend",
    r"data sets?": "dataset",
    r"time-?outs?(?<!timeout)(?<!timeouts)": "timeout",
    r"any more": "a positive statement",
    r"(?<!there )(?<!There )\b(?:is|are) no\b(?! (?:such|longer|more))": "is not a, or must be",
    r"go(?:es)? (?:on|round)|went on|going on": "continue, resume",
    r"lets? go|let it go": "release, drop",
    r"refus(?:e|es|ed|ing)": "raise, reject",
    r"tells?|told|telling": "report, log, return, check",
    r"knows?|knew": "has, stores, supports, lists",
    r"wants?|wanted": "needs, asks for, expects",
    r"remembers?|remembered|forgets?|forgot": "keeps, stores, drops",
    r"speaks?|spoke": "reports",
    r"(?:held|hold|holds|holding) (?:\w+ ){0,4}against": "check against",
    r"out loud|in words|without a word|by hand and": "plain words",
    r"hands? (?:in|on|over)|handed (?:in|on|over)": "pass",
    r"told apart|tell apart": "distinguish",
    r"(?:initiali|normali|synchroni|recogni|summari|optimi|seriali|minimi|maximi|organi)"
    r"s(?:e|es|ed|ing|ation|er|ers)": "American spelling",
    r"colours?|behaviours?|greys?": "American spelling",
}
PATTERNS = [(re.compile(rf"\b(?:{phrase})\b", re.I), instead) for phrase, instead in BANNED.items()]
SECTIONS = ("Args:", "Attributes:", "Raises:", "Returns:", "Yields:")
ENTRY = re.compile(r"^(?P<name>[\w*.`\"'/, ]+?)(?: \([^)]*\))?: (?P<text>\S.*)$")


def prose(file: Path) -> Iterator[tuple[int, str]]:
    """Each comment and each string of a file, with its line."""
    source = file.read_text()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def lines_of_prose(file: Path) -> Iterator[tuple[int, str]]:
    for first, text in prose(file):
        for number, line in enumerate(text.splitlines()):
            # A phrase may be quoted as code: in a doctest, or as a literal.
            if not line.lstrip().startswith((">>>", "...")):
                yield first + number, re.sub(r"``.*?``|`[^`]*`", "", line)


def banned_in(line: str) -> list[str]:
    return [f"{m[0]!r} -> {instead}" for p, instead in PATTERNS if (m := p.search(line))]


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=True)
            if text:
                yield getattr(node, "lineno", 1), text


def lowercase_entries(text: str) -> Iterator[str]:
    """Entries of the sections of a docstring whose description begins in lower case."""
    section, before = "", ""
    for line in text.splitlines():
        first, before = before in SECTIONS, line.strip()
        if not line.startswith(" "):
            section = line.strip() if line.strip() in SECTIONS else ""
        elif section and line.startswith("    ") and not line.startswith("     "):
            entry = ENTRY.match(line.strip())
            begin = entry["text"] if entry else ""
            if section in ("Returns:", "Yields:"):
                begin = line.strip() if first and not entry else ""
            if begin[:1].islower():
                yield f"{section} {line.strip()}"


def test_source_uses_no_banned_phrase(package: "Package") -> None:
    found = [
        f"{file.relative_to(ROOT)}:{number}: {problem}"
        for file in sorted(package.source.rglob("*.py"))
        for number, line in lines_of_prose(file)
        for problem in banned_in(line)
    ]

    assert not found, "\n".join(found)


def test_sections_of_docstrings_begin_with_a_capital(package: "Package") -> None:
    found = [
        f"{file.relative_to(ROOT)}:{number}: {entry}"
        for file, tree in package.trees()
        for number, text in docstrings(tree)
        for entry in lowercase_entries(text)
    ]

    assert not found, "\n".join(found)


def test_page_uses_no_banned_phrase(page: "Page") -> None:
    found = [
        f"{number}: {problem}"
        for number, line in enumerate(page.prose.splitlines(), 1)
        for problem in banned_in(re.sub(r"`[^`]*`", "", line))
    ]

    assert not found, "\n".join(found)
