"""`ConfigDict` as a dict, and `Config` as a mapping."""

import copy
import json
import pickle
import subprocess
import sys
from types import SimpleNamespace

import addict
import pytest

from engine_config import Config, ConfigDict, ConfigError, ConfigKeyError, ConfigParseError


def test_config_dict_is_an_addict_dict() -> None:
    cfg = ConfigDict(a=1)
    assert isinstance(cfg, addict.Dict)
    assert isinstance(cfg, dict)
    assert cfg == {"a": 1}
    assert repr(cfg) == "{'a': 1}"


@pytest.mark.parametrize(
    "made",
    [
        ConfigDict(a={"b": 1}),
        ConfigDict({"a": {"b": 1}}),
        ConfigDict([("a", {"b": 1})]),
        ConfigDict(ConfigDict(a={"b": 1})),
        ConfigDict({"a": 0}, a={"b": 1}),
        ConfigDict(**ConfigDict(a={"b": 1})),
        ConfigDict() | {"a": {"b": 1}},
        {"a": {"b": 1}} | ConfigDict(),
        ConfigDict.fromkeys(["a"], {"b": 1}),
    ],
)
def test_config_dict_is_constructed_like_a_dict(made: ConfigDict) -> None:
    assert made == {"a": {"b": 1}}
    assert made.a.b == 1
    assert isinstance(made, ConfigDict)


def test_nested_dicts_become_config_dicts() -> None:
    cfg = ConfigDict(a=[{"b": 1}, ({"c": 2},)])
    cfg.d = {"e": {"f": 3}}
    cfg.update(g={"h": 4})
    assert (cfg.a[0].b, cfg.a[1][0].c, cfg.d.e.f, cfg.g.h) == (1, 2, 3, 4)


def test_update_updates_nested_dicts() -> None:
    cfg = ConfigDict(model={"backbone": {"type": "ResNet", "depth": 50}, "stages": [{"n": 1}]})
    backbone = cfg.model.backbone
    cfg.update({"model": {"backbone": {"depth": 101}, "stages": [{"n": 2}]}})
    cfg.update(model=ConfigDict(head={"type": "Head"}))
    assert cfg.model == {
        "backbone": {"type": "ResNet", "depth": 101},
        "stages": [{"n": 2}],
        "head": {"type": "Head"},
    }
    assert cfg.model.backbone is backbone


def test_operator_replaces_as_that_of_a_dict_does() -> None:
    cfg = ConfigDict(a={"b": 1})
    assert cfg | {"a": {"c": 2}} == {"a": {"c": 2}}
    assert {"a": {"c": 2}} | cfg == cfg == {"a": {"b": 1}}
    cfg |= {"a": {"d": 3}}
    assert cfg == {"a": {"d": 3}}


def test_lists_and_objects_keep_their_identity() -> None:
    values, thing = [1], SimpleNamespace()
    cfg = ConfigDict(values=values, thing=thing)
    values.append(2)
    cfg.inner = inner = ConfigDict(a=1)
    assert cfg["values"] == [1, 2]
    assert cfg.thing is thing
    assert cfg.inner is inner


@pytest.mark.parametrize(
    ("name", "message"),
    [("backbon", "did you mean 'backbone'"), ("zzz", "the keys are: 'backbone', 'type'")],
)
def test_missing_key_names_the_closest(name: str, message: str) -> None:
    cfg = ConfigDict(backbone=1, type=2)
    with pytest.raises(AttributeError, match=message):
        getattr(cfg, name)
    with pytest.raises(KeyError, match=message):
        cfg[name]
    with pytest.raises(KeyError, match=message):
        del cfg[name]
    with pytest.raises(AttributeError, match=message):
        delattr(cfg, name)
    assert list(cfg) == ["backbone", "type"]
    assert (cfg.get(name), cfg.get(name, 3), cfg.pop(name, 4)) == (None, 3, 4)


def test_method_names_cannot_be_set_as_attributes() -> None:
    cfg = ConfigDict()
    with pytest.raises(AttributeError, match=r"set the key as \['items'\]"):
        cfg.items = 1  # type: ignore[method-assign, assignment]
    cfg["items"] = 1
    assert cfg == {"items": 1}


def test_config_dict_removes_keys() -> None:
    cfg = ConfigDict(a=1, b=2, c=3, d=4)
    del cfg.a
    del cfg["b"]
    assert cfg.pop("c") == 3
    assert cfg.popitem() == ("d", 4)
    cfg.setdefault("e", {"f": 1}).f = 2
    assert cfg == {"e": {"f": 2}}
    cfg.clear()
    assert not cfg


def test_frozen_config_takes_no_new_keys() -> None:
    cfg = ConfigDict(a={"b": 1})
    cfg.freeze()
    cfg.a.b = 2
    with pytest.raises(KeyError, match="frozen"):
        cfg.a.c = 1
    cfg.unfreeze()
    cfg.a.c = 1
    assert cfg == {"a": {"b": 2, "c": 1}}


def test_copies_and_pickles_are_equal() -> None:
    cfg = ConfigDict(a={"b": [1, {"c": 2}]})
    for other in (copy.deepcopy(cfg), pickle.loads(pickle.dumps(cfg)), cfg.deepcopy()):
        assert other == cfg
        other.a.b[1].c = 3
        assert cfg.a.b[1].c == 2
    shallow = cfg.copy()
    shallow.x = 1
    assert shallow.a is cfg.a
    assert "x" not in cfg
    assert type(cfg.to_dict()["a"]["b"][1]) is dict


def test_config_dict_works_as_json_and_keyword_arguments() -> None:
    cfg = ConfigDict(a={"b": 1})
    assert json.dumps(cfg) == '{"a": {"b": 1}}'
    assert dict(**cfg) == {"a": {"b": 1}}


def test_config_behaves_as_a_mapping() -> None:
    cfg = Config({"a": 1, "b": {"c": 2}})
    assert (len(cfg), list(cfg), "a" in cfg, "z" in cfg) == (2, ["a", "b"], True, False)
    assert cfg.get("z", 3) == 3
    assert dict(cfg.items()) == {"a": 1, "b": {"c": 2}}
    assert cfg.pop("a") == 1
    del cfg.b["c"]
    del cfg.b
    cfg.new_key = {"x": 1}
    assert cfg == Config({"new_key": {"x": 1}})
    assert cfg != {"new_key": {"x": 1}}
    with pytest.raises(AttributeError, match="did you mean 'new_key'"):
        _ = cfg.new_kye


def test_config_copies_what_it_is_given() -> None:
    given = {"a": {"b": [1]}}
    cfg = Config(given)
    cfg.a.b.append(2)
    assert given == {"a": {"b": [1]}}
    assert Config(cfg._cfg_dict).a is not cfg.a
    assert Config(cfg) == cfg  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["filename", "text", "pretty_text", "_base_", "__x", "_delete_", 3])
def test_reserved_top_level_keys_raise(key: object) -> None:
    with pytest.raises(ConfigKeyError):
        Config({key: 1})  # type: ignore[dict-item]
    with pytest.raises(ConfigKeyError):
        Config()[key] = 1  # type: ignore[index]


def test_parts_of_config_cannot_be_overwritten() -> None:
    with pytest.raises(AttributeError, match="part of Config"):
        Config().dump = 1  # type: ignore[method-assign, assignment]


def test_config_takes_mappings_only() -> None:
    with pytest.raises(TypeError, match="must be a mapping, got list"):
        Config([1])  # type: ignore[arg-type]


def test_config_keeps_text_and_filename() -> None:
    cfg = Config({"a": 1}, cfg_text="a = 1", filename="x.py")
    assert (cfg.text, cfg.filename, repr(cfg)) == ("a = 1", "x.py", "Config (path: x.py): {'a': 1}")
    assert Config().text == ""


def test_errors_survive_pickling() -> None:
    error = ConfigParseError("wrong", file="a.py", line=3, key_path="b")
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, ConfigParseError)
    assert str(again) == str(error) == "a.py:3: b: wrong"
    assert isinstance(again, ConfigError | ValueError)


def test_import_and_reading_load_few_modules(tmp_path: object) -> None:
    heavy = ["numpy", "torch", "yaml", "requests", "boto3", "engine_fileio", "yapf", "black"]
    code = (
        "import sys; from engine_config import Config\n"
        "cfg = Config.fromstring('a = dict(b=1)', '.py'); cfg.pretty_text\n"
        f"print([name for name in {heavy!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=600
    )
    assert done.stdout.strip() == "[]"
