"""Tracking backends and visualizers as libraries write them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine_registry import VISBACKENDS, VISUALIZERS
from engine_structures import BaseDataElement, InstanceData
from engine_visualization import (
    BaseVisBackend,
    LocalVisBackend,
    TensorboardVisBackend,
    Visualizer,
)
from engine_visualization.backends import force_init_env


class CountingBackend(BaseVisBackend):
    """A backend with `_init_env`, whose methods are decorated."""

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir)
        self.started = 0

    def _init_env(self) -> None:
        self.started += 1
        self._numbers: list[float] = []

    @property
    @force_init_env
    def experiment(self) -> Any:
        return self._numbers

    @force_init_env
    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        self._numbers.append(value)


def test_init_env_runs_once_before_the_first_record() -> None:
    backend = CountingBackend("logs")
    assert (backend.started, backend._env_initialized) == (0, False)
    backend.add_scalar("loss", 0.5)
    backend.add_scalar("loss", 0.25)
    assert backend.experiment == [0.5, 0.25]
    assert (backend.started, backend._env_initialized) == (1, True)


def test_init_env_that_fails_runs_again() -> None:
    class Failing(CountingBackend):
        def _init_env(self) -> None:
            super()._init_env()
            if self.started == 1:
                raise OSError("no disk")

    backend = Failing("logs")
    with pytest.raises(OSError, match="no disk"):
        backend.add_scalar("loss", 0.5)
    assert not backend._env_initialized
    backend.add_scalar("loss", 0.25)
    assert backend.experiment == [0.25]


@VISBACKENDS.register_module(force=True)
class VideoLocalBackend(LocalVisBackend):
    """Writes one more kind of record to the folder of images."""

    def _init_env(self) -> None:
        super()._init_env()
        self.begun = Path(self.save_dir).is_dir()

    @force_init_env
    def add_video(self, name: str, frames: np.ndarray, step: int = 0) -> None:
        folder = Path(self._img_save_dir, f"{name}_{step}")
        folder.mkdir(parents=True)
        for index, frame in enumerate(frames):
            (folder / f"{index}.bin").write_bytes(frame.tobytes())


def test_visualizer_of_a_library_calls_what_its_backends_add(tmp_path: Path) -> None:
    class VideoVisualizer(Visualizer):
        def add_video(self, name: str, frames: np.ndarray, step: int = 0) -> None:
            for backend in self._vis_backends.values():
                backend.add_video(name, frames, step)  # type: ignore[attr-defined]  # as above

    visualizer = VideoVisualizer(
        vis_backends=[{"type": "VideoLocalBackend"}], save_dir=str(tmp_path)
    )
    visualizer.add_video("clip", np.zeros((2, 4, 4, 3), dtype=np.uint8), step=3)
    visualizer.add_scalar("loss", 1.0)

    backend: Any = visualizer.get_backend("VideoLocalBackend")
    assert backend.begun
    assert sorted(one.name for one in (tmp_path / "vis_data/vis_image/clip_3").iterdir()) == [
        "0.bin",
        "1.bin",
    ]
    visualizer.close()
    assert not backend._env_initialized


def test_subclass_uses_the_writer_of_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")

    class Histograms(TensorboardVisBackend):
        @force_init_env
        def add_histogram(self, name: str, values: Any, step: int = 0) -> None:
            self._tensorboard.add_histogram(name, values, step)

    class Elsewhere(TensorboardVisBackend):
        def _init_env(self) -> None:
            from torch.utils.tensorboard import SummaryWriter

            self._tensorboard = SummaryWriter(str(tmp_path / "own"))

    backend = Histograms(tmp_path)
    backend.add_histogram("weights", torch.ones(3), 1)
    assert backend._tensorboard is backend.experiment
    assert backend.state_dict()["sizes"]
    backend.close()
    assert backend._tensorboard is None
    own = Elsewhere(tmp_path)
    own.add_scalar("loss", 0.5, 1)
    own.close()
    assert any((tmp_path / "own").iterdir())


@VISUALIZERS.register_module(force=True)
class BoxVisualizer(Visualizer):
    """Overrides `add_datasample`, and draws with texts of its own."""

    def _draw_instances(self, image: np.ndarray, instances: InstanceData) -> np.ndarray:
        self.set_image(image)
        classes = (self.dataset_meta or {}).get("classes")
        bboxes, labels = instances.bboxes, instances.labels
        self.draw_bboxes(bboxes, edge_colors=[(220, 20, 60), (0, 0, 142)], alpha=0.8, line_widths=3)
        for box, label in zip(bboxes, labels, strict=True):
            text = classes[label] if classes is not None else f"class {label}"
            self.draw_texts(
                text,
                box[:2] + 3,
                colors=[(255, 255, 255)],
                font_sizes=13,
                bboxes=[{"facecolor": "black", "alpha": 0.8, "pad": 0.7, "edgecolor": "none"}],
            )
            self.ax_save.text(float(box[2]), float(box[3]), text, size=6, color="y")
        return self.get_image()

    def add_datasample(  # type: ignore[override]  # as libraries write it
        self,
        name: str,
        image: np.ndarray,
        data_sample: BaseDataElement | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        pred_score_thr: float = 0.3,
        step: int = 0,
    ) -> None:
        image = image.clip(0, 255).astype(np.uint8)
        drawn = []
        if data_sample is not None:
            if draw_gt and "gt_instances" in data_sample:
                drawn.append(self._draw_instances(image, data_sample.gt_instances))
            if draw_pred and "pred_instances" in data_sample:
                kept = data_sample.pred_instances
                kept = kept[kept.scores > pred_score_thr].cpu()
                drawn.append(self._draw_instances(image, kept))
        self.set_image(np.concatenate(drawn or [image], axis=1))
        self.add_image(name, self.get_image(), step)


def test_visualizer_of_a_library_draws_and_records(tmp_path: Path) -> None:
    boxes = torch.tensor([[4.0, 4, 30, 30], [20, 20, 50, 40]])
    found = InstanceData(bboxes=boxes, labels=torch.tensor([0, 1]), scores=torch.tensor([0.9, 0.4]))
    truth = InstanceData(bboxes=boxes, labels=torch.tensor([1, 1]))
    sample = BaseDataElement(gt_instances=truth, pred_instances=found)
    visualizer = VISUALIZERS.build(
        {
            "type": "BoxVisualizer",
            "name": "boxes",
            "vis_backends": [{"type": "LocalVisBackend"}],
            "save_dir": str(tmp_path),
        }
    )
    visualizer.dataset_meta = {"classes": ("cat", "dog")}

    visualizer.add_datasample("pets", np.full((60, 60, 3), 90.0), sample, step=2)

    assert (tmp_path / "vis_data/vis_image/pets_2.png").is_file()
    assert visualizer.get_image().shape == (60, 120, 3)
    assert (visualizer.width, visualizer.height) == (120, 60)
    left, right = np.split(visualizer.get_image(), 2, axis=1)
    assert not np.array_equal(left, right)
