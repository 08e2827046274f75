"""Modules by name, installed packages, and what a function needs."""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import engine_utils
from engine_utils import (
    call_command,
    check_prerequisites,
    get_installed_path,
    has_method,
    import_modules_from_strings,
    install_package,
    is_installed,
    is_method_overridden,
    requires_executable,
    requires_package,
)


def test_import_returns_a_module_for_a_name_and_a_list_for_a_list() -> None:
    assert import_modules_from_strings("os.path") is os.path
    assert import_modules_from_strings(["os.path", "sys"]) == [os.path, sys]


@pytest.mark.parametrize("nothing", [None, "", []])
def test_import_of_nothing_is_none(nothing: Any) -> None:
    assert import_modules_from_strings(nothing) is None


def test_import_that_fails_names_the_module_and_the_cause() -> None:
    with pytest.raises(ImportError, match="failed to import no_such_module: No module") as raised:
        import_modules_from_strings(["sys", "no_such_module"])
    assert isinstance(raised.value.__cause__, ModuleNotFoundError)


def test_import_with_allow_failed_imports_warns_and_returns_none() -> None:
    with pytest.warns(UserWarning, match="failed to import no_such_module, which is skipped"):
        found = import_modules_from_strings(["sys", "no_such_module"], allow_failed_imports=True)
    assert found == [sys, None]


def test_import_of_a_broken_module_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "module_with_a_bug.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ZeroDivisionError):
        import_modules_from_strings("module_with_a_bug", allow_failed_imports=True)


@pytest.mark.parametrize("wrong", [3, ["sys", 3], {"sys": 1}])
def test_import_of_a_wrong_name_raises(wrong: Any) -> None:
    with pytest.raises(TypeError, match="must be a string"):
        import_modules_from_strings(wrong)


@pytest.mark.parametrize(
    ("name", "installed"),
    [
        ("pytest", True),
        ("engine_utils", True),
        ("engine-utils", True),
        ("os", True),
        ("no_such_package", False),
        ("no_such_package.part", False),
        ("not a name", False),
        ("", False),
    ],
)
def test_is_installed_takes_import_names_and_distributions(name: str, installed: bool) -> None:
    assert is_installed(name) is installed


def test_is_installed_ignores_a_plain_folder(tmp_path: Path) -> None:
    (tmp_path / "only_a_folder").mkdir()
    os.chdir(tmp_path)
    sys.path.insert(0, "")
    assert not is_installed("only_a_folder")


@pytest.mark.parametrize("name", ["engine_utils", "engine-utils"])
def test_get_installed_path_is_the_folder_of_the_package(name: str) -> None:
    assert get_installed_path(name) == os.path.dirname(engine_utils.__file__)


def test_get_installed_path_of_one_file_is_its_folder() -> None:
    assert get_installed_path("this") == os.path.dirname(os.__file__)


def test_get_installed_path_of_a_missing_package_raises() -> None:
    with pytest.raises(importlib.metadata.PackageNotFoundError, match="no_such_package"):
        get_installed_path("no_such_package")


def test_call_command_runs_without_a_shell(tmp_path: Path) -> None:
    path = tmp_path / "a b; c"
    call_command([sys.executable, "-c", "import sys; open(sys.argv[1], 'w')", str(path)])
    assert path.exists()


def test_call_command_that_fails_raises() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        call_command([sys.executable, "-c", "raise SystemExit(3)"])


def test_install_package_skips_installed_packages() -> None:
    before = importlib.metadata.version("pytest")
    install_package("pytest")
    assert importlib.metadata.version("pytest") == before


def test_requires_package_checks_at_the_call() -> None:
    @requires_package(["pytest", "no_such_package", "no_such_other"])
    def draw(size: int) -> int:
        """Draw."""
        return size

    assert (draw.__name__, draw.__doc__) == ("draw", "Draw.")
    message = 'Prerequisites "no_such_package, no_such_other" are required in method "draw"'
    with pytest.raises(RuntimeError, match=message):
        draw(1)


def test_requires_package_calls_the_function() -> None:
    @requires_package("pytest")
    def draw(size: int) -> int:
        return size

    assert draw(size=2) == 2


def test_requires_executable_looks_on_the_path() -> None:
    name = Path(sys.executable).name

    @requires_executable(name)
    def run() -> str:
        return "ran"

    os.environ["PATH"] = str(Path(sys.executable).parent)
    assert run() == "ran"
    os.environ["PATH"] = ""
    with pytest.raises(RuntimeError, match=re.escape(name)):
        run()


def test_check_prerequisites_takes_a_checker_and_a_message() -> None:
    @check_prerequisites(["a", "b"], lambda name: name == "a", "{} for {}?")
    def run() -> None: ...

    with pytest.raises(RuntimeError, match=r"b for run\?"):
        run()


class Base:
    def first(self) -> None: ...

    def second(self) -> None: ...

    @classmethod
    def third(cls) -> None: ...

    @classmethod
    def fourth(cls) -> None: ...


class Derived(Base):
    def second(self) -> None: ...

    @classmethod
    def fourth(cls) -> None: ...


def test_has_method_checks_that_the_attribute_is_callable() -> None:
    assert has_method(Derived(), "first")
    assert not has_method(Derived(), "fifth")
    assert not has_method("text", "__doc__")


@pytest.mark.parametrize("derived", [Derived, Derived()], ids=["class", "instance"])
def test_is_method_overridden(derived: object) -> None:
    assert is_method_overridden("second", Base, derived)
    assert not is_method_overridden("first", Base, derived)
    assert is_method_overridden("fourth", Base, derived)
    assert not is_method_overridden("third", Base, derived)


def test_is_method_overridden_without_a_class_raises() -> None:
    with pytest.raises(TypeError, match="base_class must be a class, got an instance of Base"):
        is_method_overridden("first", Base(), Derived)  # type: ignore[arg-type]  # under test
