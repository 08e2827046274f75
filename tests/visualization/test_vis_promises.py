"""Promises of the manual on visualization, one test each, beside those of the other files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine_config import Config
from engine_registry import VISBACKENDS, VISUALIZERS
from engine_visualization import BaseVisBackend, LocalVisBackend, Visualizer


@pytest.fixture(autouse=True)
def _release_visualizers() -> Iterator[None]:
    before = set(Visualizer._instance_dict)
    yield
    for name in set(Visualizer._instance_dict) - before:
        Visualizer.release_instance(name)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def test_visualizer_without_arguments_shows_a_given_image(image: np.ndarray) -> None:
    visualizer = Visualizer()

    visualizer.set_image(image)

    assert np.array_equal(visualizer.get_image(), image)


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor], ids=["array", "tensor"])
def test_each_drawing_method_takes_arrays_and_tensors_and_can_be_chained(
    image: np.ndarray, kind: Any
) -> None:
    visualizer = Visualizer(image=image)
    mask = np.zeros((60, 80), dtype=bool)
    mask[5:20, 5:20] = True

    chained = (
        visualizer.draw_bboxes(kind([10, 10, 30, 30]))
        .draw_bboxes(kind([[10, 10, 30, 30], [20, 20, 40, 40]]), edge_colors="r", line_widths=3)
        .draw_bboxes(kind([10, 10, 30, 30]), line_styles="--")
        .draw_points(kind([[5, 5]]))
        .draw_texts("cat and dog", kind([10, 20]))
        .draw_lines(kind([1, 30]), kind([1, 30]))
        .draw_circles(kind([40, 50]), kind([20]))
        .draw_polygons(kind([[1, 1], [20, 1], [10, 20]]))
        .draw_binary_masks(kind(mask))
    )

    assert chained is visualizer
    assert not np.array_equal(visualizer.get_image(), image)


def test_set_image_replaces_what_was_drawn(image: np.ndarray) -> None:
    visualizer = Visualizer(image=image).draw_circles(np.array([40, 30]), np.array([9]))
    visualizer.set_image(image)
    assert np.array_equal(visualizer.get_image(), image)


def test_feature_map_is_drawn_on_an_image_of_another_size(image: np.ndarray) -> None:
    features = torch.rand(8, 6, 8)

    for reduction in ("squeeze_mean", "select_max"):
        drawn = Visualizer.draw_featmap(features, image, channel_reduction=reduction)
        assert drawn.shape == image.shape
        assert drawn.dtype == np.uint8
    for arrangement in ((2, 3), (4, 2)):
        grid = Visualizer.draw_featmap(
            features, image, channel_reduction=None, topk=5, arrangement=arrangement
        )
        assert grid.shape[2] == 3
    larger = Visualizer.draw_featmap(features, resize_shape=(24, 32))
    assert larger.shape == (24, 32, 3)


def test_topk_below_one_needs_one_or_three_channels() -> None:
    three = Visualizer.draw_featmap(torch.rand(3, 6, 8), channel_reduction=None, topk=-1)
    assert three.shape == (6, 8, 3)
    with pytest.raises(ValueError, match="channel_reduction"):
        Visualizer.draw_featmap(torch.rand(8, 6, 8), channel_reduction=None, topk=-1)


def test_records_are_in_the_documented_files(tmp_path: Path, image: np.ndarray) -> None:
    backends = [{"type": "LocalVisBackend"}]
    visualizer = Visualizer(image=image, vis_backends=backends, save_dir=str(tmp_path / "temp_dir"))

    visualizer.add_image("demo", image)
    visualizer.add_image("demo", image, step=1)
    visualizer.add_image("other/demo", image, step=1)
    visualizer.add_scalar("loss", 0.2, step=0)
    visualizer.add_scalars({"loss": 0.3, "acc": torch.tensor(0.75)}, step=3)
    visualizer.add_config(Config({"a": 1, "b": {"b1": [0, 1]}}))

    folder = tmp_path / "temp_dir" / "vis_data"
    images = folder / "vis_image"
    names = sorted(file.relative_to(images).as_posix() for file in images.rglob("*.png"))
    assert names == ["demo_0.png", "demo_1.png", "other/demo_1.png"]
    assert (folder / "scalars.json").read_text().splitlines() == [
        '{"loss": 0.2, "step": 0}',
        '{"loss": 0.3, "acc": 0.75, "step": 3}',
    ]
    assert Config.fromfile(folder / "config.py").b.b1 == [0, 1]
    visualizer.close()


@pytest.mark.parametrize("suffix", ["py", "json", "yaml"])
def test_config_is_written_in_the_format_of_its_suffix(tmp_path: Path, suffix: str) -> None:
    backend = LocalVisBackend(tmp_path, config_save_file=f"used.{suffix}")

    backend.add_config(Config({"a": 1, "b": {"b1": [0, 1]}}))

    assert Config.fromfile(tmp_path / f"used.{suffix}").to_dict() == {"a": 1, "b": {"b1": [0, 1]}}


def test_local_backend_writes_under_the_given_names(tmp_path: Path, image: np.ndarray) -> None:
    backend = LocalVisBackend(tmp_path, img_save_dir="pictures", scalar_save_file="numbers.json")

    backend.add_image("demo", image)
    backend.add_scalars({"loss": [1, 2, 3], "acc": 0.8})
    backend.close()

    assert (tmp_path / "pictures/demo_0.png").is_file()
    assert (tmp_path / "numbers.json").read_text() == '{"loss": [1, 2, 3], "acc": 0.8, "step": 0}\n'


def test_every_record_is_passed_to_each_of_several_backends(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    backends = [
        {"type": "TensorboardVisBackend"},
        {"type": "LocalVisBackend", "name": "first"},
        {"type": "LocalVisBackend", "name": "second", "save_dir": str(tmp_path / "second")},
    ]
    visualizer = Visualizer(vis_backends=backends, save_dir=str(tmp_path))

    visualizer.add_scalar("loss", 0.5)
    visualizer.close()

    assert list((tmp_path / "vis_data").glob("events.out.tfevents.*"))
    assert (tmp_path / "vis_data/scalars.json").read_text()
    assert (tmp_path / "second/scalars.json").read_text()
    assert visualizer.get_backend("first") is not visualizer.get_backend("second")


def test_backends_of_one_type_need_names(tmp_path: Path) -> None:
    twice = [{"type": "LocalVisBackend"}, {"type": "LocalVisBackend"}]
    with pytest.raises(ValueError, match="add a name"):
        Visualizer(vis_backends=twice, save_dir=tmp_path)


def test_experiment_is_the_object_of_the_service(tmp_path: Path) -> None:
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    backends = [{"type": "TensorboardVisBackend"}]
    visualizer = Visualizer(vis_backends=backends, save_dir=str(tmp_path))

    backend = visualizer.get_backend("TensorboardVisBackend")

    assert backend is not None
    assert isinstance(backend.experiment, tensorboard.SummaryWriter)
    visualizer.close()


def test_backend_with_one_method_is_complete(image: np.ndarray, tmp_path: Path) -> None:
    # As in the manual: the class has add_image with keywords alone.
    @VISBACKENDS.register_module(force=True)
    class DemoVisBackend(BaseVisBackend):
        def add_image(self, **kwargs: Any) -> None:  # type: ignore[override]  # as users write it
            seen.append(sorted(kwargs))

    seen: list[Any] = []
    visualizer = Visualizer(vis_backends=[{"type": "DemoVisBackend"}], save_dir=str(tmp_path))
    visualizer.add_image("demo", image)
    visualizer.add_scalar("loss", 0.5)
    visualizer.close()

    VISBACKENDS.module_dict.pop("DemoVisBackend")
    assert seen == [["image", "name", "step"]]


def test_current_instance_is_the_one_that_was_made_last() -> None:
    backends = [{"type": "LocalVisBackend"}]
    made = Visualizer.get_instance(name="vis promised", vis_backends=backends)
    assert Visualizer.get_current_instance() is made
    built = VISUALIZERS.build(
        {"type": "Visualizer", "name": "vis promised new", "vis_backends": backends}
    )
    assert Visualizer.get_current_instance() is built


def test_current_instance_is_that_of_a_subclass() -> None:
    @VISUALIZERS.register_module(force=True)
    class PromisedVisualizer(Visualizer):
        """As libraries write it."""

    built = VISUALIZERS.build({"type": "PromisedVisualizer", "name": "vis promised subclass"})

    VISUALIZERS.module_dict.pop("PromisedVisualizer")
    assert isinstance(Visualizer.get_current_instance(), PromisedVisualizer)
    assert Visualizer.get_current_instance() is built
