"""Optional libraries."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine_utils import import_extra

INSTALL = "engine-fileio[s3]"


@pytest.fixture
def make_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Write the code of an importable module ``extra_library``."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "extra_library", raising=False)

    def make(code: str) -> None:
        (tmp_path / "extra_library.py").write_text(code)

    return make


def test_import_extra_returns_the_submodule() -> None:
    assert import_extra("os.path", install=INSTALL, purpose="S3Backend") is sys.modules["os.path"]


def test_missing_library_raises_with_purpose_library_and_command() -> None:
    message = r'S3Backend needs no_such_library \(.*\); run: pip install "engine-fileio\[s3\]"'
    with pytest.raises(ModuleNotFoundError, match=message) as raised:
        import_extra("no_such_library.part", install=INSTALL, purpose="S3Backend")

    assert raised.value.name == "no_such_library"
    assert isinstance(raised.value.__cause__, ModuleNotFoundError)


def test_library_without_its_own_dependency_raises_with_the_name_of_that(
    make_library: Callable[[str], None],
) -> None:
    make_library("import no_such_dependency\n")

    with pytest.raises(ModuleNotFoundError, match=r"needs extra_library .*no_such_dependency"):
        import_extra("extra_library", install=INSTALL, purpose="S3Backend")


def test_library_that_is_broken_is_not_reported_as_missing(
    make_library: Callable[[str], None],
) -> None:
    make_library("raise ImportError('libfoo.so: wrong version')\n")

    with pytest.raises(ImportError, match=r"needs extra_library .libfoo\.so: wrong") as raised:
        import_extra("extra_library", install=INSTALL, purpose="S3Backend")

    assert not isinstance(raised.value, ModuleNotFoundError)


def test_other_errors_of_a_library_pass(make_library: Callable[[str], None]) -> None:
    make_library("raise RuntimeError('no licence')\n")

    with pytest.raises(RuntimeError, match="no licence"):
        import_extra("extra_library", install=INSTALL, purpose="S3Backend")
