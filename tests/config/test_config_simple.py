"""Files that only assign literals: read from their syntax tree, with the result of running them."""

import pytest

from engine_config import Config, ConfigError
from engine_config.read._files import Options, parse_text

SIMPLE = {
    "scalars": "a = 1\nb = -2.5\nc = 'x' 'y'\nd = None\ne = b'z'\nf = ...\n",
    "displays": "a = {\n 'b': [1,\n  2, (3, [4,\n {}])], 1: 2,\n True: 3}\nt = ()\nl = []\n",
    "calls": "a = dict(\n b=dict(),\n c=[dict(type='A',\n  k=1), dict(\n  type='B')])\n",
    "names": "n = dict(t='BN')\nx = [1,\n 2]\na = dict(n=n, x=x,\n m=[x, n, (x,)])\nb = a\nc = x\n",
    "the same key twice": "a = {'b': 1,\n 'c': 2,\n 'b': [3]}\na2 = 1\na = [2]\n",
    "arithmetic": "n = 3\na = n * 2 + 1\nr = 'data/'\nf = r + 'x' + 'y'\nd = n / 2 - 1 // 2\n",
    "docstring": "'''A config.'''\na = 1\n",
    "commands": "a = dict(_delete_=True, b=1)\nc = [dict(_delete_=True)]\n",
    "long texts": "a = '''\nx\n'''\nb = dict(c='''\ny''',\n d=1)\n",
}
OTHER = {
    "name of a built-in": "a = len\nb = dict(c=1)\n",
    "unknown name": "a = nothing\n",
    "unpacked": "a = dict(b=1)\nc = dict(**a, d=2)\n",
    "starred": "a = [1]\nc = [*a, 2]\n",
    "method": "a = [1]\na.append(2)\n",
    "two targets": "a = b = [1]\n",
    "own dict": "dict = 1\na = dict(b=1)\n",
    "reserved": "filename = 1\n",
    "private": "__a = 1\nb = 2\n",
    "divided by zero": "a = 1 / 0\n",
    "repeated keyword": "a = dict(b=1, b=2)\n",
    "text times a number": "a = 'ab' * 3\n",
    "huge number": f"a = {'9' * 70}\nb = a * a\n",
    "deep": f"a = {'[' * 101}{']' * 101}\n",
    "too many": "a = [0]\n" + "".join(f"a = [{', '.join(['a'] * 50)}]\n" for _ in range(6)),
    "set": "a = {1, 2}\n",
    "comprehension": "a = [x for x in (1, 2)]\n",
    "block": "if True:\n    a = 1\n",
    "annotated": "a: int = 1\n",
}


def _read(text: str) -> object:
    try:
        cfg = Config.fromstring(text, ".py")
    except ConfigError as error:
        return type(error), error.message, error.line
    origins = {path: at.line for path, at in cfg.origins().items()}
    notes = [(note.key_path, note.mark.line) for note in cfg._notes]
    return cfg.pretty_text, origins, notes


def _is_simple(text: str) -> bool:
    try:
        parsed = parse_text(text, "<string>", ".py", Options())
    except ConfigError:
        return False
    return parsed.python is not None and parsed.python.template is not None


@pytest.mark.parametrize("text", [*SIMPLE.values(), *OTHER.values()], ids=[*SIMPLE, *OTHER])
def test_values_lines_and_errors_equal_those_of_running_the_file(text: str) -> None:
    assert _is_simple(text) is (text in SIMPLE.values())
    general = f"{text}assert True\n"
    assert not _is_simple(general)
    assert _read(text) == _read(general)


@pytest.mark.parametrize("text", SIMPLE.values(), ids=SIMPLE)
def test_values_are_the_same_without_running(text: str) -> None:
    followed = Config.fromstring(text, ".py", execute=False)
    ran = Config.fromstring(f"{text}assert True\n", ".py")
    assert followed == ran
    assert [at.line for at in followed.origins().values()] == [
        at.line for at in ran.origins().values()
    ]
