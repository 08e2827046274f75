"""Read configs without running them, and broken or hostile configs."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from engine_config import Config, ConfigError, ConfigParseError, LazyObject

Write = Callable[[str, str], Path]

SEEDS = {
    ".py": "_base_ = 'b.py'\na = dict(x=1, y=[1, (2, 3), {'k': None}], **{'z': 'q'})\nb = a['y']\n"
    "c = {{_base_.m}}\nd = '{{fileBasename}}{{$E:1}}' + 'x'\ne = float('inf') - 2 * 3\n"
    "import torch\n",
    ".json": '{"_base_": "b.py", "a": {"b": [1, 2.5e3, null, true, "\\u00e9{{fileDirname}}"]}, '
    '"c": "{{_base_.m}}", "l": {"_append_": [1]}, "d": {"_delete_": true}}',
    ".yaml": "_base_: b.py\na: &x {b: [1, ~, 'q']}\nc: *x\nd:\n  <<: *x\n  e: !!set {f}\n"
    "g: |\n  text {{$E:x}}\nh: 2020-01-01\ni: {{_base_.m}}\n",
}
NOISE = ["{", "}", "[", "]", "(", ")", "'", '"', "\n", "\\", ",", ":", "=", "*", "&a ", "- ", "? "]
NOISE += ["\x00", "\t", "9" * 50, "_base_", "{{_base_.a}}", "!!int x", "<<: ", "**", "lambda", "é"]
NOISE += ["_delete_", "_update_", "@", "%", "1e999", "\ud800", "import os\n", "dict(", "...", "#"]


def mutate(text: str, chance: random.Random) -> str:
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(text) + 1)
        what = chance.randrange(4)
        if what == 0:
            text = text[:at] + chance.choice(NOISE) + text[at:]
        elif what == 1:
            text = text[:at] + text[at + chance.randint(1, 8) :]
        elif what == 2:
            end = at + chance.randint(1, 20)
            text = text[:end] + text[at:end] * chance.randint(1, 3) + text[end:]
        else:
            text = text[:at] + chance.choice(NOISE) * chance.randint(1, 200) + text[at:]
    return text


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".py", ".json", ".yaml"])
def test_broken_files_raise_only_config_errors(
    write: Write, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write("b.py", "m = dict(x=1)\nl = [1]\n").parent)
    chance = random.Random(suffix)
    read = 0
    for _ in range(10_000):
        text = mutate(SEEDS[suffix], chance)
        try:
            Config.fromstring(text, suffix, execute=False)
            read += 1
        except ConfigError:
            pass
    assert 0 < read < 10_000


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".py", "a = " + "[" * 5000 + "]" * 5000),
        (".py", "a = " + "-" * 100_000 + "1"),
        (".py", "a = " + "x." * 50_000 + "y"),
        (".py", "a = " + "1 + " * 20_000 + "1"),
        (".py", "a = 9 * 9\n" + "a = a * a\n" * 100),
        (".py", "a = 'x'\n" + "a = a + a\n" * 100),
        (".py", "a = [1, 1]\n" + "a = [a, a]\n" * 100),
        (".py", "a = [1, 1]\n" + "a = [*a, *a]\n" * 100),
        (".py", "a = (1, 1)\n" + "a = (a, a)\n" * 40),
        (".py", "a = list(range(10**12))"),
        (".py", "a = [*range(10**30)]"),
        (".py", "a = bytearray(10**12)"),
        (".json", '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        (".json", '{"a": ' + "9" * 10_000 + "}"),
        (".yaml", "a: " + "[" * 100_000),
        (".yaml", "- " * 100_000),
        (
            ".yaml",
            "k0: &k0 [x]\n" + "".join(f"k{i + 1}: &k{i + 1} [*k{i}, *k{i}]\n" for i in range(60)),
        ),
        (".yaml", "a: &a [*a]\n"),
        (".yaml", "a: &a {b: *a}\n"),
        (".yaml", "a: " + "9" * 10_000 + "\n"),
        (".yaml", "? {a: 1}\n: 2\n"),
        (".yaml", "? [1, 2]\n: 2\n"),
        (".yaml", "1: 2\n"),
        (".yaml", "a: !!timestamp 2020-01-01\n"),
    ],
)
def test_hostile_files_raise_config_errors(suffix: str, text: str) -> None:
    with pytest.raises(ConfigError):
        Config.fromstring(text, suffix, execute=False)


def test_literal_config_reads_the_same_without_running(write: Write) -> None:
    write("base.py", "model = dict(type='R', depth=50)\nwork = './w'\n")
    text = (
        '"""A config."""\n'
        "_base_ = ['base.py']\n"
        "norm = dict(type='BN', eps=-1e-5)\n"
        "a = dict(norm, extra={1: (2,), 'x': {3}}, **norm)\n"
        "b = [norm, *[1, 2]]\n"
        "a['late'] = True\n"
        "c = _base_.model\n"
        "d = {{_base_.work}}\n"
        "e: int = 3 + 4 * 2\n"
        "f = g = 'x' 'y' + '{{fileBasename}}'\n"
        "h = not True\n"
        "i = b[1]\n"
    )
    path = write("c.py", text)
    run, read = Config.fromfile(path), Config.fromfile(path, execute=False)
    assert run == read
    assert run.origins() == read.origins()


def test_imported_types_stay_unimported_without_running(write: Write) -> None:
    path = write(
        "c.py", "import torch.nn as nn\nfrom no.such import Thing\na = dict(t=nn.X, u=Thing)\n"
    )
    raw = Config.fromfile(path, execute=False)._cfg_dict.to_dict()
    assert raw == {"a": {"t": LazyObject("torch.nn", "X"), "u": LazyObject("no.such", "Thing")}}


@pytest.mark.parametrize(
    "statement",
    [
        "b = open('/etc/passwd')",
        "b = [x for x in a]",
        "print(1)",
        "while a: pass",
        "for i in a: break",
        "for i in 'ab': pass",
        "def f(): ...",
        "b = a.keys()",
        "b = lambda: 0",
        "b = f'{a}'",
        "b = unknown",
        "a.b = 1",
        "b = 1 << 3",
        "b = 'a' * 3",
        "del b",
        "assert a",
        "b = __import__('os')",
        "b = a.__class__",
        "exec('1')",
        "globals().update({**open('x')})",
        "b = dict.fromkeys([1])",
        "try:\n    b = 1\nfinally: pass",
        "_base_['x'] = 1",
    ],
)
def test_statement_that_needs_to_run_raises_without_execute(statement: str) -> None:
    with pytest.raises(ConfigParseError) as caught:
        Config.fromstring(f"a = [1]\n\n{statement}\n", ".py", execute=False)
    assert caught.value.line >= 3


def test_rejected_config_runs_no_code(tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    with pytest.raises(ConfigParseError):
        Config.fromstring(f"open({str(witness)!r}, 'w')\n", ".py", execute=False)
    assert not witness.exists()


def test_custom_imports_are_skipped_without_running(write: Write) -> None:
    path = write("c.py", "custom_imports = dict(imports=['engine_no_such_module'])\n")
    assert Config.fromfile(path, execute=False).custom_imports.imports == ["engine_no_such_module"]


def test_too_deep_config_raises_with_the_limit() -> None:
    with pytest.raises(ConfigParseError, match="nested more than 100 levels deep"):
        Config.fromstring("a = " + "[" * 120 + "]" * 120, ".py")
