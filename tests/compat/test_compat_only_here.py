"""Names that are in engine-compat alone, and those that it takes from torch."""

import multiprocessing
import os

import pytest
import torch
from torch import nn

from mmengine.evaluator.metric import _to_cpu
from mmengine.utils.dl_utils import mmcv_full_available, parrots_wrapper
from mmengine.utils.progressbar import init_pool
from mmengine.version import __version__, parse_version_info, version_info


def _set(key: str, value: str) -> None:
    os.environ[key] = value


def test_pool_calls_its_initializer_in_each_process() -> None:
    with init_pool(1, _set, ("ENGINE_POOL", "begun")) as pool:
        assert pool.apply(os.getenv, ("ENGINE_POOL",)) == "begun"
    assert "ENGINE_POOL" not in os.environ
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("version", "levels"),
    [("0.10.7", (0, 10, 7)), ("1.0.0rc1", (1, 0, 0, "rc1")), ("2.0", (2, 0))],
)
def test_version_is_parsed_to_its_levels(version: str, levels: tuple[int | str, ...]) -> None:
    assert parse_version_info(version) == levels


def test_version_of_another_form_raises() -> None:
    with pytest.raises(ValueError, match=r"version_str must be a version .*, got 'new'"):
        parse_version_info("new")


def test_version_and_its_levels_agree() -> None:
    assert parse_version_info(__version__) == version_info


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("_BatchNorm", nn.BatchNorm2d(1)),
        ("_BatchNorm", nn.SyncBatchNorm(1)),
        ("SyncBatchNorm", nn.SyncBatchNorm(1)),
        ("_InstanceNorm", nn.InstanceNorm2d(1)),
        ("_ConvNd", nn.Conv1d(1, 1, 1)),
        ("_ConvTransposeMixin", nn.ConvTranspose2d(1, 1, 1)),
        ("_MaxPoolNd", nn.MaxPool2d(1)),
        ("_AvgPoolNd", nn.AvgPool2d(1)),
        ("_AdaptiveAvgPoolNd", nn.AdaptiveAvgPool2d(1)),
        ("_AdaptiveMaxPoolNd", nn.AdaptiveMaxPool2d(1)),
    ],
)
def test_layers_are_instances_of_the_bases(name: str, layer: nn.Module) -> None:
    assert isinstance(layer, getattr(parrots_wrapper, name))


def test_facts_about_this_machine_are_booleans() -> None:
    assert parrots_wrapper.is_rocm_pytorch() is (torch.version.hip is not None)
    assert mmcv_full_available() is False


def test_results_are_moved_by_the_name_of_the_field() -> None:
    kept = _to_cpu({"scores": [torch.ones(1, requires_grad=True)], "name": "a"})
    assert kept == {"scores": [torch.ones(1)], "name": "a"}
    assert not kept["scores"][0].requires_grad
