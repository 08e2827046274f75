"""An inferencer for any config whose test data has a pipeline."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from engine_config import Config
from engine_dataset import Compose
from engine_model.weights import StateDictError
from engine_registry import INFERENCERS, DefaultScope
from engine_runner.infer._base import BaseInferencer
from engine_runner.infer._inputs import may_be_picture, name_of
from engine_runner.infer._load import test_data
from engine_runner.infer._pictures import InputError, PictureCache, as_array, enlarged
from engine_runner.infer._pipeline import OfAnyInput
from engine_runner.infer._records import as_record
from engine_runner.infer._types import ModelType, ResType
from engine_structures import BaseDataElement

_LABELS = {"pred_label", "pred_score", "gt_label"}


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What `Inferencer.stream` yields for one input.

    Attributes:
        name: The path of the input, or its position.
        prediction: The prediction as the model returned it; None if the input was skipped.
        picture: The drawn picture, ``(H, W, 3)``, or None.
        error: The reason why the input was skipped, or its prediction not drawn; or None.

    Example:
        >>> Prediction(name="cat.png", error="no such file").prediction is None
        True
    """

    name: str
    prediction: Any = None
    picture: np.ndarray | None = None
    error: str | None = None


@INFERENCERS.register_module()
class Inferencer(BaseInferencer):
    """Apply a trained model to pictures, with the pipeline of the test data in its config.

    Of several sets of test data, it is the pipeline of the first. The pipeline gets a dict for each
    input. For a path or an address it has ``img_path``, and the picture as ``img``, an RGB array
    ``(H, W, 3)`` of uint8, with ``img_shape`` and ``ori_shape``, ``(H, W)``. A pipeline whose first
    transform reads the file itself, one with a name such as ``LoadImageFromFile``, gets
    ``img_path`` alone. An array, a tensor ``(3, H, W)`` or a picture of Pillow becomes ``img``. A
    dict is passed as it is.

    The predictions of a batch may be a list with one item per input, or a tensor, or a dict or
    tuple of tensors, whose first dimension is that of the batch. Override `split` for others.

    Args:
        model: As for `BaseInferencer`.
        weights: As for `BaseInferencer`.
        device: As for `BaseInferencer`.
        scope: As for `BaseInferencer`.
        show_progress: As for `BaseInferencer`.
        partial: Whether weights that lack some of the model's are accepted.

    Raises:
        StateDictError: The weights lack some of the model's, or have another shape.
        ValueError: The config has no pipeline.

    Example:
        >>> import numpy as np
        >>> from engine_model import BaseModel
        >>> class Brightness(BaseModel):
        ...     def forward(self, inputs, mode="tensor"):
        ...         return {"brightness": inputs.float().mean(dim=(1, 2, 3))}
        >>> def pack(sample):
        ...     return {"inputs": torch.from_numpy(sample["img"])}
        >>> config = {
        ...     "model": {"type": Brightness},
        ...     "test_dataloader": {
        ...         "dataset": {"pipeline": [pack]},
        ...         "collate_fn": {"type": "default_collate"},
        ...     },
        ... }
        >>> inferencer = Inferencer(config, device="cpu")
        >>> inferencer([np.full((4, 4, 3), 7, dtype=np.uint8)])["predictions"]
        [{'brightness': 7.0}]
    """

    visualize_kwargs: ClassVar[set[str]] = {"draw", "show", "wait_time"}

    def __init__(
        self,
        model: ModelType | None = None,
        weights: str | Path | None = None,
        device: str | torch.device | None = None,
        scope: str | None = None,
        show_progress: bool = True,
        *,
        partial: bool = False,
    ) -> None:
        self.partial = partial
        self._pictures = PictureCache()
        super().__init__(model, weights, device, scope, show_progress)

    def stream(
        self, inputs: Any, batch_size: int = 1, *, draw: bool = True
    ) -> Iterator[Prediction]:
        """Yield the prediction of each input, in order, as soon as its batch is done.

        An input that cannot be read, or that the pipeline rejects, yields its error, and the others
        continue; so does a prediction that cannot be drawn, beside its error. No more than one
        batch of pictures is in memory.

        Args:
            inputs: As for a call.
            batch_size: The number of inputs per forward pass.
            draw: Whether to draw predictions on pictures.
        """
        self._pictures.size = batch_size
        position = 0
        with DefaultScope.overwrite_default_scope(self.scope):
            originals = self._inputs_to_list(inputs)
        for chunk in self._get_chunk_data(originals, batch_size):
            # Not around the yield: the scope is that of this code, not of the caller's.
            with DefaultScope.overwrite_default_scope(self.scope):
                names = [name_of(item, position + at) for at, item in enumerate(chunk)]
                done = self._predict_chunk(chunk, names, draw=draw)
            self._pictures.clear()
            position += len(chunk)
            yield from done

    def _predict_chunk(self, chunk: list[Any], names: list[str], *, draw: bool) -> list[Prediction]:
        done: dict[int, Prediction] = {}
        samples: dict[int, Any] = {}
        for at, item in enumerate(chunk):
            try:
                samples[at] = self.pipeline(item)
            except Exception as error:  # a transform may raise anything for an unfit picture
                done[at] = Prediction(name=names[at], error=_reason(error))
        if samples:
            items = [chunk[at] for at in samples]
            predictions = self._matching(self.forward(self._collated(samples)), len(items))
            for at, item, prediction in zip(samples, items, predictions, strict=True):
                done[at] = self._drawn(item, prediction, names[at], draw=draw)
        return [done[at] for at in range(len(chunk))]

    def _drawn(self, item: Any, prediction: Any, name: str, *, draw: bool) -> Prediction:
        picture = error = None
        try:
            [picture] = self.visualize([item], [prediction], draw=draw)
        except Exception as reason:  # such as a visualizer of a library
            error = f"not drawn: {_reason(reason)}"
        return Prediction(name=name, prediction=prediction, picture=picture, error=error)

    def _collated(self, samples: Mapping[int, Any]) -> Any:
        try:
            return self.collate_fn(list(samples.values()))
        except Exception as error:
            if len(samples) > 1:
                error.add_note("inputs of different shapes fit no batch; use a batch size of 1")
            raise

    def forward(self, inputs: Any, **kwargs: Any) -> list[Any]:
        """Return one prediction per input of a batch."""
        return self.split(super().forward(inputs, **kwargs))

    def split(self, predictions: Any) -> list[Any]:
        """Return one prediction per input from what the model returned for a batch.

        Args:
            predictions: A list with one item per input, a tensor, or a dict or tuple of tensors.

        Raises:
            TypeError: It is of another type.
            ValueError: Tensors differ in their first dimension.
        """
        if isinstance(predictions, list):
            return predictions
        if isinstance(predictions, tuple) and isinstance(predictions[0], BaseDataElement):
            return list(predictions)
        return _rows(predictions)

    def visualize(
        self,
        inputs: list[Any],
        preds: Sequence[Any],
        show: bool = False,
        *,
        draw: bool = True,
        wait_time: int = 0,
        **kwargs: Any,
    ) -> list[np.ndarray | None]:
        """Return each picture with its prediction; None for an input that is not a picture.

        Data elements are drawn by ``add_datasample`` of the visualizer, others as text. A tiny
        picture that has labels only is magnified, so that the text can be read.

        Args:
            inputs: The inputs.
            preds: Their predictions.
            show: Whether to show each picture in a window.
            draw: Whether to draw at all.
            wait_time: Milliseconds after which a window closes; never if 0.
            **kwargs: For subclasses.
        """
        if not draw and not show:
            return [None] * len(inputs)
        return [
            self._draw(item, pred, name_of(item, at), show=show, wait_time=wait_time)
            for at, (item, pred) in enumerate(zip(inputs, preds, strict=True))
        ]

    def postprocess(
        self, preds: Any, visualization: Any, return_datasample: bool = False, **kwargs: Any
    ) -> ResType:
        """Return ``predictions`` and ``visualization``, one item per input.

        Args:
            preds: The predictions.
            visualization: The pictures.
            return_datasample: Whether predictions stay as they are, instead of becoming values that
                JSON can represent; see `record`.
            **kwargs: For subclasses.
        """
        self._pictures.clear()
        predictions = list(preds) if return_datasample else [self.record(one) for one in preds]
        return {"predictions": predictions, "visualization": visualization}

    def record(self, prediction: Any) -> Any:
        """Return a prediction as values that JSON can represent.

        A data element becomes a dict of its data, without its metainfo. Names of classes are added
        to its labels as ``class_names``. NaN and infinity become None.

        Args:
            prediction: One prediction.
        """
        return as_record(prediction, self.classes)

    @property
    def classes(self) -> Sequence[str] | None:
        """The names of the classes by label, or None if the checkpoint has none."""
        meta: Mapping[str, Any] = getattr(self.model, "dataset_meta", None) or {}
        names = meta.get("classes")
        return names if isinstance(names, list | tuple) else None

    def _init_pipeline(self, cfg: Config) -> Callable[[Any], Any]:
        pipeline = test_data(cfg).get("pipeline")
        if pipeline is None:
            raise ValueError(
                "the config must have test_dataloader.dataset.pipeline, the transforms of an "
                "input, got none; add it, or derive from BaseInferencer and state _init_pipeline"
            )
        return OfAnyInput(Compose(pipeline), self._pictures)

    def _load_weights_to_model(
        self, model: nn.Module, checkpoint: Mapping[str, Any] | None, cfg: Config | None
    ) -> None:
        super()._load_weights_to_model(model, checkpoint, cfg)
        report = self.load_report
        if report is not None and (report.missing or report.mismatched) and not self.partial:
            raise StateDictError(
                f"the weights must have all of {type(model).__name__}, got others:\n{report}\n"
                "use the checkpoint of this model, or partial=True to predict all the same"
            )

    def _matching(self, predictions: list[Any], count: int) -> list[Any]:
        if len(predictions) != count:
            raise ValueError(
                f"the model must predict one item per input, got {len(predictions)} for {count}; "
                "override split of the inferencer"
            )
        return predictions

    def _draw(
        self, item: Any, pred: Any, name: str, *, show: bool, wait_time: int
    ) -> np.ndarray | None:
        picture = self._picture_of(item)
        if picture is None:
            return None
        is_element = isinstance(pred, BaseDataElement)
        if not is_element or set(pred.keys()) <= _LABELS:
            picture = enlarged(picture)
        sample = pred.cpu() if is_element else None
        title = Path(name).name
        look = {"draw_gt": False, "show": show and is_element, "wait_time": wait_time}
        self.visualizer.add_datasample(title, picture, data_sample=sample, **look)
        if not is_element:
            self.visualizer.draw_texts(
                f"{self.record(pred)}"[:80],
                np.array([2.0, 2.0]),
                font_sizes=10,
                colors="w",
                bboxes={"facecolor": "C3", "edgecolor": "none", "alpha": 0.8, "pad": 1},
            )
            if show:
                self.visualizer.show(win_name=title, wait_time=wait_time)
        drawn: np.ndarray = self.visualizer.get_image()
        return drawn

    def _picture_of(self, item: Any) -> np.ndarray | None:
        if isinstance(item, str):
            return self._pictures.read(item) if may_be_picture(item) else None
        if isinstance(item, Mapping):
            item = item.get("img")
        return as_array(item) if isinstance(item, np.ndarray | Tensor | Image.Image) else None


def _rows(value: Any) -> list[Any]:
    if isinstance(value, Tensor | np.ndarray) and value.ndim:
        return list(value)
    if isinstance(value, list):
        return value
    if isinstance(value, Mapping) and value:
        columns = _columns(list(value.values()))
        return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    if isinstance(value, tuple) and value:
        return list(zip(*_columns(list(value)), strict=True))
    raise TypeError(
        "predictions must be a list with one item per input, a tensor, or a dict or tuple of "
        f"tensors, got {type(value).__name__}; override split of the inferencer"
    )


def _columns(fields: list[Any]) -> list[list[Any]]:
    columns = [_rows(field) for field in fields]
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"fields of predictions must have one row per input, got {lengths} rows; override "
            "split of the inferencer"
        )
    return columns


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, InputError | OSError):
        return str(error)
    return f"{type(error).__name__}: {error}"
