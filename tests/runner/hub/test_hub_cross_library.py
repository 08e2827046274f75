"""A config uses parts of other libraries: by prefix, and by ``_scope_``."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

import engine_config
import engine_fileio
import engine_logging
import engine_optim
import engine_registry
import engine_runner
from engine_config import Config
from engine_dataset import Compose
from engine_model import BaseModel
from engine_registry import MODELS, TRANSFORMS, DefaultScope
from engine_runner import Runner

if TYPE_CHECKING:
    from tests.runner.hub.conftest import Install


@pytest.fixture
def own_model() -> None:
    """Register a model that builds its backbone by name."""

    @MODELS.register_module()
    class Detector(BaseModel):
        def __init__(self, backbone: dict[str, object]) -> None:
            super().__init__()
            self.backbone = MODELS.build(backbone)

        def forward(self, inputs: torch.Tensor, mode: str = "tensor") -> object:
            return self.backbone(inputs)


def _runner(tmp_path: Path, text: str) -> Runner:
    (tmp_path / "cfg.py").write_text(f"work_dir = {str(tmp_path / 'work')!r}\n{text}")
    return Runner.from_cfg(Config.fromfile(tmp_path / "cfg.py"))


@pytest.mark.usefixtures("own_model")
def test_prefix_builds_the_module_of_another_library(install: "Install", tmp_path: Path) -> None:
    install("otherlib")

    runner = _runner(
        tmp_path,
        "custom_imports = dict(imports=['otherlib.models'], allow_failed_imports=False)\n"
        "model = dict(type='Detector', backbone=dict(type='otherlib.ToyNet', width=3))\n",
    )

    assert type(runner.model.backbone).__module__ == "otherlib.models"
    assert runner.model(torch.zeros(2, 3)).shape == (2, 1)


@pytest.mark.usefixtures("own_model")
def test_scope_key_equals_prefixes(install: "Install", tmp_path: Path) -> None:
    install("otherlib")
    imports = "custom_imports = dict(imports=['otherlib.models'], allow_failed_imports=False)\n"
    sizes = "in_features=3, out_features=4"

    prefixed = _runner(
        tmp_path,
        f"{imports}model = dict(type='otherlib.ToyNet', width=3,\n"
        f"neck=dict(type='otherlib.Neck', {sizes}))\n",
    )
    scoped = _runner(
        tmp_path,
        f"{imports}model = dict(_scope_='otherlib', type='ToyNet', width=3,\n"
        f"neck=dict(type='Neck', {sizes}))\n",
    )

    assert str(scoped.model) == str(prefixed.model)
    assert type(scoped.model.neck).__module__ == "otherlib.models"


def test_prefixed_transforms_stand_beside_own_ones(install: "Install") -> None:
    install("otherlib")

    @TRANSFORMS.register_module()
    class Increase:
        def __call__(self, sample: dict[str, int]) -> dict[str, int]:
            return {"x": sample["x"] + 1}

    Config.fromstring(
        "custom_imports = dict(imports=['otherlib.models'], allow_failed_imports=False)", ".py"
    )
    double = {"type": "otherlib.Double"}
    pipeline = Compose([double, {"type": "Increase"}, double])

    assert pipeline({"x": 1}) == {"x": 6}


def test_missing_library_of_custom_imports_raises() -> None:
    with pytest.raises(ImportError, match=r"nolib\.models"):
        Config.fromstring(
            "custom_imports = dict(imports=['nolib.models'], allow_failed_imports=False)", ".py"
        )


def test_scope_of_another_library_ends_with_its_build(install: "Install") -> None:
    install("otherlib")
    before = DefaultScope.get_current_instance()

    MODELS.build({"type": "ToyNet", "_scope_": "otherlib"})

    assert DefaultScope.get_current_instance() is before


def test_names_of_the_tutorials_come_from_the_packages_that_own_them() -> None:
    owners = {
        engine_registry: ("MODELS", "Registry"),
        engine_config: ("Config",),
        engine_runner: ("Hook", "Runner", "__version__", "load_checkpoint", "save_checkpoint"),
        engine_logging: ("MessageHub",),
        engine_optim: ("OptimWrapper",),
        engine_fileio: (
            "BaseFileHandler",
            "dict_from_file",
            "dump",
            "list_from_file",
            "load",
            "register_handler",
        ),
    }

    assert [n for owner, names in owners.items() for n in names if not hasattr(owner, n)] == []
