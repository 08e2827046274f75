"""Lazy configs: bases by import, and types that are imported when they are used."""

import copy
import pickle
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest

from engine_config import (
    Config,
    ConfigError,
    ConfigFileNotFoundError,
    ConfigImportError,
    ConfigKeyError,
    ConfigParseError,
    LazyObject,
    read_base,
)

Write = Callable[[str, str], Path]

HEAVY = """\
import sys

class Net:
    class Inner: ...

def make(): ...
"""


@pytest.fixture
def heavy(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a module on the path that must not be imported before it is used."""
    write("engine_config_heavy/__init__.py", "")
    write("engine_config_heavy/nets.py", HEAVY)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.startswith("engine_config_heavy")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def lazy(heavy: None, write: Write) -> Path:
    write(
        "_base_/model.py",
        "from engine_config_heavy.nets import Net\nmodel = dict(type=Net,\n    depth=50)\nlr = 1\n",
    )
    return write(
        "top.py",
        "from engine_config import read_base\n"
        "\n"
        "with read_base():\n"
        "    from ._base_.model import *\n"
        "    from ._base_.model import lr as base_lr\n"
        "\n"
        "import os.path as path\n"
        "import engine_config_heavy.nets as nets\n"
        "import engine_config_heavy.nets\n"
        "\n"
        "model.update(inner=nets.Net.Inner, layers=[nets.make, 1])\n"
        "model['depth'] = len(path.join('a', 'b'))\n"
        "other = dict(type=engine_config_heavy.nets.Net)\n",
    )


def imported() -> bool:
    return "engine_config_heavy" in sys.modules


def test_lazy_config_updates_nested_dicts_that_it_inherits(write: Write) -> None:
    write("base.py", "model = dict(head=dict(type='Head', depth=50),\n    lr=1)\n")
    top = write(
        "child.py",
        "from engine_config import read_base\n"
        "with read_base():\n"
        "    from .base import *\n"
        "model.update(dict(head=dict(\n"
        "    depth=18)))\n",
    )

    cfg = Config.fromfile(top)

    assert cfg.model == {"head": {"type": "Head", "depth": 18}, "lr": 1}
    assert [
        str(cfg.origin(f"model.head.{key}")).rpartition("/")[2] for key in ("type", "depth")
    ] == [
        "base.py:1",
        "child.py:5",
    ]


def test_lazy_config_imports_nothing_while_reading(lazy: Path) -> None:
    cfg = Config.fromfile(lazy)
    text, copied = cfg.pretty_text, pickle.loads(pickle.dumps(copy.deepcopy(cfg)))
    assert copied == cfg
    assert cfg.to_dict() == copied.to_dict()
    assert cfg.origins() == copied.origins()
    assert "engine_config_heavy" in text
    assert repr(cfg).startswith("Config (path:")
    cfg.merge_from_dict({"model.depth": 9})
    assert list(cfg) == ["model", "lr", "base_lr", "other"]


def test_reading_and_dumping_leaves_modules_unimported(lazy: Path, tmp_path: Path) -> None:
    cfg = Config.fromfile(lazy)
    for suffix in ("py", "json", "yaml"):
        cfg.dump(tmp_path / f"dump.{suffix}")
    assert Config.fromfile(tmp_path / "dump.py") == cfg
    assert Config.fromfile(tmp_path / "dump.json").other.type == "engine_config_heavy.nets.Net"
    assert not imported()


def test_lazy_value_is_imported_when_it_is_read(lazy: Path) -> None:
    cfg = Config.fromfile(lazy)
    assert cfg.model.type.__name__ == "Net"
    assert imported()
    assert cfg.model["inner"].__qualname__ == "Net.Inner"
    assert cfg.model.layers[0].__name__ == "make"
    assert cfg.model.depth == 3


@pytest.mark.parametrize(
    "read",
    [
        lambda cfg: cfg.other["type"],
        lambda cfg: cfg.other.type,
        lambda cfg: cfg.other.get("type"),
        lambda cfg: dict(cfg.other)["type"],
        lambda cfg: {**cfg.other}["type"],
        lambda cfg: (lambda **k: k["type"])(**cfg.other),
        lambda cfg: cfg.other.pop("type"),
        lambda cfg: cfg.other.copy().pop("type"),
        lambda cfg: next(iter(cfg.other.values())),
        lambda cfg: dict(cfg.other.items())["type"],
        lambda cfg: cfg.other.popitem()[1],
        lambda cfg: cfg.other.setdefault("type"),
    ],
)
def test_lazy_value_is_imported_by_every_read(lazy: Path, read: Callable[[Config], object]) -> None:
    value = read(Config.fromfile(lazy))
    assert isinstance(value, type)
    assert value.__name__ == "Net"


def test_config_stays_equal_and_printable_after_use(lazy: Path) -> None:
    cfg, unused = Config.fromfile(lazy), Config.fromfile(lazy)
    assert cfg.model.layers[0] is cfg.model.layers[0]
    assert cfg == unused
    assert Config.fromstring(cfg.pretty_text, ".py") == unused


def test_editing_a_base_name_does_not_change_other_configs(lazy: Path) -> None:
    Config.fromfile(lazy).model.depth = 7
    assert Config.fromfile(lazy.parent / "_base_/model.py").model.depth == 50
    assert Config.fromfile(lazy).origin("model.type").line == 2


def test_two_bases_may_share_a_third(write: Write, lazy: Path) -> None:
    base = (
        "from engine_config import read_base\nwith read_base():\n    from ._base_.model import *\n"
    )
    write("one.py", base + "one = 1\n")
    write("two.py", base + "two = 2\n")
    top = "with read_base():\n    from .one import *\n    from .two import *\n"
    assert list(Config.fromfile(write("both.py", top))) == ["model", "lr", "one", "two"]
    write("two.py", base + "lr = 2\n")
    with pytest.raises(ConfigKeyError, match=r"two\.py:4: lr: two bases set this key"):
        Config.fromfile(lazy.parent / "both.py")


def test_bases_of_a_package_are_found(write: Write, heavy: None) -> None:
    write("engine_config_heavy/configs/_base_/a.py", "a = 1\n")
    write("engine_config_heavy/b.py", "b = 2\n")
    top = "with read_base():\n    from engine_config_heavy._base_.a import a as x\n"
    top += "    from engine_config_heavy.b import *\n"
    assert Config.fromfile(write("top.py", top)).to_dict() == {"x": 1, "b": 2}
    assert not imported()


def test_module_of_a_package_comes_before_a_config_that_it_ships(write: Write, heavy: None) -> None:
    write("engine_config_heavy/configs/a.py", "a = 1\n")
    write("engine_config_heavy/.mim/configs/a.py", "_base_ = 'b.py'\n")
    top = "with read_base():\n    from engine_config_heavy.configs.a import *\n"
    assert Config.fromfile(write("top.py", top)).to_dict() == {"a": 1}


@pytest.mark.parametrize(
    ("lazy_import", "kind"), [(None, "LazyObject"), (True, "LazyObject"), (False, "type")]
)
def test_kind_is_decided_by_the_file_or_the_argument(
    heavy: None, write: Write, lazy_import: bool | None, kind: str
) -> None:
    path = write("c.py", "from engine_config_heavy.nets import Net\na = dict(t=Net)\n")
    raw = Config.fromfile(path, lazy_import=lazy_import)._cfg_dict.to_dict()["a"]["t"]
    assert type(raw).__name__ == kind


def test_plain_config_with_base_runs_its_imports(heavy: None, write: Write) -> None:
    write("b.py", "b = 1\n")
    text = "_base_ = 'b.py'\nfrom engine_config_heavy.nets import Net\na = dict(t=Net)\n"
    assert isinstance(Config.fromfile(write("c.py", text)).to_dict()["a"]["t"], type)
    assert imported()


@pytest.mark.parametrize(
    "use",
    [
        "a = nets.Net()",
        "a = [str(x) for x in vars(nets)]",
        "a = len(nets.__name__)",
        "a = f'{nets}'",
        "a = nets.__name__ + 'x'",
        "a = 1 if nets.Net else 2",
        "from engine_config_heavy.nets import *\na = 1",
    ],
)
def test_config_that_calls_its_imports_is_plain(heavy: None, write: Write, use: str) -> None:
    Config.fromfile(write("c.py", f"import engine_config_heavy.nets as nets\n{use}\n"))
    assert imported()


def test_base_of_a_plain_config_runs_its_imports(heavy: None, write: Write) -> None:
    write("b.py", "from engine_config_heavy.nets import Net\nb = dict(t=Net)\n")
    assert isinstance(Config.fromfile(write("c.py", "_base_ = 'b.py'\n")).to_dict()["b"]["t"], type)


def test_lazy_config_imports_the_standard_library_immediately(write: Write) -> None:
    text = "import math\nfrom engine_no_such import X\na = dict(t=X, v=math.floor(2.5))\n"
    assert Config.fromfile(write("c.py", text)).a._marks_.keys() == {"t", "v"}


def test_mixed_chains_name_both_files(lazy: Path, write: Write) -> None:
    plain = write("plain.py", "_base_ = 'top.py'\n")
    with pytest.raises(
        ConfigParseError, match=r"plain\.py:1: .*plain config.*top\.py is a lazy one"
    ):
        Config.fromfile(plain)
    write("base.py", "_base_ = '_base_/empty.py'\n")
    write("_base_/empty.py", "a = 1\n")
    other = write("lazy.py", "with read_base():\n    from .base import *\n")
    with pytest.raises(
        ConfigParseError, match=r"lazy\.py:2: .*lazy config.*base\.py is a plain one"
    ):
        Config.fromfile(other)


def test_base_without_imports_works_for_both_kinds(write: Write) -> None:
    write("base.py", "a = dict(b=1)\n")
    first = Config.fromfile(write("plain.py", "_base_ = 'base.py'\n"))
    second = Config.fromfile(write("lazy.py", "with read_base():\n    from .base import *\n"))
    assert first == second


READ_B = "with read_base():\n    from .b import *\n"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("with read_base():\n    from .none import *\n", ConfigFileNotFoundError, r"none\.py"),
        ("with read_base():\n    import a\n", ConfigParseError, r"c\.py:2: .*only `from"),
        ("with read_base():\n    from .b import no\n", ConfigKeyError, r"c\.py:2: .*has no 'no'"),
        (
            "with read_base():\n    from no_such_pkg.b import *\n",
            ConfigFileNotFoundError,
            r"c\.py:2: ",
        ),
        (
            "_base_ = 'b.py'\nwith read_base():\n    from .b import *\n",
            ConfigParseError,
            "choose one",
        ),
        (f"{READ_B}from torch import *\n", ConfigParseError, r"c\.py:3: .*star imports"),
        ("from . import x\n", ConfigParseError, r"c\.py:1: .*relative"),
        (
            f"{READ_B}from torch import nn\na = nn.ReLU()\n",
            ConfigError,
            r"c\.py:3: .*lazy_import=False",
        ),
    ],
)
def test_wrong_lazy_config_raises_with_its_line(
    write: Write, text: str, error: type[Exception], message: str
) -> None:
    write("b.py", "b = 1\n")
    with pytest.raises(error, match=message):
        Config.fromfile(write("c.py", text))


def test_missing_import_names_the_config_line(write: Write) -> None:
    cfg = Config.fromfile(write("c.py", "\nfrom engine_no_such.x import Y\na = dict(type=Y)\n"))
    with pytest.raises(ImportError, match=r"c\.py:2: cannot import engine_no_such\.x\.Y") as caught:
        _ = cfg.a.type
    assert isinstance(caught.value, ConfigImportError)


def test_import_that_raises_anything_names_the_config_line(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("engine_config_broken.py", "1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    cfg = Config.fromfile(write("c.py", "from engine_config_broken import Y\na = dict(type=Y)\n"))
    with pytest.raises(
        ConfigImportError, match=r"c\.py:1: .*broken\.Y: ZeroDivisionError"
    ) as caught:
        _ = cfg.a.type
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert [problem.kind for problem in cfg.check(lambda kind, path: None)] == ["unknown type"]


def test_missing_name_in_a_module_suggests_another() -> None:
    cfg = Config.fromstring("from yaml import SafeLoder\na = dict(type=SafeLoder)", ".py")
    with pytest.raises(ImportError, match="module yaml has no 'SafeLoder'; did you mean 'SafeLoad"):
        _ = cfg.a.type


def test_lazy_object_equals_what_it_names() -> None:
    lazy = LazyObject("collections", "OrderedDict")
    assert lazy == OrderedDict  # its own equality is tested
    assert lazy != dict  # noqa: E721
    assert lazy != "collections.OrderedDict"
    assert len({lazy, LazyObject("collections", "OrderedDict")}) == 1
    assert LazyObject("os").path.join.resolve()("a", "b") == "a/b"


def test_read_base_runs_as_plain_python() -> None:
    with read_base():
        from collections import Counter
    assert Counter("aa")["a"] == 2


def test_base_that_is_a_lazy_config_runs_in_a_fresh_process(lazy: Path) -> None:
    code = (
        "import sys; from engine_config import Config\n"
        f"cfg = Config.fromfile({str(lazy)!r}); cfg.pretty_text\n"
        "assert 'engine_config_heavy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
