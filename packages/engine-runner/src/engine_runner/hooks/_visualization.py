"""Draw the predictions of a test, or of validations, on their images."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from engine_model import BaseTTAModel, is_model_wrapper
from engine_registry import HOOKS
from engine_runner._hook import Hook
from engine_runner._integer import integer
from engine_runner._protocols import Run
from engine_runner._types import Batch, Outputs
from engine_structures import BaseDataElement

if TYPE_CHECKING:
    import numpy as np

Stage: TypeAlias = Literal["val", "test"]


@HOOKS.register_module()
class NaiveVisualizationHook(Hook):
    """Record the images of a test, or of validations, with their ground truth and predictions.

    `Visualizer.add_datasample` draws them, and enlarges small images; ``sample_options`` of the
    visualizer sets how. The images are those that the data
    loader yields, before the data preprocessor normalizes them: under ``inputs`` of a dict, or the
    first item of a list or tuple. An image that a transform has normalized is scaled to its own
    range. Padding is removed and the size restored, if the sample has ``img_shape`` and
    ``ori_shape``. With test-time augmentation, the first view of each sample is drawn, with the
    merged prediction.

    A test records ``test_image``, with the number of the image as its step. A validation records
    ``val_image_0``, ``val_image_1``, …, with the iteration as the step of each, so that a tracker
    shows how the predictions for an image change.

    Args:
        interval: Draw the images of every n-th batch.
        draw_gt: Whether to draw the ground truth.
        draw_pred: Whether to draw the predictions.
        stages: ``"test"``, ``"val"`` or both.
        most_val_images: The largest number of images that a validation records.

    Raises:
        ValueError: ``interval`` or ``most_val_images`` is not an integer >= 1, or ``stages`` has
            other values or none.

    Example:
        >>> NaiveVisualizationHook(interval=10).get_triggered_stages()
        ['before_train', 'before_test_epoch', 'after_test_iter']
    """

    priority = "NORMAL"

    def __init__(
        self,
        interval: int = 1,
        draw_gt: bool = True,
        draw_pred: bool = True,
        *,
        stages: Sequence[Stage] = ("test",),
        most_val_images: int = 16,
    ) -> None:
        self.interval = integer("interval", interval, at_least=1)
        self.draw_gt = draw_gt
        self.draw_pred = draw_pred
        self.most_val_images = integer("most_val_images", most_val_images, at_least=1)
        if isinstance(stages, str) or not stages or set(stages) - set(get_args(Stage)):
            raise ValueError(f"stages must be among ['val', 'test'] and not empty, got {stages!r}")
        self._stages = tuple(stages)
        self._seen = self._recorded = 0
        self._has_warned = False

    def _overrides(self, method: str) -> bool:
        # A point of a stage without pictures costs nothing. That of a subclass always acts.
        stage = method.split("_")[1]
        ours = getattr(NaiveVisualizationHook, method, None)
        is_left_out = stage in get_args(Stage) and stage not in self._stages
        if is_left_out and getattr(type(self), method, None) is ours:
            return False
        return super()._overrides(method)

    def before_train(self, runner: Run) -> None:
        """Record the structure of the model, in backends that can."""
        runner.visualizer.add_graph(runner.model, [])

    def before_test_epoch(self, runner: Run) -> None:
        """Count the images from 0."""
        self._seen = 0

    def before_val_epoch(self, runner: Run) -> None:
        """Count the images from 0."""
        self._seen = self._recorded = 0

    def after_val_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Draw the images of a batch, until there are ``most_val_images`` of this validation.

        Raises:
            TypeError: The batch has no images.
        """
        if self._recorded >= self.most_val_images:
            return
        for _, image, sample in self._drawn(runner, batch_idx, data_batch, outputs):
            if self._recorded >= self.most_val_images:
                break
            self._record(runner, f"val_image_{self._recorded}", image, sample, runner.iter)
            self._recorded += 1

    def after_test_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Draw the images of a batch; the step of a record is the number of its image.

        Raises:
            TypeError: The batch has no images.
        """
        for number, image, sample in self._drawn(runner, batch_idx, data_batch, outputs):
            self._record(runner, "test_image", image, sample, number)

    def _drawn(
        self, runner: Run, batch_idx: int, data_batch: Batch, outputs: Outputs
    ) -> Iterator[tuple[int, Tensor, BaseDataElement | None]]:
        """Yield number, image and sample of each item of a batch that is drawn."""
        if isinstance(runner.model, BaseTTAModel):
            data_batch = _first_view(data_batch)
        images = _images(data_batch)
        first, self._seen = self._seen, self._seen + len(images)
        if not runner.is_main or not self.every_n_inner_iters(batch_idx, self.interval):
            return
        if self.draw_pred and not self._has_warned and _element(outputs, 0) is None:
            self._has_warned = True
            runner.logger.warning(
                "NaiveVisualizationHook draws no predictions: the model must return a list of one "
                "data element per image, got %s; return BaseDataElement objects, or set "
                "draw_pred=False",
                type(outputs).__name__,
            )
        samples = _samples(data_batch, outputs, len(images))
        for place, (image, sample) in enumerate(zip(images, samples, strict=True)):
            yield first + place, image, sample

    def _record(
        self, runner: Run, name: str, image: Tensor, sample: BaseDataElement | None, step: int
    ) -> None:
        runner.visualizer.add_datasample(
            name,
            _shown(image, sample, swaps=_swaps_channels(runner.model)),
            sample,
            draw_gt=self.draw_gt,
            draw_pred=self.draw_pred,
            step=step,
        )


def _first_view(batch: Any) -> Any:
    """Return a batch of the first view of each sample, of fields that are lists of views."""
    if isinstance(batch, Mapping):
        return {name: views[0] for name, views in batch.items()}
    return [views[0] for views in batch]


def _images(batch: Any) -> Sequence[Tensor]:
    """Return the images ``(C, H, W)`` of a batch.

    Raises:
        TypeError: The batch has none.
    """
    if isinstance(batch, Mapping):
        images = batch.get("inputs")
    else:
        images = batch[0] if isinstance(batch, list | tuple) and batch else None
    found = list(images) if isinstance(images, Tensor | list | tuple) else []
    if not found or not all(isinstance(item, Tensor) and item.dim() == 3 for item in found):
        raise TypeError(
            "NaiveVisualizationHook needs batches with images (C, H, W) under 'inputs', or as the "
            f"first item, got {type(batch).__name__}; yield them, or remove the hook"
        )
    return found


def _samples(batch: Any, outputs: Any, count: int) -> Iterator[BaseDataElement | None]:
    """Yield the data element of each image, with ground truth and predictions, or None."""
    given = batch.get("data_samples") if isinstance(batch, Mapping) else None
    if given is None and isinstance(batch, list | tuple) and len(batch) > 1:
        given = batch[1]
    for place in range(count):
        truth, predicted = _element(given, place), _element(outputs, place)
        if truth is not None and predicted is not None:
            truth = truth.cpu()  # a copy, which the update does not write through
            truth.update(predicted.cpu())
        found = predicted if truth is None else truth
        yield None if found is None else found.cpu()


def _element(items: Any, place: int) -> BaseDataElement | None:
    listed = isinstance(items, list | tuple) and place < len(items)
    item = items[place] if listed else None
    return item if isinstance(item, BaseDataElement) else None


def _swaps_channels(model: Any) -> bool:
    """Return whether images are BGR, which the data preprocessor converts to RGB."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    preprocessor: nn.Module | None = getattr(model, "data_preprocessor", None)
    return bool(getattr(preprocessor, "bgr_to_rgb", False))


def _shown(image: Tensor, sample: BaseDataElement | None, *, swaps: bool) -> "np.ndarray":
    """Return an image as RGB ``(H, W, 3)`` of bytes, in its original size."""
    image = image.detach().cpu()
    meta = {} if sample is None else dict(sample.metainfo_items())
    if "img_shape" in meta:
        height, width = meta["img_shape"][:2]
        image = image[:, :height, :width]
    if image.shape[0] not in (1, 3):
        image = image[:1]  # such as the first of several bands
    image = image.expand(3, -1, -1)
    if swaps:
        image = image.flip(0)
    pixels = _bytes(image)
    if "ori_shape" in meta and tuple(meta["ori_shape"][:2]) != tuple(pixels.shape[-2:]):
        size = [int(side) for side in meta["ori_shape"][:2]]
        resized = interpolate(pixels[None].float(), size, mode="bilinear", antialias=True)[0]
        pixels = resized.round().clamp(0, 255).byte()
    shown: np.ndarray = pixels.permute(1, 2, 0).contiguous().numpy()
    return shown


def _bytes(image: Tensor) -> Tensor:
    """Return the values of an image in 0 to 255."""
    if image.dtype is torch.uint8:
        return image
    image = image.float()
    low, high = float(image.min()), float(image.max())
    if low < 0:  # normalized by a transform
        image = (image - low) * (255 / max(high - low, 1e-12))
    elif high <= 1:
        image = image * 255
    return image.round().clamp(0, 255).byte()
