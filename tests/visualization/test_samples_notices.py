"""Log what cannot be drawn, once per field and reason."""

import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine_structures import BaseDataElement, InstanceData, LabelData, PixelData
from engine_visualization import SampleOptions, Visualizer

IMAGE = np.zeros((300, 400, 3), dtype=np.uint8)
BOXES = torch.tensor([[10.0, 10, 60, 60]])


def element(field: str, value: Any) -> BaseDataElement:
    return BaseDataElement(**{field: value})


CASES = {
    "no source": (element("proposals", InstanceData(bboxes=BOXES)), "must begin with gt_ or pred_"),
    "unknown field": (element("gt_text", "a cat"), r"gt_text \(str\) is not drawn: nothing draws"),
    "unknown field of instances": (
        element("gt_instances", InstanceData(bboxes=BOXES, areas=torch.ones(1))),
        r"gt_instances.areas \(Tensor, shape \(1,\), torch.float32, on cpu\).*nothing draws",
    ),
    "boxes of three numbers": (
        element("gt_instances", InstanceData(bboxes=torch.ones(2, 3))),
        r"gt_instances.bboxes .*\(N, 5\) for cx",
    ),
    "boxes that are not finite": (
        element("gt_instances", InstanceData(bboxes=torch.tensor([[0, 0, torch.nan, 1]]))),
        "some boxes are not finite",
    ),
    "meta device": (
        element("gt_instances", InstanceData(bboxes=torch.ones(1, 4, device="meta"))),
        "on meta.*move it to the CPU",
    ),
    "masks of another size": (
        element("gt_instances", InstanceData(masks=torch.ones(1, 30, 40))),
        r"\(N, 300, 400\); resize",
    ),
    "masks of probabilities": (
        element("gt_instances", InstanceData(masks=torch.full((1, 300, 400), 0.4))),
        "masks > 0.5",
    ),
    "labels of another count": (
        element("gt_instances", InstanceData(bboxes=BOXES, labels=torch.ones(1, 3))),
        r"gt_instances.labels .*one value per instance, \(1,\)",
    ),
    "keypoints of four numbers": (
        element("pred_instances", InstanceData(keypoints=torch.ones(1, 2, 4))),
        r"\(N, K, 2\)",
    ),
    "map of many channels": (
        element("pred_sem_seg", PixelData(logits=torch.ones(3, 300, 400))),
        r"pred_sem_seg.logits .*argmax",
    ),
    "class map of another size": (
        element("gt_sem_seg", PixelData(sem_seg=torch.ones(3, 4, dtype=torch.long))),
        r"size of the image, \(300, 400\)",
    ),
    "depth without a value": (
        element("gt_depth", PixelData(depth=torch.full((3, 4), torch.nan))),
        "no finite value",
    ),
    "scores for a label": (
        element("pred_label", LabelData(label=torch.tensor([0.2, 0.8]))),
        "take argmax",
    ),
}


@pytest.mark.parametrize(("sample", "message"), CASES.values(), ids=CASES)
def test_field_that_is_not_drawn_is_logged_once(
    sample: BaseDataElement, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    visualizer = Visualizer()

    with caplog.at_level(logging.INFO, logger="engine.visualization"):
        visualizer.add_datasample("sample", IMAGE, sample)
        visualizer.add_datasample("sample", IMAGE, sample)

    (record,) = caplog.records
    assert re.search(message, record.getMessage())


def test_wrong_links_are_logged_and_points_drawn(caplog: pytest.LogCaptureFixture) -> None:
    visualizer = Visualizer()
    visualizer.dataset_meta = {"skeleton_links": [(0, 9)]}
    points = InstanceData(keypoints=torch.full((1, 2, 2), 50.0))

    visualizer.add_datasample("sample", IMAGE, element("gt_instances", points))

    assert "pairs of keypoints from 0 to 1" in caplog.text
    assert visualizer.get_image().any()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"iou_threshold": 2}, ValueError, "iou_threshold must be from 0 to 1, got 2"),
        ({"layout": "above"}, ValueError, "layout must be one of 'auto', 'overlaid'"),
        ({"enlarge_to": 0}, ValueError, "enlarge_to must be None or an integer >= 1, got 0"),
        ({"threshold": 0.5}, TypeError, "sample_options must be among score_threshold"),
    ],
    ids=["threshold", "layout", "size", "unknown"],
)
def test_wrong_options_raise(options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Visualizer(sample_options=options)


def test_options_of_a_visualizer_may_be_replaced() -> None:
    visualizer = Visualizer(sample_options={"score_threshold": 0.3})

    visualizer.sample_options = SampleOptions()

    assert visualizer.sample_options.score_threshold == 0.0


def test_arrays_are_drawn_recorded_and_plotted_without_torch(tmp_path: Path) -> None:
    script = tmp_path / "without.py"
    script.write_text(
        "import sys\n"
        "import numpy as np\n"
        "from engine_visualization import LocalVisBackend, Visualizer, plot_curves\n"
        "from engine_visualization.drawing import Canvas\n"
        "from engine_visualization.plots import read_scalars\n"
        "from engine_visualization.samples import draw_sample\n"
        "image = np.zeros((40, 60, 3), dtype=np.uint8)\n"
        "vis = Visualizer(vis_backends=[dict(type='LocalVisBackend')], save_dir=sys.argv[1])\n"
        "vis.set_image(image)\n"
        "vis.draw_bboxes(np.array([5, 5, 20, 20])).draw_texts('a', np.array([2, 2]))\n"
        "vis.add_image('a', vis.get_image())\n"
        "vis.add_datasample('b', image)\n"
        "draw_sample(Canvas(image), dict(gt_instances=dict(bboxes=np.array([[5, 5, 9, 9]]))))\n"
        "vis.add_scalars(dict(loss=np.float32(0.5), iter=1), step=1)\n"
        "vis.close()\n"
        "scalars = sys.argv[1] + '/vis_data/scalars.json'\n"
        "assert read_scalars(scalars).losses['loss'].values == [0.5]\n"
        "plot_curves(scalars, sys.argv[1] + '/curves.png')\n"
        "assert 'torch' not in sys.modules\n"
    )

    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "curves.png").is_file()


def test_box_that_is_left_out_has_no_text() -> None:
    boxes = torch.tensor([[torch.nan, 0, 5, 5], [90.0, 90, 10, 10]])
    instances = InstanceData(bboxes=boxes, labels=torch.zeros(2), scores=torch.ones(2))
    visualizer = Visualizer()

    visualizer.add_datasample("a", IMAGE, element("pred_instances", instances))

    assert not visualizer.get_image().any()


def test_text_of_a_box_at_the_right_edge_is_not_cut() -> None:
    drawn = []
    for left in (20.0, 380.0):
        instances = InstanceData(bboxes=torch.tensor([[left, 50, left + 15, 90]]), labels=[0])
        visualizer = Visualizer()
        visualizer.dataset_meta = {"classes": ["a long name of a class"]}
        visualizer.add_datasample("a", IMAGE, element("pred_instances", instances))
        line = visualizer.get_image()[52:60].any(axis=(0, 2))
        drawn.append(int(line.sum()))

    assert drawn[1] >= drawn[0]
