"""A name or module that the table lacks is an error that says where the table is."""

import importlib
import re

import pytest

import mmengine
from mmengine import _names
from mmengine._missing import LEFT_OUT
from mmengine._table import TABLE, sources


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("from mmengine.config import Confg", "did you mean 'Config'"),
        ("from mmengine.config import LazyObject", "'mmengine.config.lazy.LazyObject'?"),
        (
            "from mmengine.config import read_bse",
            "cannot import name 'read_bse' from 'mmengine.config'",
        ),
        ("from mmengine.hub import nothing_like_it", "; dir(mmengine.hub) lists them"),
    ],
    ids=["similar", "elsewhere", "what it was", "nothing near"],
)
def test_import_of_an_unknown_name_is_an_import_error(code: str, message: str) -> None:
    with pytest.raises(ImportError, match=re.escape(message)) as caught:
        exec(code)

    assert type(caught.value) is ImportError
    assert f"{TABLE}:" in str(caught.value)


def test_error_has_the_line_of_the_module_in_the_table() -> None:
    with pytest.raises(ImportError) as caught:
        exec("from mmengine.fileio.io import loadd")

    line = int(re.search(r"_names\.py:(\d+)", str(caught.value))[1])  # type: ignore[index]  # it has one
    with open(TABLE) as file:
        assert '"mmengine.fileio.io": (' in file.read().splitlines()[line - 1]
    assert caught.value.name == "mmengine.fileio.io"
    assert caught.value.path == TABLE


def test_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(
        AttributeError, match=r"has no attribute 'Confg': .*'Config' or 'ConfigDict'\?"
    ):
        getattr(mmengine.config, "Confg")  # noqa: B009  # a checker would find it
    assert not hasattr(mmengine, "Confg")
    assert getattr(mmengine, "Confg", None) is None


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("mmengine.runner.chekpoint", "did you mean 'mmengine.runner.checkpoint'"),
        ("mmengine.checkpoint", "did you mean 'mmengine.runner.checkpoint'?"),
        (
            "mmengine.runner.Runner",
            "it is a name, not a module: from mmengine.runner import Runner",
        ),
        ("mmengine.qqq", f"it is not one of the {len(_names.MODULES)} modules of engine-compat"),
    ],
    ids=["similar", "elsewhere", "a name", "nothing near"],
)
def test_import_of_an_unknown_module_is_an_error(module: str, message: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=re.escape(message)) as caught:
        importlib.import_module(module)

    assert str(caught.value).startswith(f"No module named {module!r}: ")
    assert caught.value.name == module


@pytest.mark.parametrize("name", LEFT_OUT)
def test_name_that_is_left_out_says_why(name: str) -> None:
    module = "mmengine._strategy" if name.endswith("Strategy") else "mmengine.device"

    with pytest.raises(ImportError, match=re.escape(f"leaves it out: {LEFT_OUT[name]}")):
        exec(f"from {module} import {name}")
    assert name not in sources(module)


def test_name_that_a_package_of_another_version_lacks_is_an_import_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(mmengine.utils.path, "fopen")
    monkeypatch.setitem(sources("mmengine.utils.path"), "fopen", "engine_utils:gone")

    with pytest.raises(ImportError, match="install engine-compat and engine-utils of one version"):
        exec("from mmengine.utils.path import fopen")


def test_optional_import_with_a_fallback_works() -> None:
    namespace: dict[str, object] = {}

    exec(
        "try:\n    from mmengine.dist import from_the_future\n"
        "except ImportError:\n    from_the_future = None",
        namespace,
    )

    assert namespace["from_the_future"] is None
