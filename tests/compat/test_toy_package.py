"""The toy library installs as packages do, and its pin on mmengine is seen."""

from importlib.metadata import Distribution, PathDistribution
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.compat.conftest import Toy

pytestmark = pytest.mark.slow


@pytest.fixture
def installed(toy: "Toy") -> Distribution:
    """Return what pip wrote of the library."""
    toy.output("install")
    [folder] = toy.site.glob("mmtoy-*.dist-info")
    return PathDistribution(folder)


def test_library_pins_mmengine(installed: Distribution) -> None:
    assert installed.requires is not None
    assert "mmengine<1,>=0.7" in installed.requires
    assert "INSTALLER" in {file.name for file in installed.files or ()}


def test_library_ships_configs_and_the_index_of_its_models(toy: "Toy") -> None:
    toy.output("install")

    shipped = toy.site / "mmtoy" / ".mim"
    assert (shipped / "model-index.yml").is_file()
    assert (shipped / "configs" / "toynet" / "toynet_4e_shapes.py").is_file()
