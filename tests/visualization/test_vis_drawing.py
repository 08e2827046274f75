import re
from typing import Any

import numpy as np
import pytest
import torch

from engine_visualization.drawing import Canvas, draw_featmap, parse_color

RED = (255, 0, 0)


def blank(height: int = 40, width: int = 60) -> np.ndarray:
    return np.zeros((height, width, 3), dtype=np.uint8)


def changed(canvas: Canvas) -> np.ndarray:
    """Where something was drawn on a black canvas."""
    return np.asarray(canvas.get_image().any(axis=2))


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ("r", (255, 0, 0, 255)),
        ("g", (0, 128, 0, 255)),
        ("orange", (255, 165, 0, 255)),
        ("#102030", (16, 32, 48, 255)),
        ("#10203080", (16, 32, 48, 128)),
        ("0.5", (128, 128, 128, 255)),
        ("C0", (31, 119, 180, 255)),
        ("tab:blue", (31, 119, 180, 255)),
        ((255, 128, 0), (255, 128, 0, 255)),
        ((1.0, 0.5, 0.0), (255, 128, 0, 255)),
        ((1.0, 0.5, 0.0, 0.5), (255, 128, 0, 128)),
        (np.array([0, 255, 0]), (0, 255, 0, 255)),
        ("none", None),
    ],
    ids=str,
)
def test_color_is_parsed_in_every_documented_format(color: object, expected: object) -> None:
    assert parse_color(color) == expected  # type: ignore[arg-type]  # the forms are the test's subject


@pytest.mark.parametrize("color", ["reddish", (1, 2), (300, 0, 0), (1.5, 0.0, 0.0), (-1, 0, 0)])
def test_unknown_color_raises_with_the_choices(color: object) -> None:
    with pytest.raises(ValueError, match="color"):
        parse_color(color)  # type: ignore[arg-type]  # wrong on purpose


def test_bbox_edge_is_drawn_on_its_coordinates_only() -> None:
    canvas = Canvas(blank()).draw_bboxes(
        np.array([10, 5, 30, 20]), edge_colors=RED, line_widths=1, alpha=1
    )

    image = canvas.get_image()
    assert (image[5, 11:30] == RED).all()
    assert (image[6:20, 30] == RED).all()
    assert not image[6:20, 11:30].any()
    assert not image[:4].any()


@pytest.mark.parametrize(
    "boxes",
    [torch.tensor([10, 5, 30, 20]), torch.tensor([[10.0, 5, 30, 20], [1, 1, 50, 30]]).bfloat16()],
    ids=["one", "several"],
)
def test_bboxes_may_be_tensors(boxes: torch.Tensor) -> None:
    assert changed(Canvas(blank()).draw_bboxes(boxes)).any()


def test_bbox_face_is_blended_by_alpha() -> None:
    canvas = Canvas(blank()).draw_bboxes(
        np.array([10, 5, 30, 20]), edge_colors="none", face_colors=RED, alpha=0.5
    )

    assert np.allclose(canvas.get_image()[12, 20], (127, 0, 0), atol=1)


def test_bboxes_may_have_one_style_per_box() -> None:
    boxes = np.array([[2, 2, 12, 12], [20, 2, 40, 22]])

    image = (
        Canvas(blank()).draw_bboxes(boxes, edge_colors=["r", "b"], line_widths=[1, 3], alpha=1)
    ).get_image()

    assert tuple(image[2, 6]) == RED
    assert tuple(image[2, 30]) == (0, 0, 255)


def test_bbox_with_swapped_corners_raises() -> None:
    with pytest.raises(ValueError, match="x1 <= x2"):
        Canvas(blank()).draw_bboxes(np.array([30, 5, 10, 20]))


def test_list_of_another_length_raises() -> None:
    with pytest.raises(ValueError, match=r"edge_colors .* 2, got 3"):
        Canvas(blank()).draw_bboxes(np.array([[1, 1, 2, 2]] * 2), edge_colors=["r", "g", "b"])


def test_no_boxes_draw_nothing() -> None:
    assert not changed(Canvas(blank()).draw_bboxes(np.zeros((0, 4)))).any()


def test_shapes_outside_the_image_are_clipped() -> None:
    canvas = Canvas(blank())

    canvas.draw_bboxes(np.array([-1000, -1000, -900, -900]))
    canvas.draw_circles(np.array([200, 200]), np.array([3]))
    assert not changed(canvas).any()

    canvas.draw_circles(np.array([60, 20]), np.array([10]), face_colors="r")
    assert changed(canvas)[20, 55]


@pytest.mark.parametrize("style", ["--", ":", "-.", "dashed"])
def test_line_style_leaves_gaps(style: str) -> None:
    x, y = np.array([0, 59]), np.array([20, 20])

    whole = changed(Canvas(blank()).draw_lines(x, y))[20]
    dashed = changed(Canvas(blank()).draw_lines(x, y, line_styles=style))[20]

    assert whole.all()
    assert 0.2 < dashed.mean() < 0.95


def test_unknown_line_style_raises_and_lists_the_choices() -> None:
    with pytest.raises(ValueError, match=re.escape("'-', '--'")):
        Canvas(blank()).draw_lines(np.array([0, 1]), np.array([0, 1]), line_styles="~")


def test_circle_is_drawn_with_its_radius() -> None:
    canvas = Canvas(blank()).draw_circles(
        torch.tensor([30, 20]), torch.tensor([10]), edge_colors="none", face_colors="r", alpha=1
    )

    drawn = changed(canvas)
    assert drawn[20, 21:40].all()
    assert not drawn[20, :19].any()
    assert abs(drawn.sum() - np.pi * 100) < 40


@pytest.mark.parametrize(
    "polygons",
    [
        np.array([[10, 10], [30, 10], [30, 30], [10, 30]]),
        np.array([10, 10, 30, 10, 30, 30, 10, 30]),
        [
            torch.tensor([10, 10, 30, 10, 30, 30, 10, 30]),
            np.array([[1, 1], [5, 1], [1, 5]]),
        ],
    ],
    ids=["rows", "flat", "several"],
)
def test_polygons_are_filled(polygons: object) -> None:
    canvas = Canvas(blank()).draw_polygons(polygons, face_colors="b", edge_colors="none", alpha=1)  # type: ignore[arg-type]  # the forms are the test's subject

    assert tuple(canvas.get_image()[20, 20]) == (0, 0, 255)


@pytest.mark.parametrize("marker", [None, "o", ".", "s", "^", "v", "<", ">", "D", "+", "x"])
def test_points_are_marked_around_their_position(marker: str | None) -> None:
    canvas = Canvas(blank()).draw_points(np.array([30, 20]), marker=marker, sizes=np.array([64]))

    rows, columns = np.nonzero(changed(canvas))
    assert len(rows)
    assert abs(rows.mean() - 20) < 1.5
    assert abs(columns.mean() - 30) < 1.5
    assert rows.max() - rows.min() <= 14


def test_text_is_aligned_to_its_position() -> None:
    def columns(alignment: str) -> np.ndarray:
        canvas = Canvas(blank()).draw_texts(
            "cat",
            torch.tensor([30, 10]),
            horizontal_alignments=alignment,  # type: ignore[arg-type]  # parametrized by name
        )
        return np.nonzero(changed(canvas))[1]

    assert columns("left").min() >= 29
    assert columns("right").max() <= 31
    assert abs(columns("center").mean() - 30) < 4


def test_text_is_drawn_on_top_of_its_box() -> None:
    canvas = Canvas(blank()).draw_texts(
        ["a", "b"],
        np.array([[5, 5], [40, 5]]),
        colors="w",
        font_sizes=[12, 20],
        bboxes=[{"facecolor": "r", "edgecolor": "none"}, {"facecolor": "b", "boxstyle": "round"}],
    )

    image = canvas.get_image()
    assert (image == RED).all(axis=2).any()
    assert (image == (0, 0, 255)).all(axis=2).any()


def test_text_box_with_an_unknown_key_raises() -> None:
    with pytest.raises(ValueError, match="facecolr"):
        Canvas(blank()).draw_texts("a", np.array([1, 1]), bboxes={"facecolr": "r"})


def test_masks_color_their_pixels_only() -> None:
    masks = torch.zeros(2, 40, 60, dtype=torch.bool)
    masks[0, :10, :10] = True
    masks[1, 20:, 30:] = True

    image = Canvas(blank()).draw_binary_masks(masks, colors=["r", "b"], alphas=[1, 0.5]).get_image()

    assert tuple(image[5, 5]) == RED
    assert np.allclose(image[30, 40], (0, 0, 127), atol=1)
    assert not image[15, 15].any()


def test_mask_of_another_size_raises() -> None:
    with pytest.raises(ValueError, match=r"\(N, 40, 60\)"):
        Canvas(blank()).draw_binary_masks(np.ones((20, 20)))


def test_calls_chain_and_overlay() -> None:
    canvas = Canvas(blank())

    result = canvas.draw_texts("cat", torch.tensor([10, 20])).draw_circles(
        torch.tensor([40, 20]), torch.tensor([8])
    )

    assert result is canvas


def test_gray_image_is_converted_to_rgb_without_changing_the_argument() -> None:
    gray = np.full((10, 12), 300.0)
    canvas = Canvas(gray).draw_bboxes(np.array([0, 0, 5, 5]), edge_colors="k")

    assert canvas.get_image().shape == (10, 12, 3)
    assert (gray == 300).all()


def test_canvas_without_an_image_raises() -> None:
    with pytest.raises(RuntimeError, match="set_image"):
        Canvas().draw_bboxes(np.array([0, 0, 1, 1]))


@pytest.mark.parametrize("reduction", ["squeeze_mean", "select_max"])
def test_featmap_is_reduced_and_blended_with_the_image(reduction: str) -> None:
    featmap = torch.rand(8, 5, 7)

    picture = draw_featmap(featmap, blank(), channel_reduction=reduction)  # type: ignore[arg-type]  # parametrized by name

    assert picture.shape == (40, 60, 3)
    assert picture.dtype == np.uint8


def test_featmap_select_max_shows_the_channel_with_the_largest_sum() -> None:
    featmap = torch.zeros(3, 4, 4)
    featmap[1, 2, 3] = 5.0

    picture = draw_featmap(featmap, channel_reduction="select_max")

    hottest = picture.astype(int).sum(axis=2).argmax()
    assert divmod(int(hottest), 4) == (2, 3)


def test_featmap_grid_shows_the_top_channels_in_order() -> None:
    featmap = torch.zeros(10, 4, 4)
    featmap[7, :2], featmap[3, 0] = 9.0, 4.0

    picture = draw_featmap(featmap, channel_reduction=None, topk=5, arrangement=(2, 3))

    assert picture.shape == (2 * 4 + 2, 3 * 4 + 2 * 2, 3)
    assert (picture[:2, :4] == picture[0, 0]).all()
    assert (picture[-4:, -4:] == 255).all()  # the sixth place stays empty


def test_featmap_of_three_channels_is_an_image() -> None:
    picture = draw_featmap(
        torch.rand(3, 4, 6), channel_reduction=None, topk=-1, resize_shape=(8, 9)
    )

    assert picture.shape == (8, 9, 3)


@pytest.mark.parametrize(
    ("featmap", "arguments", "message"),
    [
        (torch.rand(2, 3), {}, "C, H, W"),
        (torch.rand(2, 3, 3), {"channel_reduction": None, "topk": -1}, "channel_reduction"),
        (
            torch.rand(9, 3, 3),
            {"channel_reduction": None, "topk": 9, "arrangement": (2, 4)},
            "2 x 4",
        ),
        (torch.rand(9, 3, 3), {"channel_reduction": "mean"}, "squeeze_mean"),
    ],
    ids=["dimensions", "channels", "grid", "reduction"],
)
def test_featmap_with_invalid_arguments_raises(
    featmap: torch.Tensor, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        draw_featmap(featmap, **arguments)
