"""Data preprocessors: prepare the batch of a data loader for the model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine_model._batch import stack_batch
from engine_model._transfer import to_device
from engine_registry import MODELS


@MODELS.register_module()
class BaseDataPreprocessor(nn.Module):
    """Move the data of a batch to the device of the model.

    The device changes with each `to`, `cuda` or `cpu` of this module or of a module that contains
    it. A subclass overrides `forward` to do more, such as MixUp if ``training`` is true.

    Args:
        non_blocking: Whether copies from pinned memory are asynchronous.

    Example:
        >>> preprocess = BaseDataPreprocessor()
        >>> batch = preprocess({"inputs": torch.zeros(2, 3)})
        >>> batch["inputs"].shape, preprocess.device
        (torch.Size([2, 3]), device(type='cpu'))
    """

    def __init__(self, non_blocking: bool = False) -> None:
        super().__init__()
        self._non_blocking = non_blocking
        # torch's default device, or the device of an enclosing `with torch.device(...)`.
        self._device = torch.empty(0).device

    @property
    def device(self) -> torch.device:
        """The device that `cast_data` moves the data to."""
        return self._device

    def cast_data(self, data: Any) -> Any:
        """Return ``data`` with every tensor and data element on `device`.

        If nothing has to move and there is no data element, ``data`` itself is returned.
        Elements are always new ones: a model may change them without changing the dataset's.

        Args:
            data: Nested containers of tensors, data elements and anything else.
        """
        # Most batches are flat containers of tensors. If they are on the device already, this check
        # takes a fraction of the time of a walk through nested data.
        kind = type(data)
        if kind is tuple or kind is list:
            values = data
        elif kind is dict:
            values = data.values()
        else:
            return to_device(data, self._device, self._non_blocking)
        device = self._device
        for value in values:
            if type(value) is not Tensor or value.device != device:
                return to_device(data, device, self._non_blocking)
        return data

    def forward(self, data: Any, training: bool = False) -> Any:
        """Return ``data`` in the form that the model expects.

        Args:
            data: The batch that the data loader yielded; it is not changed.
            training: Whether the batch is for training.
        """
        return self.cast_data(data)

    def npu(self, device: int | str | torch.device | None = None) -> Self:
        """Move to an Ascend NPU, by default the current one."""
        return self.to(npu_device(device))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Update the device when a module that contains this one moves."""
        # Methods such as `to` and `cuda` call `_apply` of each sub-module with a function that
        # moves tensors. This module has no tensors, so move an empty one to get the new device.
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call] # torch leaves it bare
        # From the meta device `to` raises for any tensor; only `to_empty` leaves it.
        start = "cpu" if self._device.type == "meta" else self._device
        self._device = fn(torch.empty(0, device=start)).device
        return self


@MODELS.register_module()
class ImgDataPreprocessor(BaseDataPreprocessor):
    """Move images to the device, convert their channels, normalize, pad and stack them.

    Images are converted to float32 on the device: uint8 images have a quarter of the size to copy.

    Args:
        mean: The mean of each channel after conversion, or one value for all channels. Images may
            have any number of channels.
        std: The standard deviation of each channel, or one value. Without ``mean`` and ``std``,
            images are not normalized.
        pad_size_divisor: The height and width of the batch are padded to multiples of this value.
        pad_value: The value of the padding, which is added after normalization.
        bgr_to_rgb: Whether to convert three channels from BGR to RGB. Gray images stay as they are.
        rgb_to_bgr: Whether to convert three channels from RGB to BGR.
        non_blocking: Whether copies from pinned memory are asynchronous.

    Raises:
        TypeError: ``mean`` or ``std`` is not a sequence.
        ValueError: Both conversions are set, only one of ``mean`` and ``std`` is given, they
            differ in length and neither has one value, or a value of ``std`` is not positive.

    Example:
        >>> preprocess = ImgDataPreprocessor(mean=[127.5], std=[127.5], pad_size_divisor=4)
        >>> images = [torch.full((1, 2, 3), 255, dtype=torch.uint8)]
        >>> batch = preprocess({"inputs": images})["inputs"]
        >>> batch.shape, batch[0, 0, 0].tolist()
        (torch.Size([1, 1, 4, 4]), [1.0, 1.0, 1.0, 0.0])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        pad_size_divisor: int = 1,
        pad_value: float = 0,
        bgr_to_rgb: bool = False,
        rgb_to_bgr: bool = False,
        non_blocking: bool = False,
    ) -> None:
        super().__init__(non_blocking)
        if bgr_to_rgb and rgb_to_bgr:
            raise ValueError(
                "at most one of bgr_to_rgb and rgb_to_bgr must be true, got both; they have the "
                "same effect, so set one"
            )
        self._enable_normalize = mean is not None or std is not None
        if self._enable_normalize:
            _check_statistics(mean, std)
            self.register_buffer("mean", torch.tensor(mean).float().view(-1, 1, 1), False)
            self.register_buffer("std", torch.tensor(std).float().view(-1, 1, 1), False)
        self.bgr_to_rgb = bgr_to_rgb
        self._channel_conversion = bgr_to_rgb or rgb_to_bgr
        self.pad_size_divisor = pad_size_divisor
        self.pad_value = pad_value

    def forward(self, data: Any, training: bool = False) -> Any:
        """Return ``data`` with its images as one float batch ``(N, C, H, W)`` on the device.

        Args:
            data: A dict with the images under ``inputs``, a list or tuple with the images first,
                or a list of dicts with one image each. The images are a batch ``(N, C, H, W)`` or a
                list of ``(C, H, W)``. The containers are not changed.
            training: Whether the batch is for training.

        Returns:
            A dict for a dict or a list of dicts, otherwise a list or tuple as ``data``.

        Raises:
            TypeError: ``data`` or its images have another type.
            ValueError: Dicts of a list differ in their keys, or images have another number of
                dimensions, or another number of channels than ``mean`` or ``std`` has values, or
                channels are converted and there are not one or three.
        """
        if isinstance(data, list) and data and all(isinstance(item, Mapping) for item in data):
            data = _collated(data)
        data = self.cast_data(data)
        if isinstance(data, Mapping):
            if "inputs" not in data:
                raise TypeError(f"the batch must have the key 'inputs', got {', '.join(data)}")
            return {**data, "inputs": self._batch(data["inputs"])}
        if isinstance(data, list | tuple) and data:
            return type(data)([self._batch(data[0]), *data[1:]])
        raise TypeError(
            f"the batch must be a dict with 'inputs', or a list or tuple that begins with the "
            f"images, got {type(data).__name__}"
        )

    def _batch(self, images: object) -> Tensor:
        """Return images as one batch."""
        if isinstance(images, Tensor):
            if images.dim() != 4:
                raise ValueError(f"images must be (N, C, H, W), got {tuple(images.shape)}")
            divisor = max(1, self.pad_size_divisor)
            below, right = (-size % divisor for size in images.shape[-2:])
            return functional.pad(
                self._normalized(images), (0, right, 0, below), value=self.pad_value
            )
        if not isinstance(images, list | tuple):
            raise TypeError(f"images must be a tensor or a list, got {type(images).__name__}")
        for image in images:
            if not isinstance(image, Tensor) or image.dim() != 3:
                found = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
                raise ValueError(f"each image must be a tensor (C, H, W), got {found}")
        # Stack images of the same size first: then one kernel normalizes all of them.
        if len({(image.shape, image.dtype) for image in images}) == 1:
            return self._batch(torch.stack(cast("list[Tensor]", images)))
        normalized = [self._normalized(image) for image in images]
        return stack_batch(normalized, self.pad_size_divisor, self.pad_value)

    def _normalized(self, images: Tensor) -> Tensor:
        """Return images ``(..., C, H, W)`` as float, converted and normalized."""
        channels = images.shape[-3]
        if self._channel_conversion and channels != 1:  # gray images have no order of channels
            if channels != 3:
                raise ValueError(
                    f"bgr_to_rgb and rgb_to_bgr must be False for images of {channels} channels; "
                    "they convert three channels only"
                )
            images = images.flip(-3)
        images = images.float()
        if not self._enable_normalize:
            return images
        values = max(len(self.mean), len(self.std))
        if values not in (1, channels):
            raise ValueError(
                f"mean and std must have one value, or one per channel of the images ({channels}), "
                f"got {values} values"
            )
        # The difference is a new tensor. Dividing it in place saves an allocation.
        return (images - self.mean).div_(self.std)


def _collated(items: list[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Convert a list of dicts to one dict of lists."""
    for item in items:
        if item.keys() != items[0].keys():
            raise ValueError(
                f"samples of one batch must have the same keys, got {', '.join(items[0])} "
                f"and {', '.join(item)}"
            )
    return {key: [item[key] for item in items] for key in items[0]}


def _check_statistics(mean: Sequence[float] | None, std: Sequence[float] | None) -> None:
    if mean is None or std is None:
        raise ValueError(
            f"mean and std must both be given or both be None, got mean={mean} and std={std}"
        )
    for name, value in (("mean", mean), ("std", std)):
        if not hasattr(value, "__len__"):
            raise TypeError(f"{name} must be a list with one value per channel, got {value!r}")
    if not len(mean) or not len(std):
        raise ValueError(f"mean and std must have at least one value, got {mean} and {std}")
    if len(mean) != len(std) and 1 not in (len(mean), len(std)):
        raise ValueError(
            f"mean and std must have equally many values, or one of them a single value, got "
            f"{mean} and {std}"
        )
    if min(std) <= 0:
        raise ValueError(f"std must be positive, got {std}; images are divided by it")


def npu_device(device: int | str | torch.device | None = None) -> torch.device:
    """Return an Ascend NPU: the current one, or one by its index or name."""
    return torch.device("npu", device) if isinstance(device, int) else torch.device(device or "npu")
