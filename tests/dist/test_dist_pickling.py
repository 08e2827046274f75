"""Tensors pickled as their elements."""

import io
import pickle
from typing import Any

import pytest
import torch

import engine_dist as dist

DTYPES = [
    *(torch.bool, torch.uint8, torch.int64, torch.uint16, torch.float16, torch.bfloat16),
    *(torch.float64, torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2),
]


def reload(value: Any) -> Any:
    return pickle.loads(dist.dumps_tensors(value))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensor_of_each_dtype_keeps_its_elements(dtype: torch.dtype) -> None:
    tensor = torch.tensor([[1, 0], [1, 1]]).to(dtype)

    found = reload(tensor)

    assert (found.dtype, found.shape) == (dtype, tensor.shape)
    assert torch.equal(found.view(torch.uint8), tensor.view(torch.uint8))
    found[0] = 0  # writable


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1, 1)], ids=str)
def test_tensor_of_each_shape_keeps_it(shape: tuple[int, ...]) -> None:
    assert torch.equal(reload(torch.ones(shape)), torch.ones(shape))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6).reshape(2, 3).t(),
        torch.ones(1).expand(3, 2),
        torch.tensor([1j]).conj(),
        torch.tensor([1 + 2j]).conj().imag,
        torch.eye(2).to_sparse(),
        torch.nn.Parameter(torch.ones(2)),
    ],
    ids=["transposed", "expanded", "conjugate", "negative", "sparse", "parameter"],
)
def test_pickled_special_tensor_is_loaded_equal(tensor: torch.Tensor) -> None:
    found = reload(tensor)

    assert type(found) is type(tensor)
    assert found.layout == tensor.layout
    assert torch.equal(found.detach().to_dense(), tensor.detach().to_dense())


def test_view_is_pickled_without_its_storage() -> None:
    assert len(dist.dumps_tensors(torch.arange(100_000)[:3])) < 200


def test_pickled_tensor_that_occurs_twice_is_loaded_once() -> None:
    tensor = torch.ones(2)

    first, second = reload([tensor, tensor])

    assert first is second


@pytest.mark.parametrize("keep", [False, True], ids=["dropped", "kept"])
def test_requires_grad_is_kept_on_request(keep: bool) -> None:
    file = io.BytesIO()
    dist.TensorPickler(file, keep_requires_grad=keep).dump(torch.ones(2, requires_grad=True))

    assert pickle.loads(file.getvalue()).requires_grad is keep
