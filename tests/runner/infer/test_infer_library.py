"""An inferencer as libraries write them, which overrides each extension point."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from engine_config import Config
from engine_dataset import Compose
from engine_fileio import join_path, list_dir_or_file
from engine_model.weights import load_state_dict
from engine_registry import TRANSFORMS
from engine_runner.infer import BaseInferencer, ConfigType, ImgType, ModelType


class LoadArray:
    def __call__(self, given: Any) -> dict[str, Any]:
        return {"img": np.load(given) if isinstance(given, str) else given}


class ClsInferencer(BaseInferencer):
    """Classify arrays; a batch has the inputs beside what the pipeline made of them."""

    visualize_kwargs: ClassVar[set[str]] = {"return_vis", "show"}
    postprocess_kwargs: ClassVar[set[str]] = {"digits"}

    def __init__(
        self, model: ModelType | str | None = None, weights: str | None = None, **kwargs: Any
    ) -> None:
        self.drawn: list[Any] = []  # before the parts are built, as libraries do
        super().__init__(model=model, weights=weights, **kwargs)
        self.show_progress = False

    def _load_weights_to_model(
        self, model: nn.Module, checkpoint: Any, cfg: ConfigType | None
    ) -> None:
        load_state_dict(model, checkpoint["state_dict"])
        names = {key.lower(): value for key, value in checkpoint["meta"]["dataset_meta"].items()}
        model.dataset_meta = names  # type: ignore[assignment]  # as libraries do

    def _init_pipeline(self, cfg: Config) -> Callable[..., Any]:
        pipeline = cfg.test_dataloader.dataset.pipeline
        return Compose([{"type": "LoadArray"}, *pipeline])

    def _init_collate(self, cfg: Config) -> Callable[..., Any]:
        collate = super()._init_collate(cfg)
        return lambda chunk: ([one for one, _ in chunk], collate([data for _, data in chunk]))

    def _init_visualizer(self, cfg: Config) -> Any:
        visualizer = super()._init_visualizer(cfg)
        visualizer.dataset_meta = self.model.dataset_meta
        return visualizer

    def _inputs_to_list(self, inputs: Any) -> list[Any]:
        if isinstance(inputs, str):
            names = list_dir_or_file(inputs, list_dir=False, suffix=".npy")
            inputs = [join_path(inputs, name) for name in sorted(names)]
        return list(inputs) if isinstance(inputs, list | tuple) else [inputs]

    def _get_chunk_data(self, inputs: Iterable[Any], chunk_size: int) -> Iterator[list[Any]]:
        for chunk in super()._get_chunk_data(inputs, chunk_size):
            yield [(one, self.pipeline(one)) for one in chunk]

    def preprocess(self, inputs: Any, batch_size: int = 1, **kwargs: Any) -> Any:
        yield from map(self.collate_fn, self._get_chunk_data(inputs, batch_size))

    def __call__(self, inputs: Any, batch_size: int = 1, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]  # as libraries do
        preprocess, forward, visualize, postprocess = self._dispatch_kwargs(**kwargs)
        predictions: list[Any] = []
        for originals, data in self.preprocess(
            self._inputs_to_list(inputs), batch_size, **preprocess
        ):
            preds = self.forward(data, **forward)
            shown = self.visualize(originals, preds, **visualize)
            predictions += self.postprocess(preds, shown, **postprocess)["predictions"]
        return {"predictions": predictions, "visualization": self.drawn}

    def visualize(
        self, inputs: Any, preds: Any, show: bool = False, return_vis: bool = False, **kwargs: Any
    ) -> Any:
        if return_vis:
            self.drawn += inputs

    def postprocess(
        self,
        preds: Any,
        visualization: Any,
        return_datasample: bool = False,
        digits: int = 3,
        **kwargs: Any,
    ) -> dict[str, Any]:
        return {"predictions": [int(one.pred_label.label) for one in preds]}


def test_inferencer_of_a_library_predicts_with_its_own_steps(
    config: Config, tmp_path: Path
) -> None:
    TRANSFORMS.register_module(module=LoadArray, force=True)
    arrays: ImgType = [np.full((1, 2, 2), value, np.float32) for value in (3, 9, 1)]
    for number, array in enumerate(arrays):
        np.save(tmp_path / f"{number}.npy", array)
    weights = tmp_path / "weights.pth"
    meta = {"dataset_meta": {"CLASSES": ("dark", "bright")}}
    torch.save({"state_dict": {"threshold": torch.tensor([2.0])}, "meta": meta}, weights)

    classify = ClsInferencer(config, str(weights), device="cpu")

    assert classify(str(tmp_path), batch_size=2)["predictions"] == [1, 1, 0]
    found = classify(arrays, return_vis=True, digits=1)
    assert (found["predictions"], len(found["visualization"])) == ([1, 1, 0], 3)
    assert classify.visualizer.dataset_meta == {"classes": ("dark", "bright")}
