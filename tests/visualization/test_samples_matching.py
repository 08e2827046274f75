"""Match predictions with the truth: overlaps of boxes, quadrilaterals and masks."""

import numpy as np
import pytest

from engine_visualization.samples._matching import match
from engine_visualization.samples._overlap import box_overlaps, mask_overlaps, quad_overlaps

BOXES = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]])


def quads(boxes: np.ndarray) -> np.ndarray:
    corners: np.ndarray = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    return corners


def array(*values: float) -> np.ndarray:
    return np.array(values)


def test_overlaps_of_boxes_are_intersection_over_union() -> None:
    overlaps = box_overlaps(BOXES, BOXES)

    assert overlaps == pytest.approx(np.array([[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 1]]))


@pytest.mark.parametrize("turn", [1, -1], ids=["clockwise", "counterclockwise"])
def test_overlaps_of_upright_quadrilaterals_are_those_of_boxes(turn: int) -> None:
    generator = np.random.default_rng(0)
    low = generator.random((20, 2)) * 50
    boxes = np.concatenate([low, low + 1 + generator.random((20, 2)) * 40], axis=1)

    overlaps = quad_overlaps(quads(boxes), quads(boxes)[:, ::turn])

    assert overlaps == pytest.approx(box_overlaps(boxes, boxes), abs=1e-6)


def test_overlap_of_a_square_and_its_half_turn_is_that_of_an_octagon() -> None:
    square = np.array([[[-1.0, -1], [1, -1], [1, 1], [-1, 1]]])
    diamond = np.array([[[0, -1], [1, 0], [0, 1], [-1, 0]]]) * 2**0.5

    shared = 8 * (2**0.5 - 1)
    assert quad_overlaps(square, diamond) == pytest.approx(shared / (8 - shared))


def test_overlaps_of_masks_are_intersection_over_union() -> None:
    masks = np.zeros((2, 4, 4), dtype=bool)
    masks[0, :2], masks[1, 1:] = True, True

    assert mask_overlaps(masks, masks) == pytest.approx(np.array([[1, 0.25], [0.25, 1]]))


@pytest.mark.parametrize(
    ("overlaps", "predicted", "true", "scores", "expected"),
    [
        ([[0.9], [0.8]], [0, 0], [0], [0.3, 0.7], [-1, 0]),
        ([[0.9], [0.9]], [0, 0], [0], [0.5, 0.5], [0, -1]),
        ([[0.7, 0.7]], [0], [0, 0], [0.5], [0]),
        ([[0.6, 0.8]], [0], [0, 1], [0.5], [0]),
        ([[0.9]], [1], [0], [0.5], [-1]),
        ([[0.5]], [0], [0], [0.5], [0]),
        ([[0.49]], [0], [0], [0.5], [-1]),
    ],
    ids=[
        "the higher score first",
        "equal scores: the first prediction",
        "equal overlaps: the first truth",
        "the class decides before the overlap",
        "another class",
        "at the threshold",
        "below the threshold",
    ],
)
def test_prediction_hits_the_free_truth_of_its_class(
    overlaps: list[list[float]],
    predicted: list[int],
    true: list[int],
    scores: list[float],
    expected: list[int],
) -> None:
    hits = match(np.array(overlaps), array(*predicted), array(*true), array(*scores), 0.5)

    assert hits.tolist() == expected


def test_match_without_labels_ignores_classes() -> None:
    assert match(np.array([[0.9]]), None, array(3), None, 0.5).tolist() == [0]


def test_match_without_truth_or_predictions_has_no_hits() -> None:
    assert match(np.zeros((2, 0)), None, None, None, 0.5).tolist() == [-1, -1]
    assert match(np.zeros((0, 2)), None, None, None, 0.5).tolist() == []


def test_zero_threshold_does_not_match_shapes_apart() -> None:
    assert match(np.array([[0.0]]), None, None, None, 0.0).tolist() == [-1]
