"""Batch normalization: conversion to synchronized layers and back."""

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from engine_model import convert_sync_batchnorm, revert_sync_batchnorm
from engine_model._norm import BatchNormXd


@pytest.fixture
def net() -> Any:
    shared = nn.BatchNorm1d(2, eps=0.1, momentum=0.3, affine=False)
    return nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Sequential(shared), nn.ModuleDict({"a": shared})
    )


def test_conversion_keeps_every_tensor_and_setting(net: Any) -> None:
    net[1].eval()
    tensors = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    converted: Any = convert_sync_batchnorm(net)
    assert converted is net
    assert type(net[1]) is type(net[2][0]) is nn.SyncBatchNorm
    assert net[2][0] is net[3]["a"]
    assert not net[1].training
    assert (net[2][0].eps, net[2][0].momentum, net[2][0].affine) == (0.1, 0.3, False)
    now = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    assert all(now[name] is tensor for name, tensor in tensors.items())


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_reverted_layers_compute_the_same_outputs(net: Any, training: bool) -> None:
    inputs = torch.randn(3, 1, 2, 2)
    layers = net[:2].train(training)
    before = {name: value.clone() for name, value in layers.state_dict().items()}
    wanted = layers(inputs)
    layers.load_state_dict(before)
    reverted = revert_sync_batchnorm(convert_sync_batchnorm(layers))
    torch.testing.assert_close(reverted(inputs), wanted)
    assert list(reverted.state_dict()) == list(before)


def test_a_single_layer_is_replaced_by_the_returned_layer() -> None:
    layer = convert_sync_batchnorm(nn.BatchNorm3d(2))
    assert type(layer) is nn.SyncBatchNorm
    assert type(revert_sync_batchnorm(layer)) is not nn.SyncBatchNorm


def test_layers_without_statistics_are_converted() -> None:
    layer: Any = convert_sync_batchnorm(nn.BatchNorm1d(2, track_running_stats=False))
    assert layer.running_mean is None
    assert not revert_sync_batchnorm(layer).track_running_stats


@pytest.mark.parametrize("size", [(2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 6)], ids=str)
def test_reverted_layers_take_any_number_of_dimensions(size: tuple[int, ...]) -> None:
    assert revert_sync_batchnorm(nn.SyncBatchNorm(3))(torch.randn(size)).shape == size


def test_reverted_layers_raise_for_a_vector() -> None:
    with pytest.raises(ValueError, match="the input must be"):
        revert_sync_batchnorm(nn.SyncBatchNorm(3))(torch.randn(3))


def test_unknown_implementation_raises() -> None:
    with pytest.raises(ValueError, match="'torch' or 'mmcv', got 'apex'"):
        convert_sync_batchnorm(nn.BatchNorm1d(1), "apex")


def test_the_layer_of_mmcv_needs_mmcv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mmcv", None)
    with pytest.raises(ImportError, match="needs mmcv"):
        convert_sync_batchnorm(nn.BatchNorm1d(1), "mmcv")


def test_the_layer_of_mmcv_is_used_if_installed(net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class SyncBatchNorm(nn.BatchNorm2d):
        """Stands for the layer of a package that no test machine can build."""

    operators: Any = ModuleType("mmcv.ops")
    operators.SyncBatchNorm = SyncBatchNorm
    monkeypatch.setitem(sys.modules, "mmcv", ModuleType("mmcv"))
    monkeypatch.setitem(sys.modules, "mmcv.ops", operators)
    convert_sync_batchnorm(net, "mmcv")
    assert {type(net[1]), type(net[2][0])} == {SyncBatchNorm}
    revert_sync_batchnorm(net)
    assert {type(net[1]), type(net[2][0])} == {BatchNormXd}
