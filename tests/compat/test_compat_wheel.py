"""The wheel of engine-compat meets the requirement `mmengine` of other packages."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_wheel

from mmengine._finder import stub_of
from mmengine._names import MODULES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "packages/engine-compat"
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "{version}"
dependencies = [{needs}]

[tool.hatch.build.targets.wheel]
packages = ["{name}"]
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with our wheel, one of a library with a pin, and one of another mmengine."""
    folder = tmp_path_factory.mktemp("wheels")
    projects = [PACKAGE]
    for name, version, needs in (
        ("toylib", "1.0", '"mmengine>=0.7,<1"'),
        ("mmengine", "0.10.4", ""),
    ):
        project = tmp_path_factory.mktemp(name)
        text = PROJECT.format(name=name, version=version, needs=needs)
        (project / "pyproject.toml").write_text(text)
        (project / name).mkdir()
        (project / name / "__init__.py").write_text(f"import mmengine\n__version__ = {version!r}\n")
        projects.append(project)
    with pytest.MonkeyPatch.context() as patch:
        for project in projects:
            patch.chdir(project)  # a build backend builds the working directory
            build_wheel(str(folder))
    return folder


class Environment:
    """A virtual environment without pip, which a pip outside it works on."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self._python = str(folder / "bin/python")
        self._wheels = str(wheels)
        self.site = next(folder.glob("lib/python3*/site-packages"))

    def pip(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        pip = [sys.executable, "-m", "pip", "--python", self._python]
        if arguments[0] == "install":
            arguments = (*arguments, "--no-index", "--find-links", self._wheels)
        return subprocess.run([*pip, *arguments], capture_output=True, text=True, timeout=300)

    def output(self, code: str) -> str:
        """Return what code prints, with engine-utils on the path."""
        places = os.environ | {"PYTHONPATH": str(ROOT / "packages/engine-utils/src")}
        command = [self._python, "-W", "error", "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=places)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Environment:
    """Return an environment in which engine-compat alone is installed."""
    folder = tmp_path_factory.mktemp("environment")
    command = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(command, check=True, timeout=300)
    made = Environment(folder, wheels)
    done = made.pip("install", "--no-deps", "engine-compat")
    assert done.returncode == 0, done.stderr
    return made


def test_wheel_has_the_stubs_and_the_metadata_of_its_version(wheels: Path) -> None:
    version = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]["version"]
    (wheel,) = wheels.glob("engine_compat-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    source = PACKAGE / "src"

    metadata = f"engine_compat-{version}.data/purelib/mmengine-0.10.7+engine.dist-info"
    assert {f"{metadata}/METADATA", f"{metadata}/INSTALLER", f"{metadata}/WHEEL"} <= names
    assert {Path(stub_of(name)).relative_to(source).as_posix() for name in MODULES} <= names
    assert {"mmengine/py.typed", "mmengine/_only_here.py"} <= names


def test_installed_alone_it_forwards_and_has_a_version(environment: Environment) -> None:
    code = (
        "import importlib.metadata as metadata, mmengine\n"
        "print(mmengine.utils.digit_version('1.0')[:2], metadata.version('mmengine'))"
    )

    assert environment.output(code) == "(1, 0) 0.10.7+engine"


def test_pin_of_a_library_is_met_and_no_other_package_comes(
    environment: Environment, wheels: Path
) -> None:
    installed = environment.pip("install", "-U", "toylib")
    forced = environment.pip("install", "mmengine==0.10.4")

    assert installed.returncode == 0, installed.stderr
    assert "Requirement already satisfied: mmengine<1,>=0.7" in installed.stdout
    assert forced.returncode != 0
    assert "installed by engine-compat" in forced.stderr
    assert environment.output("import toylib; print(toylib.mmengine.__version__)") == "0.10.7"

    # One command for both brings the other, too. pip finds either first as mmengine, depending on
    # the file system, and removes ours with engine-compat alone.
    (other,) = wheels.glob("mmengine-*.whl")
    zipfile.ZipFile(other).extractall(environment.site)
    environment.pip("uninstall", "--yes", "engine-compat", "mmengine")
    assert sorted(file.name for file in environment.site.glob("*mmengine*")) == []
