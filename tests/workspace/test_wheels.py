"""Each package builds a wheel, and a wheel brings its requirements and nothing else."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hatchling.build import build_sdist, build_wheel

if TYPE_CHECKING:
    from tests.workspace.conftest import Package

pytestmark = pytest.mark.slow


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a wheel and a source distribution of each package."""
    folder = tmp_path_factory.mktemp("wheels")
    with pytest.MonkeyPatch.context() as patch:
        for package in sorted((Path(__file__).parents[2] / "packages").glob("engine-*")):
            patch.chdir(package)  # a build backend builds the working directory
            build_wheel(str(folder))
            build_sdist(str(folder))
    return folder


def test_wheel_holds_the_package_its_types_and_its_license(
    wheels: Path, packages: "tuple[Package, ...]"
) -> None:
    for package in packages:
        distribution = package.name.replace("-", "_")
        (wheel,) = wheels.glob(f"{distribution}-0.1.0-py3-none-any.whl")
        names = set(zipfile.ZipFile(wheel).namelist())
        modules = {
            file.relative_to(package.source.parent).as_posix()
            for file in package.source.rglob("*.py")
        }

        assert modules <= names
        assert f"{package.module}/py.typed" in names
        assert any(name.endswith("licenses/LICENSE") for name in names)
        strangers = {name.split("/")[0] for name in names} - {package.module}
        if package.short == "compat":  # its files that meet requirements of `mmengine`
            strangers -= {f"{distribution}-0.1.0.data"}
        assert strangers == {f"{distribution}-0.1.0.dist-info"}


def test_config_alone_brings_four_distributions(wheels: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "--without-pip", str(tmp_path))
    python = str(tmp_path / "bin/python")
    pip = [sys.executable, "-m", "pip", "--python", python]  # a pip of its own takes seconds

    run(*pip, "install", "--quiet", "--find-links", str(wheels), "engine-config")

    installed = json.loads(run(*pip, "list", "--format", "json"))
    names = {entry["name"].lower().replace("_", "-") for entry in installed}
    assert names == {
        "addict",
        "engine-config",
        "engine-fileio",
        "engine-utils",
        "pyyaml",
    }
    run(python, "-c", "import engine_config")


def test_built_files_are_fit_for_an_index(wheels: Path, packages: "tuple[Package, ...]") -> None:
    files = [str(file) for file in wheels.iterdir()]

    text = run(sys.executable, "-m", "twine", "check", "--strict", *files)

    assert len(files) == 2 * len(packages)
    assert text.count("PASSED") == len(files)


def test_one_package_of_a_checkout_installs_with_the_command_of_the_readme(
    root: Path, tmp_path: Path
) -> None:
    command = "pip install ./packages/engine-{utils,fileio,config}"
    assert command in (root / "README.md").read_text()
    # A folder in place of an environment, and the build tools of this one: an environment per build
    # takes half a minute.
    into = f"--quiet --no-build-isolation --target {tmp_path}"

    arguments = command.removeprefix("pip ")
    run("bash", "-c", f"cd {root} && {sys.executable} -m pip {arguments} {into}")

    names = {path.name for path in tmp_path.glob("engine_*") if path.suffix != ".dist-info"}
    assert names == {"engine_utils", "engine_fileio", "engine_config"}
    code = "from engine_config import Config; assert Config(dict(a=1)).a == 1"
    run("env", f"PYTHONPATH={tmp_path}", sys.executable, "-S", "-c", code)
