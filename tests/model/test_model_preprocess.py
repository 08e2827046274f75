"""Data preprocessors: move data without needless copies, and batch images."""

from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from engine_model import BaseDataPreprocessor, ImgDataPreprocessor, stack_batch
from engine_structures import BaseDataElement

Pair = namedtuple("Pair", ["image", "label"])


def batch_of(kind: str) -> Any:
    image, label = torch.zeros(2, 3), torch.ones(2)
    batches: dict[str, Any] = {
        "tensor": image,
        "tuple": (image, label),
        "list": [image, label],
        "dict": {"a": image, "b": label},
        "ordered": OrderedDict(a=image, b=label),
        "named": Pair(image, label),
        "nested": {"inputs": [image, (label, None)], "names": ["x", 3, b"y", 1.5]},
    }
    return batches[kind]


KINDS = ["tensor", "tuple", "list", "dict", "ordered", "named", "nested"]


@pytest.mark.parametrize("kind", KINDS)
def test_data_on_the_device_is_returned_unchanged(kind: str) -> None:
    batch = batch_of(kind)
    assert BaseDataPreprocessor()(batch) is batch


@pytest.mark.parametrize("kind", KINDS)
def test_data_elsewhere_is_moved_in_containers_of_the_same_type(kind: str) -> None:
    batch = batch_of(kind)
    moved = BaseDataPreprocessor().to("meta")(batch, True)
    assert type(moved) is type(batch)
    for old, new in zip(tree_leaves(batch), tree_leaves(moved), strict=True):
        assert new.is_meta if isinstance(old, Tensor) else new is old
    assert not any(leaf.is_meta for leaf in tree_leaves(batch) if isinstance(leaf, Tensor))


def test_objects_of_other_types_are_returned_unchanged() -> None:
    thing = object()
    assert BaseDataPreprocessor().to("meta")({"a": thing})["a"] is thing


def test_data_elements_on_the_device_are_new_with_the_same_tensors() -> None:
    element = BaseDataElement(mask=torch.zeros(2), inner=BaseDataElement(box=torch.zeros(4)))
    batch = {"inputs": torch.zeros(2), "data_samples": [element]}
    (moved,) = BaseDataPreprocessor()(batch)["data_samples"]
    assert moved is not element
    assert moved.inner is not element.inner
    assert moved.mask is element.mask


def test_data_elements_elsewhere_are_moved_with_their_fields() -> None:
    element = BaseDataElement(mask=1, inner=BaseDataElement(box=torch.zeros(4)))
    (moved,) = BaseDataPreprocessor().to("meta")([element])
    assert moved.inner.box.is_meta
    assert not element.inner.box.is_meta


def images_of(*sizes: tuple[int, ...], dtype: torch.dtype = torch.uint8) -> list[Tensor]:
    return [torch.randint(0, 256, size).to(dtype) for size in sizes]


def normalized(image: Tensor, mean: list[float], std: list[float]) -> Tensor:
    return (image.float() - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)


MEAN, STD = [123.0, 116.0, 103.0], [58.0, 57.0, 56.0]


@pytest.mark.parametrize(
    "sizes", [[(3, 4, 5), (3, 4, 5)], [(3, 4, 5), (3, 6, 2)]], ids=["equal", "unequal"]
)
@pytest.mark.parametrize("turn", [{}, {"bgr_to_rgb": True}, {"rgb_to_bgr": True}], ids=str)
def test_images_are_converted_then_normalized_then_padded(
    sizes: list[tuple[int, ...]], turn: dict[str, bool]
) -> None:
    images = images_of(*sizes)
    tall = sizes[1][1] == 6
    preprocess = ImgDataPreprocessor(MEAN, STD, pad_size_divisor=4, pad_value=7, **turn)

    batch = preprocess({"inputs": images, "labels": [1, 2]})

    assert batch["labels"] == [1, 2]
    assert batch["inputs"].shape == (2, 3, 8 if tall else 4, 8)
    assert batch["inputs"].dtype == torch.float32
    for image, got in zip(images, batch["inputs"], strict=True):
        _, height, width = image.shape
        wanted = normalized(image[[2, 1, 0]] if turn else image, MEAN, STD)
        torch.testing.assert_close(got[:, :height, :width], wanted)
        assert (got[:, height:] == 7).all()
        assert (got[:, :, width:] == 7).all()


def test_a_batch_of_images_is_treated_as_a_list_of_them() -> None:
    images = images_of((3, 5, 6), (3, 5, 6))
    preprocess = ImgDataPreprocessor(MEAN, STD, pad_size_divisor=4, bgr_to_rgb=True)
    from_batch = preprocess({"inputs": torch.stack(images)})["inputs"]
    torch.testing.assert_close(from_batch, preprocess({"inputs": images})["inputs"])


def test_one_mean_applies_to_all_channels() -> None:
    image = images_of((2, 3, 3))
    batch = ImgDataPreprocessor([10], [2])({"inputs": image})["inputs"]
    torch.testing.assert_close(batch[0], (image[0].float() - 10) / 2)


def test_images_without_statistics_only_become_float() -> None:
    image = images_of((1, 3, 3))
    batch = ImgDataPreprocessor(bgr_to_rgb=True)({"inputs": image})["inputs"]
    assert torch.equal(batch[0], image[0].float())


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda image: [torch.stack(image), "labels"], list),
        (lambda image: (image, "labels"), tuple),
        (lambda image: {"inputs": tuple(image)}, dict),
        (lambda image: [{"inputs": one, "label": 1} for one in image], dict),
    ],
    ids=["list", "tuple", "dict", "list of dicts"],
)
def test_images_are_found_in_every_form_of_batch(
    make: Callable[[list[Tensor]], Any], kind: type[Any]
) -> None:
    images = images_of((3, 2, 2), (3, 2, 2))
    result: Any = ImgDataPreprocessor()(make(images))
    assert type(result) is kind
    got = result[0 if kind is not dict else "inputs"]
    assert torch.equal(got, torch.stack(images).float())


def test_the_batch_of_the_caller_is_not_changed() -> None:
    images = images_of((3, 2, 2))
    data = {"inputs": images}
    before = images[0].clone()
    ImgDataPreprocessor(MEAN, STD)(data)
    assert data["inputs"] is images
    assert torch.equal(images[0], before)


@pytest.mark.parametrize(
    "arguments",
    [
        {"bgr_to_rgb": True, "rgb_to_bgr": True},
        {"mean": [1.0]},
        {"std": [1.0]},
        {"mean": [], "std": []},
        {"mean": [1.0, 2.0], "std": [1.0, 2.0, 3.0]},
    ],
    ids=str,
)
def test_contradicting_arguments_raise(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"bgr_to_rgb|mean"):
        ImgDataPreprocessor(**arguments)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"img": 1}, TypeError, "must have the key 'inputs', got img"),
        (torch.zeros(1, 3, 2, 2), TypeError, "got Tensor"),
        ({"inputs": "x"}, TypeError, "got str"),
        ({"inputs": torch.zeros(3, 2, 2)}, ValueError, "N, C, H, W"),
        ({"inputs": [torch.zeros(2, 2)]}, ValueError, "C, H, W"),
        ({"inputs": ["x"]}, ValueError, "got str"),
        ({"inputs": []}, ValueError, "empty"),
        ({"inputs": [torch.zeros(2, 2, 2)]}, ValueError, r"channel of the images \(2\), got 3"),
    ],
    ids=["no inputs", "tensor", "string", "no batch", "no image", "strings", "none", "channels"],
)
def test_batches_without_images_raise(data: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ImgDataPreprocessor(MEAN, STD)(data)


def test_the_statistics_are_not_in_the_state_dict() -> None:
    assert not ImgDataPreprocessor(MEAN, STD).state_dict()


@pytest.mark.parametrize("divisor", [0, 1, 2, 32])
def test_stack_batch_pads_each_dimension_but_the_first(divisor: int) -> None:
    tensors = [torch.randn(3, 5, 2, 4), torch.randn(3, 1, 7, 4)]
    batch = stack_batch(tensors, divisor, 0.5)
    step = max(1, divisor)
    assert batch.shape == (2, 3, *(-(-size // step) * step for size in (5, 7, 4)))
    for tensor, place in zip(tensors, batch, strict=True):
        _, depth, height, width = tensor.shape
        assert torch.equal(place[:, :depth, :height, :width], tensor)
    assert (batch == 0.5).sum() == batch.numel() - sum(tensor.numel() for tensor in tensors)


def test_stack_batch_of_equal_sizes_is_a_plain_stack() -> None:
    tensors = [torch.randn(3, 4, 2), torch.randn(3, 4, 2)]
    assert torch.equal(stack_batch(tensors, 2), torch.stack(tensors))


def test_stack_batch_promotes_types_and_passes_gradients() -> None:
    source = torch.ones(1, 2, requires_grad=True)
    batch = stack_batch([source, torch.ones(1, 3, dtype=torch.int64)])
    assert batch.dtype == torch.float32
    (gradient,) = torch.autograd.grad(batch.sum(), source)
    assert torch.equal(gradient, torch.ones(1, 2))


@pytest.mark.parametrize(
    ("tensors", "error", "message"),
    [
        (torch.zeros(2), TypeError, "got Tensor"),
        ([], ValueError, "empty"),
        ([torch.zeros(1, 2), 3], TypeError, "tensors only, got a int"),
        ([torch.zeros(1, 2), torch.zeros(2, 2)], ValueError, r"\(1, 2\), \(2, 2\)"),
        ([torch.zeros(1, 2), torch.zeros(1, 2, 2)], ValueError, "equally many dimensions"),
    ],
    ids=["no list", "empty", "number", "channels", "dimensions"],
)
def test_stack_batch_raises_for_invalid_tensors(
    tensors: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        stack_batch(tensors)


@pytest.mark.parametrize(
    ("mean", "std", "error", "message"),
    [
        ([1.0], [0.0], ValueError, "std must be positive"),
        (1.0, [1.0], TypeError, "mean must be a list .* got 1.0"),
    ],
    ids=["zero", "number"],
)
def test_invalid_statistics_raise(
    mean: Any, std: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ImgDataPreprocessor(mean, std)


def test_samples_with_other_keys_raise() -> None:
    image = torch.zeros(3, 2, 2)
    with pytest.raises(ValueError, match=r"same keys, got inputs, label and inputs$"):
        ImgDataPreprocessor()([{"inputs": image, "label": 1}, {"inputs": image}])


def test_mappings_keep_their_default_factory() -> None:
    moved = BaseDataPreprocessor().to("meta")(defaultdict(list, image=torch.zeros(1)))
    assert moved["image"].is_meta
    assert moved["other"] == []
