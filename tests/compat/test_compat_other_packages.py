"""Another `mmengine` on the path is warned of, in both orders of the path."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2] / "packages/engine-compat/src"
SHOW = "import mmengine; print(mmengine.__version__)"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Return a folder with another package of that name, as an installer leaves it."""
    (tmp_path / "mmengine").mkdir()
    (tmp_path / "mmengine/__init__.py").write_text('__version__ = "0.10.4"\n')
    (tmp_path / "mmengine-0.10.4.dist-info").mkdir()
    (tmp_path / "mmengine-0.10.4.dist-info/INSTALLER").write_text("pip\n")
    return tmp_path


def run(*path: Path, code: str = SHOW, options: tuple[str, ...] = ()) -> "Ended":
    places = [str(HERE.parents[1] / name / "src") for name in ("engine-utils", "engine-compat")]
    before = os.pathsep.join([*map(str, path), *places])
    command = [sys.executable, "-S", "-W", "always", *options, "-c", code]  # without site-packages
    environment = os.environ | {"PYTHONPATH": before}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


Ended = subprocess.CompletedProcess[str]


def test_alone_there_is_no_warning() -> None:
    done = run()

    assert (done.returncode, done.stdout, done.stderr) == (0, "0.10.7\n", "")


def test_other_package_later_on_the_path_is_not_used_and_named(other: Path) -> None:
    done = run(HERE, other)

    warnings = [line for line in done.stderr.splitlines() if "UserWarning" in line]
    assert done.stdout == "0.10.7\n"
    assert len(warnings) == 2
    assert f"{other / 'mmengine'} is not used, but engine-compat in {HERE}" in warnings[0]
    assert f"mmengine 0.10.4 in {other} is not used" in warnings[1]
    assert all(line.startswith("<string>:1: ") for line in warnings)  # the line of the import


def test_other_package_earlier_on_the_path_is_used(other: Path) -> None:
    done = run(other, HERE)

    assert (done.stdout, done.stderr) == ("0.10.4\n", "")


@pytest.mark.parametrize("name", ["mmengine_lite-0.10.4.dist-info", "mmengine-0.7.0.egg-info"])
def test_distribution_with_its_files_in_the_same_folder_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()

    done = run(HERE, tmp_path)

    assert f"{name.rpartition('.')[0].replace('-', ' ')} in {tmp_path}" in done.stderr
    assert (
        "pip uninstall engine-compat mmengine mmengine-lite; pip install engine-compat"
        in done.stderr
    )


@pytest.mark.parametrize(
    "name", ["mmengine-0.10.7+engine.dist-info", "mmengine_extras-1.0.dist-info", "mmengine"]
)
def test_what_is_no_other_package_is_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()  # the requirement that is met; another package; a data folder
    if "+engine" in name:
        (tmp_path / name / "INSTALLER").write_text("engine-compat\n")

    done = run(HERE, tmp_path, tmp_path / "nowhere", tmp_path / "an_archive.zip")

    assert done.stderr == ""


def test_copy_of_this_package_in_a_checkout_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "mmengine").symlink_to(HERE / "mmengine")
    (tmp_path / "copy/mmengine").mkdir(parents=True)
    for file in (HERE / "mmengine").glob("*.py"):
        (tmp_path / "copy/mmengine" / file.name).write_text(file.read_text())

    assert run(HERE, tmp_path, tmp_path / "copy").stderr == ""


def test_modules_of_another_package_in_the_same_folder_are_not_found(tmp_path: Path) -> None:
    package = tmp_path / "mmengine"
    package.mkdir()
    for file in (HERE / "mmengine").glob("*.py"):
        (package / file.name).write_text(file.read_text())
    (package / "fileio").mkdir()
    (package / "fileio/__init__.py").write_text("raise SystemExit('the other one')\n")
    (package / "fileio/leftover.py").write_text("raise SystemExit('the other one')\n")
    (package / "leftover.py").write_text("raise SystemExit('the other one')\n")

    done = run(
        tmp_path,
        code="import mmengine.fileio, importlib.util as util\n"
        "print(mmengine.fileio.__file__, util.find_spec('mmengine.leftover'),"
        "util.find_spec('mmengine.fileio.leftover'))\n"
        "import mmengine.fileio.leftover",
    )

    assert done.stdout == f"{package}/fileio/__init__.pyi None None\n"
    assert "No module named 'mmengine.fileio.leftover': it is not one of" in done.stderr
