"""Tests that need an accelerator; skipped without one."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, nn

from engine_model import (
    ExponentialMovingAverage,
    ImgDataPreprocessor,
    MMDistributedDataParallel,
    MMFullyShardedDataParallel,
    convert_sync_batchnorm,
    get_state_dict,
    load_state_dict,
    weights_to_cpu,
)
from engine_model.analysis import measure_cost
from engine_structures import BaseDataElement

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group(
        "nccl", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


@contextmanager
def waiting_is_an_error() -> Iterator[None]:
    with warnings.catch_warnings(action="ignore"):  # torch calls this mode a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_data_moves_to_the_device_of_the_model(linear_model: Any) -> None:
    model: Any = nn.Sequential(linear_model).cuda()[0]
    batch = [{"a": torch.zeros(2)}, BaseDataElement(mask=torch.ones(2))]
    first, element = model.data_preprocessor(batch)
    assert first["a"].device == element.mask.device == torch.device("cuda", 0)
    assert model.data_preprocessor([first, element])[0] is first
    assert not model.cpu().data_preprocessor([first])[0]["a"].is_cuda


def test_images_are_normalized_on_the_device() -> None:
    images = [torch.randint(0, 256, (3, 5, 4), dtype=torch.uint8).pin_memory() for _ in range(2)]
    make: Any = partial(ImgDataPreprocessor, [1, 2, 3], [4, 5, 6], 8, non_blocking=True)
    batch = make().cuda()({"inputs": images})["inputs"]
    assert batch.is_cuda
    torch.testing.assert_close(batch.cpu(), make()({"inputs": images})["inputs"])


@pytest.mark.parametrize("device", [None, "cpu"], ids=["on the device", "on the CPU"])
def test_averages_follow_a_model_on_the_device(device: str | None) -> None:
    model: Any = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).cuda()
    average: Any = ExponentialMovingAverage(model, momentum=0.25, device=device)
    average.update_parameters(model)
    first = model[0].weight.detach().clone()
    nn.init.ones_(model[0].weight)
    average.update_parameters(model)
    torch.testing.assert_close(average.module[0].weight.cuda(), 0.75 * first + 0.25)


def test_an_update_of_an_average_does_not_wait_for_the_device() -> None:
    model = nn.Linear(2, 2).cuda()
    average = ExponentialMovingAverage(model)
    average.update_parameters(model)
    with waiting_is_an_error():
        average.update_parameters(model)


def test_a_training_step_does_not_wait_for_the_device(
    linear_model: Any, make_update: Callable[[nn.Module], Any]
) -> None:
    model = linear_model.cuda()
    update = make_update(model)
    batch = (torch.randn(4, 2).cuda(), torch.randn(4, 1).cuda())
    model.train_step(batch, update)
    with waiting_is_an_error():
        model.train_step(batch, update)


def test_synchronized_layers_train(alone: None) -> None:
    net = convert_sync_batchnorm(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))).cuda()
    torch.autograd.backward(net(torch.randn(4, 2).cuda()).square().sum())
    assert next(net.parameters()).grad is not None


def test_distributed_training_runs_on_the_device(
    alone: None, linear_model: Any, make_update: Callable[[nn.Module], Any]
) -> None:
    wrapper = MMDistributedDataParallel(linear_model.cuda(), device_ids=[0])
    log = wrapper.train_step((torch.randn(4, 2), torch.randn(4, 1)), make_update(wrapper))
    assert log["loss"].is_cuda


@pytest.mark.parametrize("offload", [False, True], ids=["on the device", "offloaded"])
@pytest.mark.filterwarnings("ignore:.*FSDP")
def test_sharded_training_runs_on_the_device(
    alone: None, linear_model: Any, make_update: Callable[[nn.Module], Any], offload: bool
) -> None:
    wrapper = MMFullyShardedDataParallel(
        linear_model, cpu_offload=offload, fsdp_auto_wrap_policy="always_wrap_policy"
    )
    update = make_update(wrapper)
    batch = (torch.randn(4, 2), torch.randn(4, 1))
    losses = [wrapper.train_step(batch, update)["loss"].item() for _ in range(20)]
    assert losses[-1] < losses[0]
    assert {parameter.device.type for parameter in wrapper.parameters()} == {
        "cpu" if offload else "cuda"
    }
    assert wrapper.val_step(batch)[0].is_cuda


@pytest.mark.parametrize("offload", [False, True], ids=["on the device", "offloaded"])
@pytest.mark.filterwarnings("ignore:.*FSDP")
def test_weights_on_the_cpu_load_into_a_sharded_model_and_back(
    alone: None, linear_model: Any, offload: bool
) -> None:
    wrapper = MMFullyShardedDataParallel(linear_model, cpu_offload=offload)
    weights = {"linear.weight": torch.tensor([[3.0, 4.0]]), "linear.bias": torch.tensor([5.0])}
    load_state_dict(wrapper, weights, strict=True)
    assert wrapper.val_step((torch.ones(1, 2), torch.zeros(1, 1)))[0].item() == 12
    gathered = weights_to_cpu(get_state_dict(wrapper))
    assert all(torch.equal(gathered[name], weights[name]) for name in weights)


@pytest.mark.filterwarnings("ignore:.*FSDP")
def test_averages_follow_a_sharded_model_on_the_device(alone: None, linear_model: Any) -> None:
    average: Any = ExponentialMovingAverage(linear_model, momentum=0.25, device="cpu")
    MMFullyShardedDataParallel(linear_model)
    for value in (0.0, 4.0):
        weights = {"linear.weight": torch.full((1, 2), value), "linear.bias": torch.zeros(1)}
        load_state_dict(linear_model, weights, strict=True)
        average.update_parameters(linear_model)
    assert average.module.linear.weight.tolist() == [[1.0, 1.0]]


def test_recurrent_and_convolutional_layers_are_counted_on_the_device() -> None:
    assert measure_cost(nn.LSTM(3, 5).cuda(), torch.zeros(7, 2, 3).cuda()).flops == 7 * 2 * 2 * 160
    conv = nn.Conv2d(4, 4, 3, groups=2).cuda()
    assert measure_cost(conv, torch.zeros(1, 4, 5, 5).cuda()).flops == 2 * 4 * 9 * 2 * 9
