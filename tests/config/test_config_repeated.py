"""Files that are read again: values are copied where that equals running the code again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engine_config import Config
from engine_config.read._files import Options, parse_text

Write = Callable[[str, str], Path]


def _is_kept(text: str, path: str = "kept.py", suffix: str = ".py") -> bool:
    Config.fromstring(text, suffix)
    parsed = parse_text(text, "<string>", suffix, Options())
    return parsed.template is not None


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a = dict(b=[1, (2, {3})])\nc = a['b'] + [len(a)]\n", True),
        ("a = [x * 2 for x in range(3)]\nb = {x: [x] for x in a}\n", True),
        ("for x in [1, 2]:\n    last = [x]\n", True),
        ("import math\na = math.pi\n", False),
        ("if True:\n    import time\n    a = time.time_ns()\n", False),
        ("a = dict(b=1)\nb = a.items()\n", False),
        ("a = open(__file__).name if False else 1\n", False),
        ("a = print('hello')\n", False),
        ("def f():\n    return [1]\na = f()\n", False),
        ("a = (lambda: [1])()\n", False),
        ("a = (x for x in [1])\n", False),
        ("a = __name__\n", False),
        ("a = iter([1])\n", False),
        ("from torch.optim import SGD\na = dict(type=SGD)\n", True),
    ],
)
def test_values_are_kept_only_for_files_that_give_the_same_each_time(
    text: str, kept: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _is_kept(text) is kept


@pytest.mark.parametrize("execute", [True, False], ids=["run", "followed"])
@pytest.mark.parametrize("lazy", [False, True], ids=["plain", "lazy"])
def test_configs_of_one_file_share_nothing(write: Write, lazy: bool, execute: bool) -> None:
    write("base.py", "model = dict(steps=[1, dict(a=(2, [3]))], kinds={'x'})\n")
    bases = (
        "from engine_config import read_base\nwith read_base():\n    from .base import *\n"
        if lazy
        else "_base_ = 'base.py'\n"
    )
    path = write("own.py", f"{bases}own = dict(values=[1])\n")
    first, second = (Config.fromfile(path, execute=execute) for _ in range(2))
    first.model.steps[1].a[1].append(4)
    first.model.steps.append(5)
    first.model.kinds.add("y")
    first.own["values"].append(2)
    del first.model["kinds"]
    first.model.new = 1
    third = Config.fromfile(path, execute=execute)
    assert second == third
    assert third.model == {"steps": [1, {"a": (2, [3])}], "kinds": {"x"}}
    assert str(third.origin("model.steps.1.a")).endswith("base.py:1")
    assert str(third.origin("own.values")).endswith("own.py:" + ("4" if lazy else "2"))


def test_edited_base_of_the_same_size_and_time_is_read_again(write: Write) -> None:
    import os

    base = write("base.py", "lr = 0.1\n")
    own = write("own.py", "_base_ = 'base.py'\nsteps = [1]\n")
    assert Config.fromfile(own).lr == 0.1
    before = os.stat(base)
    base.write_text("lr = 0.2\n")
    os.utime(base, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Config.fromfile(own).lr == 0.2


def test_text_with_other_braces_has_its_own_text(write: Write) -> None:
    path = write("own.py", "name = '{{fileBasename}}'\n")
    assert Config.fromfile(path).text == "name = '{{fileBasename}}'\n"
    path.write_text("name = '{{ fileBasename }}'\n")
    assert Config.fromfile(path).text == "name = '{{ fileBasename }}'\n"
    assert Config.fromfile(path).name == "own.py"


def test_variables_and_values_of_other_bases_are_not_kept(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(
        "own.py", "_base_ = ['one.py']\nroot = '{{$ROOT_OF_DATA:here}}'\na = {{_base_.x}}\n"
    )
    write("one.py", "x = [1]\n")
    assert Config.fromfile(path).to_dict() == {"x": [1], "root": "here", "a": [1]}
    monkeypatch.setenv("ROOT_OF_DATA", "there")
    write("one.py", "x = dict(b=2)\n")
    assert Config.fromfile(path).to_dict() == {"x": {"b": 2}, "root": "there", "a": {"b": 2}}


def test_commands_act_at_each_reading(write: Write) -> None:
    write("one.py", "a = dict(x=1, steps=[1])\n")
    path = write(
        "own.py", "_base_ = 'one.py'\na = dict(_delete_=True, y=2)\nb = dict(_delete_=True)\n"
    )
    for _ in range(3):
        cfg = Config.fromfile(path)
        assert cfg.to_dict() == {"a": {"y": 2}, "b": {}}
        assert len(cfg._notes) == 1


def test_yaml_and_json_are_copied_too(write: Write) -> None:
    write("one.yaml", "a: {x: [1, 2]}\n")
    path = write("own.json", '{"_base_": "one.yaml", "b": [{"c": 1}]}')
    first = Config.fromfile(path)
    first.a.x.append(3)
    first.b[0].c = 2
    assert Config.fromfile(path).to_dict() == {"a": {"x": [1, 2]}, "b": [{"c": 1}]}
