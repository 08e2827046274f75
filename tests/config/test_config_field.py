"""What code and configs of the field rely on, beyond the manual."""

import copy
import sys
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine_config import (
    Config,
    ConfigDict,
    ConfigFileNotFoundError,
    ConfigImportError,
    ConfigTypeError,
    DictAction,
    LazyAttr,
    LazyObject,
)

Write = Callable[[str, str], Path]


@pytest.fixture
def without_compat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `import mmengine` fail, as where engine-compat is not installed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "mmengine"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mmengine", None)


def test_config_of_a_dict_with_a_file_has_the_text_of_the_file(write: Write) -> None:
    path = write("a.py", "lr = 0.1  # a comment\n")
    cfg = Config({"lr": 0.2}, filename=path)
    assert cfg.text == "lr = 0.1  # a comment\n"
    assert cfg.lr == 0.2
    assert Config({"lr": 1}, cfg_text="lr = 1", filename=path).text == "lr = 1"
    assert Config({"lr": 1}, filename="no_such_file.py").text == ""


def test_shallow_copy_shares_the_values_and_the_method_does_not() -> None:
    cfg = Config({"model": {"depth": 50}}, filename="a.py")
    shared, own = copy.copy(cfg), cfg.copy()
    shared.lr = 0.1
    shared.model.depth = 18
    own.own = 1
    assert shared._cfg_dict is cfg._cfg_dict
    assert cfg == Config({"model": {"depth": 18}, "lr": 0.1})
    assert own == Config({"model": {"depth": 18}, "own": 1})
    assert shared.filename == own.filename == "a.py"


class Settings(dict[str, Any]):
    """A class of the user's."""


@pytest.mark.parametrize(
    "value",
    [Settings(a=1), Counter("aab"), defaultdict(list, a=[1])],
    ids=["own class", "Counter", "defaultdict"],
)
def test_dict_subclass_of_the_user_is_kept(value: Any) -> None:
    cfg = Config({"settings": value, "parts": [{"settings": value}]})
    assert cfg.settings is value
    assert cfg.parts[0].settings is value
    cfg.model = {"settings": value}
    cfg.merge_from_dict({"model.other": value})
    assert cfg.model.settings is cfg.model.other is value
    assert type(copy.deepcopy(cfg).settings) is type(value)
    assert cfg.to_dict()["settings"] is value
    assert Config.fromstring(cfg.pretty_text, ".py") == cfg
    with pytest.raises(ConfigTypeError, match=r"settings is .*, not a plain dict"):
        cfg.merge_from_dict({"settings.a": 2})


def test_ordered_dict_becomes_a_config_dict() -> None:
    cfg = Config({"model": OrderedDict(backbone=OrderedDict(depth=50))})
    assert type(cfg.model) is type(cfg.model.backbone) is ConfigDict
    assert cfg.model.backbone.depth == 50


def test_dict_subclass_in_a_file_is_kept_and_replaces_that_of_the_base(write: Write) -> None:
    write("base.py", "counts = dict(a=1)\n")
    text = "from collections import Counter\n_base_ = 'base.py'\ncounts = Counter('bb')\n"
    cfg = Config.fromfile(write("own.py", text))
    assert type(cfg.counts) is Counter
    assert cfg.counts == {"b": 2}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("a,b", ["a", "b"]),
        ("[(1,2),(3,4)]", [(1, 2), (3, 4)]),
        ("(1.5,none,true)", (1.5, None, True)),
    ],
    ids=["one", "list", "nested", "tuple"],
)
def test_dict_action_parses_a_value_by_its_method(text: str, value: object) -> None:
    assert DictAction._parse_iterable(text) == value


def test_attribute_of_a_lazy_object_is_a_lazy_attribute() -> None:
    optim = LazyObject("torch").optim
    assert isinstance(optim, LazyAttr)
    assert str(optim.SGD) == "torch.optim.SGD"


@pytest.mark.parametrize(
    "text",
    [
        "from mmengine.config import read_base\nwith read_base():\n    from .base import *\n",
        "from mmengine import read_base\nwith read_base():\n    from .base import *\n",
        "from mmengine.config import ConfigDict, read_base\n_base_ = 'base.py'\n"
        "model = ConfigDict(type='Net')\n",
        "from mmengine import Config, ConfigDict\nmodel = ConfigDict(type='Net', lr=3)\n",
    ],
    ids=["lazy", "lazy from the top", "plain", "no base"],
)
@pytest.mark.usefixtures("without_compat")
def test_config_that_imports_config_names_of_mmengine_runs_without_it(
    write: Write, text: str
) -> None:
    write("base.py", "model = dict(type='Net', lr=3)\n")
    cfg = Config.fromfile(write("own.py", text))
    assert cfg.to_dict() == {"model": {"type": "Net", "lr": 3}}
    assert "mmengine" not in cfg.pretty_text


@pytest.mark.usefixtures("without_compat")
def test_lazy_name_of_mmengine_says_how_to_install_it(write: Write) -> None:
    text = "from mmengine.hooks import CheckpointHook\nhook = dict(type=CheckpointHook)\n"
    cfg = Config.fromfile(write("own.py", text))
    assert cfg.to_dict()["hook"]["type"] == LazyObject("mmengine.hooks", "CheckpointHook")
    with pytest.raises(ConfigImportError, match=r"own\.py:1: .*; pip install engine-compat"):
        assert cfg.hook.type


def test_base_of_a_library_that_is_not_installed_says_how_to_install_it(write: Write) -> None:
    path = write("own.py", "_base_ = 'mmseg::_base_/models/fcn.py'\n")
    with pytest.raises(ConfigFileNotFoundError, match=r"'mmseg' .*; pip install mmsegmentation"):
        Config.fromfile(path)


def test_config_of_mmengine_names_imports_lazily_what_is_no_config_name(write: Write) -> None:
    text = "from mmengine import MMLogger\nlogger = dict(type=MMLogger)\n"
    cfg = Config.fromfile(write("own.py", text))
    assert isinstance(cfg.to_dict()["logger"]["type"], LazyObject)
