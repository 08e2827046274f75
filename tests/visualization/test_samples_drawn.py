"""Draw each kind of field, and the outcomes of predictions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from engine_structures import BaseDataElement, InstanceData, LabelData, PixelData
from engine_visualization import SampleOptions, Visualizer
from engine_visualization.drawing import draw_sample as documented
from engine_visualization.samples import draw_sample

GRAY = np.full((300, 400, 3), 120, dtype=np.uint8)
GREEN, ORANGE, RED = (44, 160, 44), (255, 127, 14), (214, 39, 40)
BOX = [[100.0, 100, 200, 180]]
Draw = Callable[..., np.ndarray]


@pytest.fixture
def draw(caplog: pytest.LogCaptureFixture) -> Draw:
    """Return a function that draws fields, and checks that nothing is logged."""

    def run(
        meta: dict[str, Any] | None = None,
        image: np.ndarray = GRAY,
        options: Any = None,
        **fields: Any,
    ) -> np.ndarray:
        visualizer = Visualizer(sample_options=options)
        visualizer.dataset_meta = meta
        visualizer.add_datasample("sample", image, BaseDataElement(**fields))
        assert not caplog.messages
        return visualizer.get_image()

    return run


def near(image: np.ndarray, color: tuple[int, int, int], distance: int = 60) -> int:
    """Count the pixels of nearly that color."""
    return int((np.abs(image.astype(int) - color).sum(axis=2) < distance).sum())


def instances(**fields: Any) -> InstanceData:
    found: dict[str, Any] = {name: torch.as_tensor(value) for name, value in fields.items()}
    return InstanceData(**found)


@pytest.mark.parametrize(
    ("predicted", "label", "colors"),
    [
        (BOX, 0, {GREEN}),
        ([[250.0, 200, 350, 280]], 0, {ORANGE, RED}),
        (BOX, 1, {ORANGE, RED}),
    ],
    ids=["hit", "elsewhere", "another class"],
)
def test_outcomes_of_boxes_have_three_colors(
    draw: Draw, predicted: Any, label: int, colors: set[tuple[int, int, int]]
) -> None:
    image = draw(
        gt_instances=instances(bboxes=BOX, labels=[0]),
        pred_instances=instances(bboxes=predicted, labels=[label], scores=[0.9]),
    )[:230]  # above the counts

    assert {color for color in (GREEN, ORANGE, RED) if near(image, color)} == colors


def test_truth_without_predictions_is_missed(draw: Draw) -> None:
    image = draw(
        gt_instances=instances(bboxes=BOX, labels=[0]),
        pred_instances=instances(bboxes=np.zeros((0, 4)), labels=[], scores=[]),
    )[:230]

    assert near(image, ORANGE)
    assert not near(image, GREEN)


def test_predictions_below_the_threshold_are_left_out(draw: Draw) -> None:
    predicted = instances(bboxes=BOX, labels=[0], scores=[0.2])

    image = draw(options={"score_threshold": 0.3}, pred_instances=predicted)

    assert (image == GRAY).all()


@pytest.mark.parametrize(
    "boxes",
    [[[150.0, 140, 100, 80, 0.0]], [[100.0, 100, 200, 100, 200, 180, 100, 180]]],
    ids=["angle", "corners"],
)
def test_rotated_boxes_are_matched_as_polygons(draw: Draw, boxes: Any) -> None:
    image = draw(gt_instances=instances(bboxes=BOX), pred_instances=instances(bboxes=boxes))[:230]

    assert near(image, GREEN)
    assert not near(image, RED)


def test_angle_of_a_box_turns_x_towards_y(draw: Draw) -> None:
    image = draw(pred_instances=instances(bboxes=[[200.0, 150, 100, 20, np.pi / 2]]))

    rows, columns = np.nonzero((image != GRAY).any(axis=2))
    assert np.ptp(rows) == pytest.approx(102, abs=3)
    assert np.ptp(columns) == pytest.approx(22, abs=3)


class Boxes:
    """Boxes as libraries of the field keep them."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def __len__(self) -> int:
        return len(self.tensor)

    def __getitem__(self, index: Any) -> "Boxes":
        return Boxes(self.tensor[index])


class Masks:
    """Masks as libraries of the field keep them."""

    def __init__(self, masks: Any) -> None:
        self.masks = masks

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, index: Any) -> "Masks":
        return Masks(self.masks[index])


def test_box_objects_are_drawn_as_their_tensor(draw: Draw) -> None:
    objects = InstanceData(bboxes=Boxes(torch.tensor(BOX)))

    assert (draw(pred_instances=objects) == draw(pred_instances=instances(bboxes=BOX))).all()


def test_masks_objects_and_polygons_cover_the_same_pixels(draw: Draw) -> None:
    masks = np.zeros((1, 300, 400), dtype=np.uint8)
    masks[0, 100:180, 100:200] = 1
    polygons = [[np.array([100.0, 100, 199, 100, 199, 179, 100, 179])]]

    plain = draw(pred_instances=InstanceData(masks=torch.tensor(masks)))
    bitmap = draw(pred_instances=InstanceData(masks=Masks(masks)))
    outline = draw(pred_instances=InstanceData(masks=Masks(polygons)))

    assert (plain == bitmap).all()
    assert (plain[110:170, 110:190] == outline[110:170, 110:190]).all()


def test_masks_are_matched(draw: Draw) -> None:
    masks = torch.zeros(2, 300, 400, dtype=torch.bool)
    masks[0, 20:100, 20:100] = True
    masks[1, 20:100, 200:300] = True

    image = draw(
        gt_instances=InstanceData(masks=masks[:1]), pred_instances=InstanceData(masks=masks)
    )

    assert image[60, 60, 1] > image[60, 60, 0]
    assert image[60, 250, 0] > image[60, 250, 1]


def test_keypoints_and_links_are_drawn(draw: Draw) -> None:
    points = [[[50.0, 50], [150, 50], [150, 150]]]

    plain = draw(pred_instances=instances(keypoints=points))
    linked = draw({"skeleton_links": [(0, 1)]}, pred_instances=instances(keypoints=points))

    assert (plain[50, 100] == GRAY[50, 100]).all()
    assert (linked[50, 100] != GRAY[50, 100]).any()
    assert near(plain[140:160, 140:160], RED)


@pytest.mark.parametrize("field", ["keypoint_scores", "keypoints_visible"])
def test_keypoints_that_are_not_visible_are_left_out(draw: Draw, field: str) -> None:
    points = [[[50.0, 50], [150, 150]]]

    image = draw(pred_instances=instances(keypoints=points, **{field: [[0.9, 0.0]]}))

    assert near(image[40:60, 40:60], RED)
    assert (image[140:160, 140:160] == 120).all()


@pytest.mark.parametrize("field", ["instances_id", "track_ids"])
def test_track_has_the_same_color_in_each_frame(draw: Draw, field: str) -> None:
    first = instances(bboxes=[[10.0, 10, 50, 50], *BOX], **{field: [3, 8]})
    second = instances(bboxes=BOX, **{field: [8]})

    last, frame = draw(pred_track_instances=first), draw(pred_track_instances=second)

    assert (last[180, 190] == frame[180, 190]).all()
    assert (frame[180, 190] != 120).any()


def test_class_map_has_the_palette_and_ignores_other_labels(draw: Draw) -> None:
    labels = torch.full((300, 400), 255)
    labels[:100] = 1
    meta = {"classes": ("sky", "road"), "palette": [[0, 0, 0], [255, 0, 0]]}

    image = draw(meta, gt_sem_seg=PixelData(sem_seg=labels))

    assert image[50, 200].tolist() == [188, 60, 60]
    assert image[150, 200].tolist() == [120, 120, 120]


def test_maps_of_truth_and_prediction_are_side_by_side(draw: Draw) -> None:
    labels = torch.zeros(300, 400, dtype=torch.long)

    image = draw(gt_sem_seg=PixelData(data=labels), pred_sem_seg=PixelData(data=labels))

    assert image.shape[1] == 804
    assert (image[-250:-150, 100:390] == image[-250:-150, 504:794]).all()


def test_depth_is_drawn_as_heat_in_the_size_of_the_image(draw: Draw) -> None:
    depth = torch.arange(12.0).reshape(3, 4)
    depth[0, 0] = torch.nan

    image = draw(pred_depth=PixelData(depth=depth))

    assert image.shape == GRAY.shape
    assert image[290, 390, 0] > image[10, 10, 0]


@pytest.mark.parametrize(("label", "color"), [(0, GREEN), (1, RED)], ids=["right", "wrong"])
def test_predicted_label_has_the_color_of_its_outcome(
    draw: Draw, label: int, color: tuple[int, int, int]
) -> None:
    image = draw(
        gt_label=LabelData(label=torch.tensor([0])),
        pred_label=LabelData(label=torch.tensor([label]), score=torch.tensor([0.7, 0.3])),
    )

    assert near(image[20:40], color, 90)


def test_small_image_is_enlarged_with_its_boxes(draw: Draw) -> None:
    image = draw(
        image=np.zeros((8, 8), dtype=np.uint8), pred_instances=instances(bboxes=[[2.0, 2, 6, 6]])
    )

    assert image.shape == (256, 256, 3)
    rows, columns = np.nonzero(image.any(axis=2))
    assert (rows.min(), columns.max()) == pytest.approx((64, 192), abs=2)


def test_small_image_keeps_its_size_without_enlarge_to(draw: Draw) -> None:
    image = np.zeros((8, 8), dtype=np.uint8)

    assert draw(image=image, options=SampleOptions(enlarge_to=None)).shape == (8, 8, 3)


def test_class_colors_come_from_the_palette(draw: Draw) -> None:
    found = draw(
        {"classes": ("a",), "palette": [(0, 0, 255)]},
        options={"color_by": "class"},
        pred_instances=instances(bboxes=BOX, labels=[0]),
    )

    assert near(found, (0, 0, 255))
    assert not near(found, RED)


def test_draw_sample_keeps_its_documented_path() -> None:
    assert documented is draw_sample
