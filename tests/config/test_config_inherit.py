"""Inherit configs: merge, delete, and refer to values of the bases."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engine_config import (
    Config,
    ConfigExecutionError,
    ConfigFileNotFoundError,
    ConfigFormatError,
    ConfigKeyError,
    ConfigParseError,
    ConfigTypeError,
)
from engine_config.read._files import Options, parse_text

Write = Callable[[str, str], Path]


def test_base_fields_come_first(family: Path) -> None:
    assert list(Config.fromfile(family)) == ["optimizer", "model"]


@pytest.mark.parametrize("quotes", ["'optimizer_cfg.py'", "['optimizer_cfg.py']"])
def test_base_is_a_name_or_a_list(family: Path, write: Write, quotes: str) -> None:
    assert Config.fromfile(write("c.py", f"_base_ = {quotes}\n")).optimizer.lr == 0.02


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (
            "optimizer = dict(lr=0.01)",
            {"type": "SGD", "lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4},
        ),
        ("optimizer = dict(_delete_=True, type='X')", {"type": "X"}),
        (
            "optimizer = dict(_delete_=False, lr=1)",
            {"type": "SGD", "lr": 1, "momentum": 0.9, "weight_decay": 1e-4},
        ),
        ("optimizer = None", None),
        ("optimizer = [1]", [1]),
    ],
    ids=["merge", "delete", "delete-false", "none", "list"],
)
def test_own_value_overrides_the_base(
    family: Path, write: Write, own: str, expected: object
) -> None:
    cfg = Config.fromfile(write("c.py", f"_base_ = ['resnet50.py']\n{own}\n"))
    assert cfg.optimizer == expected


def test_list_of_the_base_is_replaced(family: Path, write: Write) -> None:
    cfg = Config.fromfile(write("c.py", "_base_ = 'runtime_cfg.py'\ngpu_ids = dict(a=1)\n"))
    assert cfg.gpu_ids == {"a": 1}


def test_two_bases_with_one_key_name_both_places(family: Path, write: Write) -> None:
    write("other.py", "\noptimizer = dict(lr=1)\n")
    path = write("c.py", "_base_ = ['optimizer_cfg.py', 'other.py']\n")
    with pytest.raises(ConfigKeyError) as caught:
        Config.fromfile(path)
    message = str(caught.value)
    assert "other.py:2" in message
    assert "optimizer_cfg.py:1" in message
    assert caught.value.key_path == "optimizer"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.py", "_base_ = ['resnet50.py']\na = {{_base_.model}}\nb = {{ _base_.model.depth }}\n"),
        (
            "c.json",
            '{"_base_": "resnet50.py", "a": "{{_base_.model}}", "b": {{_base_.model.depth}}}',
        ),
        ("c.yaml", "_base_: resnet50.py\na: '{{_base_.model}}'\nb: {{_base_.model.depth}}\n"),
    ],
)
def test_reference_to_base_is_a_copy(family: Path, write: Write, name: str, text: str) -> None:
    cfg = Config.fromfile(write(name, text))
    assert cfg.a == {"type": "ResNet", "depth": 50}
    assert cfg.b == 50
    cfg.a.depth = 1
    assert cfg.model.depth == 50


def test_reference_inside_a_string_is_replaced(family: Path, write: Write) -> None:
    cfg = Config.fromfile(
        write("c.py", "_base_ = 'resnet50.py'\na = ['r{{_base_.model.depth}}']\n")
    )
    assert cfg.a == ["r50"]


@pytest.mark.parametrize(
    "change",
    [
        "a['type'] = 'X'",
        "a.type = 'X'",
        "b = a.type",
        "b = a + 1",
        "b = f'{a}'",
        "b = str(a)",
        "b = a == 1",
    ],
)
def test_reference_cannot_be_changed_while_reading(family: Path, write: Write, change: str) -> None:
    path = write("c.py", f"_base_ = ['resnet50.py']\na = {{{{_base_.model}}}}\n{change}\n")
    with pytest.raises(ConfigTypeError, match=r"_base_\.model without braces"):
        Config.fromfile(path)


def test_base_attribute_is_the_inherited_value(family: Path, write: Write) -> None:
    text = "_base_ = ['resnet50.py']\na = _base_.model\na.type = 'MobileNet'\nb = _base_['model']\n"
    cfg = Config.fromfile(write("c.py", text))
    assert cfg.a == cfg.b == cfg.model == {"type": "MobileNet", "depth": 50}
    cfg.a.depth = 1
    assert cfg.b.depth == cfg.model.depth == 50


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("_base_ = 'optimizer_cfg.py'", "_base_ is set twice"),
        ("if True:\n    _base_ = 'optimizer_cfg.py'", "must be set once, at the top level"),
        ("del _base_", "must be set once, at the top level"),
        ("_base_ += ['optimizer_cfg.py']", "must be set once, at the top level"),
    ],
)
def test_changing_base_itself_raises(
    family: Path, write: Write, statement: str, message: str
) -> None:
    path = write("c.py", f"_base_ = ['resnet50.py']\n\n{statement}\n")
    with pytest.raises(ConfigParseError, match=rf"c\.py:[34]: .*{message}"):
        Config.fromfile(path)


def test_base_may_be_calculated_from_literals(family: Path, write: Write) -> None:
    path = write("c.py", "_base_ = [f'{name}.py' for name in ('resnet50', 'runtime_cfg')]\n")
    assert list(Config.fromfile(path)) == ["optimizer", "model", "gpu_ids"]
    path = write("d.py", "name = 'resnet50'\n_base_ = name + '.py'\n")
    with pytest.raises(ConfigParseError, match=r"d\.py:2: .*_base_ is read before the rest"):
        Config.fromfile(path)


def test_base_may_be_an_absolute_path(family: Path, write: Write) -> None:
    path = write("far/away/c.py", f"_base_ = {str(family)!r}\n")
    assert Config.fromfile(path).model.depth == 50


def test_base_read_by_its_methods_is_the_inherited_value(family: Path, write: Write) -> None:
    text = "_base_ = ['resnet50.py']\na = _base_.get('model')\na.update(depth=1)\n"
    assert Config.fromfile(write("c.py", text)).model.depth == 1


def test_base_may_be_annotated(family: Path, write: Write) -> None:
    path = write("c.py", "_base_: list[str] = ['resnet50.py']\n")
    assert Config.fromfile(path).model.depth == 50


def test_unknown_reference_names_file_line_and_keys(family: Path, write: Write) -> None:
    path = write("c.py", "_base_ = ['resnet50.py']\n\na = {{_base_.modle}}\n")
    with pytest.raises(ConfigKeyError, match=r"c\.py:3: .*it has: optimizer, model"):
        Config.fromfile(path)


def test_name_of_the_base_used_alone_raises_with_the_right_form(family: Path, write: Write) -> None:
    path = write("c.py", "_base_ = ['resnet50.py']\na = model\n")
    with pytest.raises(ConfigExecutionError, match=r"c\.py:2: .* write _base_\.model"):
        Config.fromfile(path)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("c.py", "a = 1\n_base_ = ['baes.py']\n", 2),
        ("c.json", '{"a": 1,\n "_base_": "baes.py"}', 2),
        ("c.yaml", "a: 1\n_base_: baes.py\n", 2),
        ("lazy.py", "with read_base():\n    from .baes import *\n", 2),
    ],
    ids=["python", "json", "yaml", "lazy"],
)
def test_missing_base_raises_with_the_line_that_names_it(
    write: Write, name: str, text: str, line: int
) -> None:
    write("base.py", "b = 1\n")
    for file, inner in ((name, text), ("child.py", f"_base_ = '{name}'\n")):
        with pytest.raises(ConfigFileNotFoundError, match=r"did you mean .*base\.py") as caught:
            Config.fromfile(write(file, inner))
        assert (Path(caught.value.file or "").name, caught.value.line) == (name, line)
        assert caught.value.key_path == ("read_base" if name == "lazy.py" else "_base_")


def test_base_of_another_format_raises_with_the_line_that_names_it(write: Write) -> None:
    write("base.toml", "b = 1\n")
    with pytest.raises(ConfigFormatError, match=r"c\.py:1: _base_: .*base\.toml: '\.toml' is not"):
        Config.fromfile(write("c.py", "_base_ = 'base.toml'\n"))


def test_circular_bases_raise_with_the_chain(write: Write) -> None:
    write("a.py", "_base_ = 'b.py'\n")
    path = write("b.py", "_base_ = 'a.py'\n")
    with pytest.raises(ConfigParseError, match=r"circular `_base_`: .*b\.py -> .*a\.py -> .*b\.py"):
        Config.fromfile(path)


def test_long_chain_of_bases_raises(write: Write) -> None:
    for number in range(60):
        write(f"c{number}.py", f"_base_ = 'c{number + 1}.py'\n")
    with pytest.raises(ConfigParseError, match="inherit in a row"):
        Config.fromfile(write("c.py", "_base_ = 'c0.py'\n"))


def test_changed_base_is_read_again(write: Write) -> None:
    write("base.py", "a = 1\n")
    path = write("c.py", "_base_ = 'base.py'\n")
    assert Config.fromfile(path).a == 1
    write("base.py", "a = 2\n")
    assert Config.fromfile(path).a == 2


def test_base_is_parsed_once_for_many_children(write: Write) -> None:
    def parsed(text: str) -> object:
        return parse_text(text, str(write("shared.py", text)), ".py", Options())

    first = parsed("a = dict(b=1)\n")
    for number in range(5):
        Config.fromfile(write(f"child{number}.py", "_base_ = 'shared.py'\n"))
    assert parsed("a = dict(b=1)\n") is first
    assert parsed("a = dict(b=2)\n") is not first
    assert Config.fromfile(write("child.py", "_base_ = 'shared.py'\n")).a.b == 2


def test_base_of_an_installed_package_gets_its_scope(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "engine_config_pkg"
    (folder / ".mim" / "configs").mkdir(parents=True)
    (folder / "configs").mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('must not be imported')\n")
    loop = "train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12)\n"
    loop += "hooks = dict(a=dict(type='H'), b=1)\n"
    (folder / ".mim" / "configs" / "schedule.py").write_text(loop)
    (folder / "configs" / "other.py").write_text("x = [dict(type='Y')]\n")
    monkeypatch.syspath_prepend(tmp_path)
    names = "['engine_config_pkg::schedule.py', 'engine_config_pkg::other.py']"
    cfg = Config.fromfile(write("c.py", f"_base_ = {names}\n"))
    scope = {"_scope_": "engine_config_pkg"}
    assert cfg.train_cfg == {"type": "EpochBasedTrainLoop", "max_epochs": 12, **scope}
    assert cfg.hooks == {"a": {"type": "H", **scope}, "b": 1}
    assert cfg.x == [{"type": "Y", **scope}]
    assert Config.fromfile("engine_config_pkg::schedule.py").train_cfg.max_epochs == 12


@pytest.mark.parametrize(
    "name", ["engine_no_such_package::a.py", "engine_config::no/such.py"], ids=["package", "file"]
)
def test_base_of_a_missing_package_raises_with_its_name(write: Write, name: str) -> None:
    with pytest.raises(ConfigFileNotFoundError, match=r"c\.py:2: "):
        Config.fromfile(write("c.py", f"\n_base_ = '{name}'\n"))
