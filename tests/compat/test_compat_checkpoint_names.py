"""The names of ``mmengine.runner.checkpoint``, as libraries call them."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mmengine.runner import checkpoint as names
from mmengine.runner.checkpoint import (
    CheckpointLoader,
    _load_checkpoint,
    _load_checkpoint_to_model,
    _load_checkpoint_with_prefix,
    find_latest_checkpoint,
    get_state_dict,
    load_checkpoint,
    load_state_dict,
    save_checkpoint,
    weights_to_cpu,
)

DOCUMENTED = {
    "_load_checkpoint": ["filename", "map_location", "logger"],
    "_load_checkpoint_to_model": ["model", "checkpoint", "strict", "logger", "revise_keys"],
    "_load_checkpoint_with_prefix": ["prefix", "filename", "map_location"],
    "find_latest_checkpoint": ["path"],
    "get_deprecated_model_names": [],
    "get_external_models": [],
    "get_mmcls_models": [],
    "get_state_dict": ["module", "destination", "prefix", "keep_vars"],
    "get_torchvision_models": [],
    "load_checkpoint": ["model", "filename", "map_location", "strict", "logger", "revise_keys"],
    "load_state_dict": ["module", "state_dict", "strict", "logger"],
    "save_checkpoint": ["checkpoint", "filename", "file_client_args", "backend_args"],
    "weights_to_cpu": ["state_dict"],
}


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Return the path of a file with the weights of a wrapped detector."""
    weights = {
        "module.backbone.weight": torch.ones(1, 2),
        "module.backbone.bias": torch.ones(1),
        "module.head.weight": torch.zeros(3),
    }
    file = tmp_path / "detector.pth"
    save_checkpoint({"meta": {"epoch": 3}, "state_dict": weights}, str(file))
    return str(file)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_parameters_are_the_documented_ones_in_their_order(name: str) -> None:
    parameters = list(inspect.signature(getattr(names, name)).parameters)
    assert parameters[: len(DOCUMENTED[name])] == DOCUMENTED[name]


def test_checkpoint_is_read_whole(path: str) -> None:
    found = _load_checkpoint(path, map_location="cpu", logger=None)

    assert found["meta"]["epoch"] == 3
    assert _load_checkpoint(path, "cpu")["state_dict"].keys() == found["state_dict"].keys()


@pytest.mark.parametrize("prefix", ["backbone", "backbone.", "module.backbone"])
def test_part_of_a_checkpoint_is_read_by_its_prefix(path: str, prefix: str) -> None:
    found = _load_checkpoint_with_prefix(prefix, path, map_location="cpu")

    assert sorted(found) == ["bias", "weight"]


def test_checkpoint_in_memory_is_loaded_into_a_model(path: str) -> None:
    model = nn.Linear(2, 1)
    checkpoint = _load_checkpoint(path, "cpu")

    result = _load_checkpoint_to_model(
        model, checkpoint, strict=False, logger="silent", revise_keys=[(r"^module\.backbone\.", "")]
    )

    assert result is checkpoint
    assert torch.equal(model.weight, torch.ones(1, 2))


def test_own_scheme_and_weights_go_through_the_documented_functions(tmp_path: Path) -> None:
    @CheckpointLoader.register_scheme(prefixes="toy-compat://", force=True)
    def load_toy(filename: str, map_location: Any = None) -> Any:
        return {"state_dict": {"weight": torch.full((1, 2), 2.0), "bias": torch.zeros(1)}}

    model = nn.DataParallel(nn.Linear(2, 1))
    checkpoint = load_checkpoint(model, "toy-compat://any", map_location="cpu", strict=True)
    weights = weights_to_cpu(get_state_dict(model))
    load_state_dict(nn.Linear(2, 1), weights, strict=True)

    assert torch.equal(weights["weight"], checkpoint["state_dict"]["weight"])
    assert find_latest_checkpoint(str(tmp_path)) is None
    CheckpointLoader._schemes.pop("toy-compat://")
