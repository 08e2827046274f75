"""Find the modules of ``custom_imports``, and configs in folders."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine_config import (
    Config,
    ConfigError,
    ConfigFileNotFoundError,
    ConfigImportError,
    ConfigReadError,
)

LIST = "custom_imports = dict(\n    imports=[{}],\n    allow_failed_imports={})\n"
LAZY = "from engine_config import read_base\nwith read_base():\n    {}\n"
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Return a function that writes a file, and forget the modules that the test imports."""
    path = list(sys.path)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")

    def write_text(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    yield write_text
    sys.path[:] = path
    for name in [name for name in sys.modules if name.startswith("conf_")]:
        del sys.modules[name]


def listed(*names: str, allow: bool = False) -> str:
    return LIST.format(", ".join(map(repr, names)), allow)


def test_module_beside_the_config_is_imported_with_its_neighbors(write: Write) -> None:
    write("a/conf_near.py", "from conf_neighbor import VALUE\n")
    write("a/conf_neighbor.py", "VALUE = 3\n")
    write("a/conf_pack/__init__.py", "")
    write("a/conf_pack/inner.py", "HERE = 1\n")

    Config.fromfile(write("a/c.py", listed("conf_near", "conf_pack.inner")))

    assert sys.modules["conf_near"].VALUE == 3
    assert sys.modules["conf_pack.inner"].HERE == 1


def test_module_beside_the_base_that_lists_it_is_imported(write: Write) -> None:
    write("bases/conf_of_base.py", "HERE = 'base'\n")
    write("bases/base.py", listed("conf_of_base"))

    Config.fromfile(write("c.py", "_base_ = 'bases/base.py'\n"))

    assert sys.modules["conf_of_base"].HERE == "base"


def test_module_beside_the_config_comes_before_that_beside_the_base(write: Write) -> None:
    write("bases/conf_both.py", "HERE = 'base'\n")
    write("conf_both.py", "HERE = 'config'\n")
    write("bases/base.py", listed("conf_both"))

    Config.fromfile(write("c.py", "_base_ = 'bases/base.py'\n"))

    assert sys.modules["conf_both"].HERE == "config"


def test_module_that_python_finds_comes_first(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("lib/conf_known.py", "HERE = 'lib'\n")
    write("conf_known.py", "HERE = 'beside'\n")
    monkeypatch.syspath_prepend(tmp_path / "lib")

    Config.fromfile(write("c.py", listed("conf_known")))

    assert sys.modules["conf_known"].HERE == "lib"


def test_config_is_never_imported_as_the_module(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    alone = write("conf_self.py", listed("conf_self"))
    with pytest.raises(ConfigImportError, match=r"conf_self\.py:2.*is a config, not a module"):
        Config.fromfile(alone)
    assert "conf_self" not in sys.modules

    write("bases/conf_same.py", "HERE = 'base'\n")
    write("bases/base.py", listed("conf_same"))
    Config.fromfile(write("conf_same.py", "_base_ = 'bases/base.py'\n"))
    assert sys.modules["conf_same"].HERE == "base"


def test_folder_without_code_is_not_a_module(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path / "cwd")
    write("cwd/conf_data/notes.txt", "")
    alone = write("alone/c.py", listed("conf_data"))
    with pytest.raises(ConfigImportError, match=r"conf_data has no __init__\.py"):
        Config.fromfile(alone)

    write("a/conf_data.py", "HERE = 1\n")
    write("a/conf_more/x.py", "HERE = 2\n")
    write("cwd/conf_more/notes.txt", "")
    Config.fromfile(write("a/c.py", listed("conf_data", "conf_more.x")))
    assert sys.modules["conf_data"].HERE == 1
    assert sys.modules["conf_more.x"].HERE == 2


def test_two_configs_get_the_modules_beside_them(write: Write) -> None:
    for folder in ("a", "b"):
        write(f"{folder}/conf_twin.py", f"HERE = {folder!r}\n")
        write(f"{folder}/conf_copy.py", "HERE = 0\n")
    write("a/conf_only.py", "HERE = 'a'\n")
    write("b/conf_only.py", "HERE = 'b'\n")
    Config.fromfile(write("a/c.py", listed("conf_twin", "conf_copy")))
    Config.fromfile(write("b/c.py", listed("conf_copy", "conf_only")))
    assert sys.modules["conf_only"].HERE == "b"

    with pytest.raises(ConfigImportError, match=r"conf_twin is already imported from .*a/conf_tw"):
        Config.fromfile(write("b/d.py", listed("conf_twin")))


def test_unknown_module_raises_with_its_line_and_the_closest_name(write: Write) -> None:
    write("conf_ops.py", "")
    path = write("c.py", "a = 1\n" + listed("json", "conf_opps"))

    with pytest.raises(ConfigImportError, match=r"c\.py:3: .*conf_opps.*did you mean 'conf_ops'"):
        Config.fromfile(path)
    with pytest.warns(UserWarning, match="conf_opps.*skips it"):
        Config.fromfile(write("c.py", listed("conf_opps", allow=True)))
    assert Config.diff(path, path) == ""


@pytest.mark.parametrize("allow", [True, False])
def test_error_of_a_module_is_reported_with_both_lines(write: Write, allow: bool) -> None:
    write("conf_broken.py", "a = 1\nb = undefined\n")
    path = write("c.py", listed("conf_broken", allow=allow))

    with pytest.raises(ConfigImportError, match=r"c\.py:2.*NameError.*conf_broken\.py:2") as caught:
        Config.fromfile(path)

    assert isinstance(caught.value.__cause__, NameError)


@pytest.mark.parametrize("package", [None, "", "lr = 0.1\n"], ids=["no", "empty", "values"])
def test_config_in_a_folder_is_imported_as_a_whole(write: Write, package: str | None) -> None:
    data = write("parts/data.py", "size = 3\nloader = dict(batch=2)\n")
    if package is not None:
        write("parts/__init__.py", package)
    text = LAZY.format("from .parts import data") + "data.loader.batch = 4\ntwice = data.size * 2\n"

    cfg = Config.fromfile(write("top.py", text))

    assert cfg.to_dict() == {"data": {"size": 3, "loader": {"batch": 4}}, "twice": 6}
    assert cfg.origin("data.size").file == str(data)
    assert Config.fromfile(data).loader.batch == 2
    assert Config.fromstring(str(cfg.dump()), ".py") == cfg
    for statement in ("from .parts.data import *", "from .parts.data import size, loader"):
        other = Config.fromfile(write("top.py", LAZY.format(statement)))
        assert other.to_dict() == {"size": 3, "loader": {"batch": 2}}


def test_package_is_a_config_too(write: Write) -> None:
    write("parts/data.py", "size = 3\n")
    write("parts/__init__.py", LAZY.format("from .data import *") + "lr = size * 2\n")

    star = Config.fromfile(write("top.py", LAZY.format("from .parts import *")))
    both = Config.fromfile(write("top.py", LAZY.format("from .parts import lr as rate, data")))
    dot = Config.fromfile(write("sub/top.py", LAZY.format("from ..parts import data as d")))
    here = Config.fromfile(write("parts/top.py", LAZY.format("from . import data")))

    assert star.to_dict() == {"size": 3, "lr": 6}
    assert both.to_dict() == {"rate": 6, "data": {"size": 3}}
    assert dot.to_dict() == {"d": {"size": 3}}
    assert here.to_dict() == {"data": {"size": 3}}


@pytest.mark.parametrize("names", ["*", "date"])
def test_unknown_config_in_a_folder_raises_with_the_way_out(write: Write, names: str) -> None:
    write("parts/data.py", "size = 3\n")
    path = write("top.py", LAZY.format(f"from .parts import {names}"))

    with pytest.raises(ConfigFileNotFoundError, match=r"top\.py:3.*\.parts\.x import.*: data"):
        Config.fromfile(path)


@pytest.mark.parametrize("inner", ["../outside.py", "{}/outside.py", "configs/../../outside.py"])
def test_base_of_a_package_cannot_leave_its_folder(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inner: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path / "lib")
    write("lib/conf_shop/__init__.py", "raise SystemError('imported')\n")
    write("lib/conf_shop/configs/in.py", "a = 1\n")
    write("lib/conf_shop/sub/__init__.py", "")
    write("lib/conf_shop/sub/deep.py", "a = 2\n")
    write("lib/outside.py", "a = 0\n")
    name = f"conf_shop::{inner.format(tmp_path / 'lib')}"

    with pytest.raises(ConfigReadError, match="leaves the folder of the package"):
        Config.fromfile(name)
    with pytest.raises(ConfigReadError, match=r"c\.py:1: .*leaves the folder"):
        Config.fromfile(write("c.py", f"_base_ = {name!r}\n"))
    assert Config.fromfile("conf_shop::in.py").a == 1
    # A dotted name would import the package to find its part.
    assert Config.fromfile("conf_shop.sub::deep.py", execute=False).a == 2


def test_tilde_is_the_home_folder(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write("base.py", "a = 1\n")
    write("c.py", "_base_ = '~/base.py'\nb = 2\n")

    cfg = Config.fromfile("~/c.py")
    cfg.dump("~/out/d.py")

    assert cfg.filename == str(tmp_path / "c.py")
    assert Config.fromfile(tmp_path / "out/d.py") == cfg
    assert Config.diff("~/c.py", Path("~/out/d.py")) == ""
    monkeypatch.setattr(sys, "argv", ["train.py", "~/c.py", "--b", "3"])
    parser, read = Config.auto_argparser()
    assert (read, parser.parse_args().b) == (cfg, 3)
    assert not Path("~").exists()
    with pytest.raises(ConfigError, match="there is no such config file"):
        Config.fromfile("~/none.py")
