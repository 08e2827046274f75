"""Read, inherit and dump config files, as the manual documents it."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine_config import (
    Config,
    ConfigDict,
    ConfigError,
    ConfigFileNotFoundError,
    ConfigFormatError,
    ConfigImportError,
    ConfigKeyError,
    ConfigTypeError,
)
from engine_config.write._dump import text_as

Write = Callable[[str, str], Path]

PY = "test_int = 1\ntest_list = [1, 2, 3]\ntest_dict = dict(key1='value1', key2=0.1)\n"
JSON = '{"test_int": 1, "test_list": [1, 2, 3], "test_dict": {"key1": "value1", "key2": 0.1}}'
YAML = "test_int: 1\ntest_list: [1, 2, 3]\ntest_dict:\n  key1: 'value1'\n  key2: 0.1\n"
OPTIMIZER = "optimizer = dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0001)\n"
RESNET = "_base_ = ['optimizer_cfg.py']\nmodel = dict(type='ResNet', depth=50)\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [("c.py", PY), ("c.json", JSON), ("c.yaml", YAML), ("c.yml", YAML), ("c.d.0.1.PY", PY)],
)
def test_fromfile_reads_equal_values_from_each_format(write: Write, name: str, text: str) -> None:
    cfg = Config.fromfile(write(name, text))
    assert cfg.to_dict() == {
        "test_int": 1,
        "test_list": [1, 2, 3],
        "test_dict": {"key1": "value1", "key2": 0.1},
    }
    assert isinstance(cfg.test_dict, ConfigDict)


def test_config_prints_the_path_as_it_was_given(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write("learn.py", "a = dict(b=1)\n").parent)
    assert repr(Config.fromfile("./learn.py")) == "Config (path: ./learn.py): {'a': {'b': 1}}"


def test_config_reads_and_writes_attributes_and_items(write: Write) -> None:
    cfg = Config.fromfile(write("c.py", PY))
    cfg.test_int = 2
    cfg["test_list"][1] = 3
    cfg.test_dict.new = {"x": 1}
    assert (cfg["test_int"], cfg.test_list, cfg.test_dict.new.x) == (2, [1, 3, 3], 1)


def test_predefined_variables_are_replaced(write: Write) -> None:
    names = "{{fileDirname}}|{{ fileBasename }}|{{fileExtname}}"
    text = f"a = './w/{{{{fileBasenameNoExtension}}}}'\nb = '{names}'\n"
    path = write("pre.var.py", text)
    cfg = Config.fromfile(path)
    assert cfg.a == "./w/pre.var"
    assert cfg.b == f"{path.parent}|pre.var.py|.py"
    raw = Config.fromfile(path, use_predefined_variables=False)
    assert raw.a == "./w/{{fileBasenameNoExtension}}"


def test_predefined_variables_name_the_file_that_uses_them(write: Write) -> None:
    write("base.py", "name = '{{fileBasename}}'\n")
    cfg = Config.fromfile(write("c.py", "_base_ = 'base.py'\nown = '{{fileBasename}}'\n"))
    assert (cfg.name, cfg.own) == ("base.py", "c.py")


ENVIRONMENT = (
    "a{0} '{{{{$ENGINE_A}}}}/x'\nb{0} {{{{$N:4}}}}\nc{0} '{{{{$N:4}}}}'\nd{0} '{{{{$D:}}}}'\n"
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.py", ENVIRONMENT.format(" =")),
        ("c.json", '{"a": "{{$ENGINE_A}}/x", "b": {{$N:4}}, "c": "{{$N:4}}", "d": "{{$D:}}"}'),
        ("c.yaml", ENVIRONMENT.format(":")),
    ],
)
def test_environment_variables_are_data(
    write: Write, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv("ENGINE_A", 'it\'s "data" + 1/0')
    path = write(name, text)
    assert Config.fromfile(path).to_dict() == {
        "a": 'it\'s "data" + 1/0/x',
        "b": 4,
        "c": "4",
        "d": "",
    }
    monkeypatch.setenv("ENGINE_A", "changed")
    assert Config.fromfile(path).a == "changed/x"


def test_missing_environment_variable_names_the_line(write: Write) -> None:
    with pytest.raises(ConfigKeyError, match=r"c\.py:2: .*ENGINE_NO is not set"):
        Config.fromfile(write("c.py", "\na = '{{$ENGINE_NO}}'\n"))


def test_dump_needs_no_bases(family: Path, tmp_path: Path) -> None:
    cfg = Config.fromfile(family)
    for suffix in ("py", "json", "yaml"):
        file = tmp_path / "out" / f"dump.{suffix}"
        file.parent.mkdir(exist_ok=True)
        assert cfg.dump(file) is None
        assert Config.fromfile(file) == cfg
    assert (tmp_path / "out/dump.py").read_text() == (
        "optimizer = dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0001)\n"
        "model = dict(type='ResNet', depth=50)\n"
    )
    assert (
        (tmp_path / "out/dump.yaml").read_text().startswith("model:\n  depth: 50\n  type: ResNet\n")
    )
    assert json.loads((tmp_path / "out/dump.json").read_text()) == cfg.to_dict()


def test_dump_without_file_returns_text() -> None:
    assert Config({"a": 1, "b": 2}).dump() == "a = 1\nb = 2\n"


def test_dump_to_another_format_raises(tmp_path: Path) -> None:
    with pytest.raises(ConfigFormatError, match=r"'\.toml' is not a config format"):
        Config({"a": 1}).dump(tmp_path / "a.toml")


def test_text_of_one_file_is_its_text(write: Write) -> None:
    assert Config.fromfile(write("c.py", PY)).text == PY


def test_text_with_bases_holds_all_of_them(family: Path) -> None:
    text = Config.fromfile(family).text
    assert OPTIMIZER in text
    assert RESNET in text


def test_missing_file_suggests_a_name(family: Path) -> None:
    with pytest.raises(ConfigFileNotFoundError, match=r"did you mean .*resnet50\.py"):
        Config.fromfile(family.parent / "resnet5.py")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.json", '{"a": {"b": [1]}, "s": [1]}'),
        ("c.yaml", "a: {b: [1]}\ns: !!set {1}\n"),
        ("c.py", "a = dict(b=[1])\ns = {1}\n"),
    ],
)
def test_configs_of_one_file_are_independent(write: Write, name: str, text: str) -> None:
    path = write(name, text)
    first = Config.fromfile(path)
    first.a.b.append(2)
    first.s.clear()
    second = Config.fromfile(path)
    assert second.a.b == [1]
    assert list(second.s) == [1]


def test_values_that_are_one_object_in_the_file_are_independent(write: Write) -> None:
    text = "val = dict(size=[1])\ntest = val\nboth = [val, val]\n"
    cfg = Config.fromfile(write("c.py", text))
    cfg.val.size.append(2)
    cfg.merge_from_dict({"both.0.size": 5})
    assert (cfg.test.size, cfg.both[1].size) == ([1], [1])


def test_files_can_be_read_by_many_threads(family: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        configs = list(pool.map(lambda _: Config.fromfile(family), range(100)))
    assert all(cfg == configs[0] for cfg in configs)


def test_missing_environment_variable_in_a_comment_is_ignored(write: Write) -> None:
    for name, line in (
        ("c.py", "# {{$ENGINE_NO}}\na = 1\n"),
        ("c.yaml", "# {{$ENGINE_NO}}\na: 1\n"),
    ):
        assert Config.fromfile(write(name, line)).a == 1


def test_environment_values_outside_of_quotes_are_parsed_like_options() -> None:
    cfg = Config.fromstring("a: {{$NO_A:true}}\nb: {{$NO_B:[1, x]}}\n'{{$NO_C:k}}': 1\n", ".yaml")
    assert cfg.to_dict() == {"a": True, "b": [1, "x"], "k": 1}


def test_use_environment_variables_false_keeps_the_text(write: Write) -> None:
    path = write("c.py", "a = '{{$ENGINE_NO}}'\n")
    assert Config.fromfile(path, use_environment_variables=False).a == "{{$ENGINE_NO}}"


def test_custom_imports_are_imported(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("engine_config_custom.py", "LOADED = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    text = "custom_imports = dict(imports=['{}'], allow_failed_imports=False)\n"
    Config.fromfile(write("c.py", text.format("engine_config_custom")))
    assert __import__("sys").modules["engine_config_custom"].LOADED
    bad = write("bad.py", text.format("engine_config_not_there"))
    with pytest.raises(ImportError, match=r"bad\.py:1: custom_imports") as caught:
        Config.fromfile(bad)
    assert isinstance(caught.value, ConfigImportError)
    assert (caught.value.line, caught.value.key_path) == (1, "custom_imports")
    assert "custom_imports" in Config.fromfile(bad, import_custom_modules=False)


@pytest.mark.parametrize(
    "value",
    ["['os']", "3", "dict(import_=['os'])", "dict(imports=[3])", "dict(imports=['os'], x=1)"],
)
def test_custom_imports_of_another_form_raise(value: str) -> None:
    with pytest.raises(ConfigTypeError, match=r"<string>:2: custom_imports: it must have the form"):
        Config.fromstring(f"a = 1\ncustom_imports = {value}\n", ".py")


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("c.py", "a = 1\nb = = 2\n", 2),
        ("c.py", "a = 1\n\nb = undefined_name\n", 3),
        ("c.json", '{"a": 1,\n "b": }', 2),
        ("c.yaml", "a: 1\nb: [1, 2\n", 3),
        ("c.yaml", "a: !!python/object/apply:os.getcwd []\n", 1),
        ("c.yaml", "- 1\n- 2\n", 1),
        ("c.yaml", "a: 1\nb: {c: 1,\n c: 2}\n", 3),
        ("c.json", '{"a": 1,\n "b": [{"c": 1,\n "c": 2}]}', 3),
        ("c.py", "\n_base_ = 3\n", 2),
    ],
)
def test_malformed_file_raises_with_its_line(write: Write, name: str, text: str, line: int) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.fromfile(write(name, text))
    assert (caught.value.line, Path(caught.value.file or "").name) == (line, name)


def test_python_config_keeps_data_only(write: Write) -> None:
    text = "from __future__ import annotations\n"
    text += "import os\nfrom math import pi, sqrt\ndef f(x):\n    return dict(v=x)\n"
    text += "class A: ...\n_a = f(2)\nb = os.sep\n"
    assert Config.fromfile(write("c.py", text)).to_dict() == {
        "pi": 3.141592653589793,
        "_a": {"v": 2},
        "b": "/",
    }


def test_reserved_keys_raise(write: Write) -> None:
    for text in ("\nfilename = 'x'\n", "a = 1\npretty_text = 1\n"):
        with pytest.raises(ConfigKeyError, match=r"c\.py:2: .*reserved"):
            Config.fromfile(write("c.py", text))


def test_fromstring_reads_every_format() -> None:
    assert Config.fromstring(PY, ".py") == Config.fromstring(JSON, ".json")
    assert Config.fromstring(PY, ".py") == Config.fromstring(YAML, ".yml")
    with pytest.raises(OSError, match="not a config format"):
        Config.fromstring(PY, ".txt")


def test_yaml_agrees_with_the_other_formats_on_numbers_and_dates() -> None:
    cfg = Config.fromstring("a: 1e-3\nb: 2020-01-01\nc: on\n", ".yaml")
    assert cfg.to_dict() == {"a": 0.001, "b": "2020-01-01", "c": True}
    again = Config({"a": "1e-3", "b": "2020-01-01", "c": 1e-5})
    assert Config.fromstring(text_as(again._cfg_dict, ".yaml", None), ".yaml") == again


def test_folder_and_binary_file_raise(write: Write, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_bytes(b"a = '\xff\xfe'")
    (tmp_path / "folder.py").mkdir()
    for name in ("bad.py", "folder.py"):
        with pytest.raises(OSError, match="config"):
            Config.fromfile(tmp_path / name)
