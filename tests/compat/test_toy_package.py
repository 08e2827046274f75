"""The toy library installs as packages do, and engine-compat meets its pin on mmengine."""

import re
from importlib.metadata import PathDistribution
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.compat.conftest import Toy

pytestmark = pytest.mark.slow


def test_pip_takes_the_pin_on_mmengine_for_met(toy: "Toy") -> None:
    toy.output("install")
    [metadata] = toy.site.glob("mmtoy-*.dist-info")
    assert "mmengine<1,>=0.7" in (PathDistribution(metadata).requires or [])

    resolved = toy.output("resolve")

    assert re.search(r"^Requirement already satisfied: mmengine<1,>=0\.7 in ", resolved, re.M)
    assert "\nWould install mmtoy-1.2.0\n" in resolved


def test_library_ships_configs_and_the_index_of_its_models(toy: "Toy") -> None:
    toy.output("install")

    shipped = toy.site / "mmtoy" / ".mim"
    assert (shipped / "model-index.yml").is_file()
    assert (shipped / "configs" / "toynet" / "toynet_4e_shapes.py").is_file()
