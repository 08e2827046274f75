from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine_registry import VISBACKENDS, VISUALIZERS
from engine_structures import BaseDataElement, InstanceData
from engine_visualization import (
    BaseVisBackend,
    LocalVisBackend,
    TensorboardVisBackend,
    Visualizer,
)

if TYPE_CHECKING:
    from tests.visualization.conftest import FakeConfig

LOCAL = {"type": "LocalVisBackend"}


@pytest.fixture(autouse=True)
def _restore_visualizers() -> Iterator[None]:
    before = dict(Visualizer._instance_dict)
    yield
    Visualizer._instance_dict.clear()
    Visualizer._instance_dict.update(before)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_visualizer_writes_one_line_of_scalars_per_call(tmp_path: Path) -> None:
    visualizer = Visualizer(vis_backends=[LOCAL], save_dir=tmp_path)

    visualizer.add_scalar("loss", torch.tensor(0.5), step=0)
    visualizer.add_scalars({"loss": np.float32(0.25), "acc": 0.75, "per": np.array([1, 2])}, step=3)

    assert lines(tmp_path / "vis_data/scalars.json") == [
        {"loss": 0.5, "step": 0},
        {"loss": 0.25, "acc": 0.75, "per": [1, 2], "step": 3},
    ]


def test_local_backend_uses_the_step_of_the_dict_and_does_not_change_it(tmp_path: Path) -> None:
    backend, values = LocalVisBackend(tmp_path), {"loss": 1.0, "step": 7}

    backend.add_scalars(values, step=2)

    assert values == {"loss": 1.0, "step": 7}
    assert lines(tmp_path / "scalars.json") == [{"loss": 1.0, "step": 7}]


def test_local_backend_writes_a_second_file_too(tmp_path: Path) -> None:
    backend = LocalVisBackend(tmp_path)

    backend.add_scalars({"loss": 1.0}, step=1, file_path="20260101.json")

    assert lines(tmp_path / "20260101.json") == lines(tmp_path / "scalars.json")


@pytest.mark.parametrize("name", ["scalars.json", "scalars.txt"])
def test_local_backend_raises_for_a_wrong_second_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        LocalVisBackend(tmp_path).add_scalars({"loss": 1.0}, file_path=name)


def test_local_backend_appends_after_close(tmp_path: Path) -> None:
    backend = LocalVisBackend(tmp_path)
    backend.add_scalar("loss", 1)
    backend.close()
    backend.close()

    backend.add_scalar("loss", 2)

    assert [line["loss"] for line in lines(tmp_path / "scalars.json")] == [1, 2]


def test_local_backend_opens_its_file_once(tmp_path: Path) -> None:
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
    backend = LocalVisBackend(tmp_path)

    for step in range(100):
        backend.add_scalar("loss", 0.1, step)

    assert opened.count(str(tmp_path / "scalars.json")) == 1


def test_backends_write_nothing_before_the_first_record(tmp_path: Path) -> None:
    backends = [LOCAL, {"type": "TensorboardVisBackend"}, {"type": "WandbVisBackend"}]

    Visualizer(vis_backends=backends, save_dir=tmp_path / "run").close()

    assert not (tmp_path / "run").exists()


def test_visualizer_writes_images_by_name_and_step(tmp_path: Path, blank: np.ndarray) -> None:
    visualizer = Visualizer(image=blank, vis_backends=[LOCAL], save_dir=tmp_path)
    visualizer.draw_bboxes(torch.tensor([[3, 2, 20, 22], [7, 13, 17, 14]]), edge_colors="r")

    visualizer.add_image("demo", visualizer.get_image())
    visualizer.add_image("demo", visualizer.get_image(), step=3)

    folder = tmp_path / "vis_data/vis_image"
    assert sorted(file.name for file in folder.iterdir()) == ["demo_0.png", "demo_3.png"]
    assert (np.array(Image.open(folder / "demo_3.png")) == visualizer.get_image()).all()


def test_visualizer_writes_the_config(tmp_path: Path, config: FakeConfig) -> None:
    Visualizer(vis_backends=[LOCAL], save_dir=tmp_path).add_config(config)

    assert (tmp_path / "vis_data/config.py").read_text() == config.pretty_text


def test_visualizer_without_save_dir_records_nothing_and_warns(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.WARNING, logger="engine.visualization"):
        visualizer = Visualizer(vis_backends=[LOCAL])

    visualizer.add_scalar("loss", 1.0)

    assert "no save_dir" in caplog.text
    assert not list(tmp_path.iterdir())


def test_backend_with_its_own_save_dir_records(tmp_path: Path) -> None:
    configs: list[dict[str, Any]] = [
        {"type": "LocalVisBackend", "name": "one", "save_dir": str(tmp_path / "a")},
        {"type": LocalVisBackend, "name": "two", "save_dir": str(tmp_path / "b")},
    ]
    visualizer = Visualizer(vis_backends=configs)

    visualizer.add_scalar("loss", 1.0)

    assert (tmp_path / "a/scalars.json").read_text() == (tmp_path / "b/scalars.json").read_text()
    backends = visualizer._vis_backends
    assert {name: one.save_dir for name, one in backends.items()} == {
        "one": str(tmp_path / "a"),
        "two": str(tmp_path / "b"),
    }
    assert visualizer.get_backend("two") is backends["two"]
    assert "name" in configs[0]


def test_two_backends_with_the_same_name_raise(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must differ"):
        Visualizer(vis_backends=[LOCAL, LOCAL], save_dir=tmp_path)


def test_get_backend_raises_for_an_unknown_name_and_lists_the_names(tmp_path: Path) -> None:
    visualizer = Visualizer(vis_backends=[LocalVisBackend(tmp_path)])

    backend = visualizer.get_backend("LocalVisBackend")
    assert backend is not None
    assert backend.experiment is backend
    with pytest.raises(KeyError, match="LocalVisBackend"):
        visualizer.get_backend("WandbVisBackend")


def test_backend_that_is_left_out_without_a_folder_is_none() -> None:
    visualizer = Visualizer(vis_backends=[LOCAL, {"type": "LocalVisBackend", "name": "second"}])

    assert visualizer.get_backend("LocalVisBackend") is None
    assert visualizer.get_backend("second") is None
    assert dict(visualizer._vis_backends) == {}


def test_custom_backend_may_implement_some_methods_only(tmp_path: Path, blank: np.ndarray) -> None:
    class DemoVisBackend(BaseVisBackend):
        seen: dict[str, Any] = {}  # noqa: RUF012 - read after the call

        def add_image(self, **kwargs: Any) -> None:  # type: ignore[override]  # as the manual shows
            self.seen.update(kwargs)

    VISBACKENDS.register_module(module=DemoVisBackend)
    try:
        visualizer = Visualizer(vis_backends=[{"type": "DemoVisBackend"}], save_dir=tmp_path)
        visualizer.add_image("demo", blank, step=2)
        visualizer.add_scalar("loss", 1.0)
        visualizer.close()
    finally:
        VISBACKENDS.module_dict.pop("DemoVisBackend", None)

    assert DemoVisBackend.seen["name"] == "demo"
    assert DemoVisBackend.seen["step"] == 2


def test_get_current_instance_returns_the_visualizer(tmp_path: Path) -> None:
    visualizer = Visualizer.get_instance("vis", vis_backends=[LOCAL], save_dir=tmp_path)

    assert Visualizer.get_current_instance() is visualizer
    assert visualizer.instance_name == "vis"


def test_subclass_is_found_through_visualizer() -> None:
    class DetectionVisualizer(Visualizer):
        pass

    Visualizer.get_instance("plain")
    visualizer = DetectionVisualizer.get_instance("special")

    assert Visualizer.get_current_instance() is visualizer
    assert DetectionVisualizer.get_current_instance() is visualizer
    assert DetectionVisualizer.release_instance("special")
    assert not Visualizer.check_instance_created("special")


def test_visualizer_of_a_block_is_found_through_visualizer() -> None:
    class DetectionVisualizer(Visualizer):
        pass

    special = DetectionVisualizer.get_instance("special")
    last = Visualizer.get_instance("last")
    with special.as_current():
        assert Visualizer.get_current_instance() is special
        assert DetectionVisualizer.get_current_instance() is special
        inner = DetectionVisualizer.get_instance("inner")
        assert Visualizer.get_current_instance() is inner
        DetectionVisualizer.release_instance("inner")
        assert Visualizer.get_current_instance() is special
    assert Visualizer.get_current_instance() is last


def test_visualizer_is_built_from_a_config(tmp_path: Path) -> None:
    config = {"type": "Visualizer", "name": "built", "vis_backends": [LOCAL], "save_dir": tmp_path}

    visualizer = VISUALIZERS.build(config)

    assert Visualizer.get_current_instance() is visualizer


def test_show_without_a_display_writes_a_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    blank: np.ndarray,
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    visualizer = Visualizer(image=blank, vis_backends=[LOCAL], save_dir=tmp_path)

    with caplog.at_level(logging.INFO, logger="engine.visualization"):
        visualizer.show(win_name="cat")

    assert (tmp_path / "vis_data/shown/cat.png").is_file()
    assert "cat.png" in caplog.text


def test_datasample_is_drawn_and_recorded(tmp_path: Path, blank: np.ndarray) -> None:
    sample = BaseDataElement(
        gt_instances=InstanceData(
            bboxes=torch.tensor([[5.0, 20, 30, 50]]), labels=torch.tensor([1])
        ),
        pred_instances=InstanceData(
            bboxes=torch.tensor([[10.0, 25, 40, 60]]),
            labels=torch.tensor([0]),
            scores=torch.tensor([0.9]),
            masks=torch.ones(1, 64, 80, dtype=torch.bool),
        ),
    )
    visualizer = Visualizer(vis_backends=[LOCAL], save_dir=tmp_path)
    visualizer.dataset_meta = {"classes": ("cat", "dog")}

    visualizer.add_datasample("img", blank, sample, draw_pred=False)
    truth = visualizer.get_image()
    visualizer.add_datasample("img", blank, sample, step=1)

    assert truth.any()
    assert not (truth == visualizer.get_image()).all()
    assert (tmp_path / "vis_data/vis_image/img_1.png").is_file()


def test_datasample_without_a_sample_records_the_image(tmp_path: Path, blank: np.ndarray) -> None:
    visualizer = Visualizer(vis_backends=[LOCAL], save_dir=tmp_path)

    visualizer.add_datasample("img", blank)

    assert not np.array(Image.open(tmp_path / "vis_data/vis_image/img_0.png")).any()


def test_only_the_main_process_writes(tmp_path: Path) -> None:
    script = tmp_path / "rank.py"
    script.write_text(
        "import sys\n"
        "import torch.distributed as dist\n"
        "from engine_visualization import Visualizer\n"
        "folder = sys.argv[1]\n"
        "store = f'file://{folder}/group'\n"
        "dist.init_process_group('gloo', init_method=store, rank=1, world_size=2)\n"
        "visualizer = Visualizer(vis_backends=[{'type': 'LocalVisBackend'}], save_dir=folder)\n"
        "visualizer.add_scalar('rank', 1)\n"
        "dist.barrier()\n"
        "dist.destroy_process_group()\n"
    )

    with subprocess.Popen([sys.executable, str(script), str(tmp_path)]) as other:
        store = f"file://{tmp_path}/group"
        torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=2)
        try:
            Visualizer(vis_backends=[LOCAL], save_dir=tmp_path).add_scalar("rank", 0)
            torch.distributed.barrier()
        finally:
            torch.distributed.destroy_process_group()

    assert other.returncode == 0
    assert lines(tmp_path / "vis_data/scalars.json") == [{"rank": 0, "step": 0}]


def test_tensorboard_backend_takes_the_step_of_the_dict_and_skips_vectors(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend = TensorboardVisBackend(tmp_path)
    backend.add_scalars({"loss": torch.tensor(0.5), "acc": 1, "step": 4})
    with caplog.at_level(logging.WARNING, logger="engine.visualization"):
        backend.add_scalar("vector", [1, 2])
    backend.close()

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert sorted(events.Tags()["scalars"]) == ["acc", "loss"]
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(4, 0.5)]
    assert "'vector' is a list" in caplog.text
