"""What a config records beside its values, and the later methods of ConfigDict."""

import copy
import pickle
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from engine_config import Config, ConfigDict, ConfigError, ConfigKeyError
from engine_config._lazy import LazyObject

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.py", "data = '{{$ENGINE_ROOT}}/x'\nlr = {{$ENGINE_LR:0.1}}\n"),
        ("c.json", '{"data": "{{$ENGINE_ROOT}}/x", "lr": {{$ENGINE_LR:0.1}}}'),
        ("c.yaml", "data: '{{$ENGINE_ROOT}}/x'\nlr: {{$ENGINE_LR:0.1}}\n"),
    ],
)
def test_env_variables_are_those_that_the_file_and_its_bases_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv("ENGINE_ROOT", "/data")
    monkeypatch.setenv("ENGINE_TOP", "3")
    (tmp_path / name).write_text(text)
    child = tmp_path / "child.py"
    child.write_text(f"_base_ = '{name}'\ntop = '{{{{$ENGINE_TOP}}}}'\n")

    cfg = Config.fromfile(child)

    used = {"ENGINE_ROOT": "/data", "ENGINE_LR": "0.1", "ENGINE_TOP": "3"}
    assert (cfg.data, cfg.lr, cfg.top, cfg.env_variables) == ("/data/x", 0.1, "3", used)
    for copied in (copy.copy(cfg), copy.deepcopy(cfg), pickle.loads(pickle.dumps(cfg))):
        assert copied.env_variables == used
    monkeypatch.setenv("ENGINE_TOP", "4")
    assert Config.fromfile(child).env_variables == used | {"ENGINE_TOP": "4"}
    assert cfg.env_variables == used


def test_env_variables_of_a_config_are_a_copy_of_those_given() -> None:
    given = {"A": "1"}
    cfg = Config({"lr": 1}, "lr = 1", "c.py", given)

    cfg.env_variables["B"] = "2"
    given["C"] = "3"

    assert cfg.env_variables == {"A": "1"}
    with pytest.raises(ConfigKeyError, match="reserved for Config itself"):
        Config({"env_variables": 1})


def test_environment_is_read_by_default_and_without_execution_only_if_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINE_SECRET", "hidden")
    path = tmp_path / "c.py"
    path.write_text("key = '{{$ENGINE_SECRET}}'\n")

    assert (
        repr(signature(Config.fromfile).parameters["use_environment_variables"].default) == "True"
    )
    assert Config.fromfile(path, True, True, True).key == "hidden"
    assert Config.fromfile(path, execute=False).key == "{{$ENGINE_SECRET}}"
    assert Config.fromfile(path, True, True, True, execute=False).key == "hidden"
    assert Config.fromfile(path, True, True, False).key == "{{$ENGINE_SECRET}}"


def test_unformatted_config_has_one_line_per_key_and_reads_back_equal(tmp_path: Path) -> None:
    values = {"model": {"type": "A", "sizes": list(range(60)), "text": "x" * 90}, "lr": 0.1}
    path = tmp_path / "c.py"
    path.write_text(Config(values).pretty_text)

    cfg = Config.fromfile(path, format_python_code=False)

    assert len(Config(values).pretty_text.splitlines()) > 2
    assert len(cfg.pretty_text.splitlines()) == 2
    assert Config(values, None, None, None, False).pretty_text == cfg.pretty_text
    cfg.dump(tmp_path / "dumped.py")
    assert (tmp_path / "dumped.py").read_text() == cfg.pretty_text
    assert Config.fromfile(tmp_path / "dumped.py") == cfg


def test_imported_names_of_a_lazy_config_are_kept_on_request(write: Write) -> None:
    write("base.py", "from collections import OrderedDict\nkind = dict(type=OrderedDict)\n")
    path = write(
        "top.py",
        "from engine_config import read_base\n"
        "import json.decoder\n"
        "from pathlib import PurePath as P\n"
        "with read_base():\n    from .base import *\n"
        "from yaml import SafeLoader\nother = dict(type=SafeLoader)\n",
    )
    cfg = Config.fromfile(path)

    kept = cfg.to_dict(keep_imported=True)

    assert set(cfg.to_dict()) == {"kind", "other"}
    assert {name: str(value) for name, value in kept.items() if name not in cfg.to_dict()} == {
        "SafeLoader": "yaml.SafeLoader"
    }
    assert kept["kind"] == cfg.to_dict()["kind"]
    assert Config({"a": 1}).to_dict(keep_imported=True) == {"a": 1}


def test_pop_of_a_missing_key_returns_the_default() -> None:
    cfg = ConfigDict(a=1, b={"c": 2})

    assert (cfg.pop("zzz"), cfg.pop("zzz", 3), cfg.pop("a"), cfg.b.pop("c")) == (None, 3, 1, 2)
    assert cfg == {"b": {}}


@pytest.mark.parametrize("execute", [True, False])
def test_pop_of_a_missing_key_in_a_config_file_raises(write: Write, execute: bool) -> None:
    write("base.py", "model = dict(type='A')\n")
    path = write("c.py", "_base_ = 'base.py'\n_base_.model.pop('typ')\n")
    other = write("d.py", "_base_ = 'base.py'\na = _base_.model.pop('typ', None)\n")

    with pytest.raises(ConfigError, match=r"c\.py:2: .*did you mean 'type'"):
        Config.fromfile(path, execute=execute)
    assert Config.fromfile(other, execute=execute).a is None


def test_merge_merges_dicts_and_replaces_other_values() -> None:
    cfg = Config({"model": {"type": "A", "neck": {"depth": 1}, "sizes": [1, 2]}, "lr": 0.1})
    other = {
        "model": {"neck": {"depth": 2, "width": 3}, "sizes": [3]},
        "lr": {"start": 1},
        "head": {"_delete_": True, "x": {"y": 1}},
    }

    cfg.merge(other)

    assert cfg.to_dict() == {
        "model": {"type": "A", "neck": {"depth": 2, "width": 3}, "sizes": [3]},
        "lr": {"start": 1},
        "head": {"x": {"y": 1}},
    }
    assert other["head"] == {"_delete_": True, "x": {"y": 1}}
    origin = cfg.origin("model.neck.width")
    assert origin.file == __file__
    assert cfg.origin("model.type").line < origin.line


def test_merge_with_delete_replaces_the_dict() -> None:
    cfg = ConfigDict(optimizer={"type": "SGD", "momentum": 0.9})

    cfg.merge({"optimizer": {"_delete_": True, "type": "Adam"}})

    assert cfg == {"optimizer": {"type": "Adam"}}


@pytest.mark.parametrize("other", [[("a", 1)], None, 3], ids=["pairs", "none", "number"])
def test_merge_of_no_mapping_raises(other: Any) -> None:
    with pytest.raises(TypeError, match="other must be a mapping, got"):
        ConfigDict(a=1).merge(other)


def test_merge_in_a_lazy_config_changes_what_is_inherited(write: Write) -> None:
    write("base.py", "model = dict(type='A', neck=dict(depth=1, width=2))\n")
    path = write(
        "top.py",
        "from engine_config import read_base\n"
        "with read_base():\n    from .base import *\n"
        "model.merge(dict(neck=dict(depth=5)))\n",
    )
    cfg = Config.fromfile(path)

    assert cfg.model == {"type": "A", "neck": {"depth": 5, "width": 2}}
    assert cfg.origin("model.neck.depth").line == 4
    assert Config.fromfile(write("again.py", cfg.dump() or "")) == cfg


def test_build_lazy_imports_a_lazy_name() -> None:
    cfg = ConfigDict()

    assert cfg.build_lazy(LazyObject("os.path", "join")) is __import__("os").path.join
    assert cfg.build_lazy(3) == 3
