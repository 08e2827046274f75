"""Inferencer: inputs of every kind, predictions of every form, pictures, and failures."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from engine_config import Config
from engine_model import BaseModel
from engine_registry import INFERENCERS, TRANSFORMS
from engine_runner.infer import Inferencer, list_inputs
from engine_structures import BaseDataElement, InstanceData, LabelData


@pytest.fixture
def inferencer(config: Config, weights: Path) -> Inferencer:
    return Inferencer(config, weights, device="cpu")


def names_of(results: dict[str, Any]) -> list[str]:
    return [one["pred_label"]["class_names"][0] for one in results["predictions"]]


def test_registry_builds_it(config: Config, weights: Path) -> None:
    cfg = {"type": "Inferencer", "model": config, "weights": str(weights), "device": "cpu"}

    assert isinstance(INFERENCERS.build(cfg), Inferencer)


def test_folder_stands_for_its_pictures(inferencer: Inferencer, pictures: Path) -> None:
    results = inferencer(pictures, batch_size=2)

    assert names_of(results) == ["bright", "dark", "bright"]
    assert results["predictions"][0] == {"pred_label": {"label": [1], "class_names": ["bright"]}}


def test_inputs_of_every_kind_are_predicted(
    inferencer: Inferencer, pictures: Path, serve: Callable[[Path], str]
) -> None:
    bright = np.full((8, 8, 3), 200, dtype=np.uint8)

    results = inferencer(
        [
            pictures / "b_dark.png",
            f"{serve(pictures)}/a_bright.png",
            bright,
            torch.from_numpy(bright).permute(2, 0, 1),
            Image.fromarray(bright[..., 0]),
            {"img": bright // 4},
        ],
        batch_size=4,
    )

    assert names_of(results) == ["dark", "bright", "bright", "bright", "bright", "dark"]


def test_array_of_the_caller_is_not_changed(config: Config) -> None:
    def darken(sample: dict[str, Any]) -> dict[str, Any]:
        sample["img"][:] = 0
        return sample

    config.test_dataloader.dataset.pipeline.insert(0, darken)
    array = np.full((8, 8, 3), 200, dtype=np.uint8)

    Inferencer(config, device="cpu")([array])

    assert (array == 200).all()


def test_pattern_stands_for_the_files_that_match(pictures: Path) -> None:
    found = list_inputs([str(pictures / "*bright.png"), "nothing_*.png"])

    assert [Path(one).name for one in found] == ["a_bright.png", "c_bright.png", "nothing_*.png"]


def test_file_with_the_name_of_a_pattern_stands_for_itself(tmp_path: Path) -> None:
    (tmp_path / "scan[1].png").touch()

    assert list_inputs(tmp_path / "scan[1].png") == [str(tmp_path / "scan[1].png")]


def test_inputs_of_another_type_raise(inferencer: Inferencer) -> None:
    with pytest.raises(ValueError, match=r"inputs must be paths, .*, got int"):
        inferencer(3)


def test_predictions_stay_data_elements_on_request(inferencer: Inferencer, pictures: Path) -> None:
    [prediction] = inferencer(pictures / "b_dark.png", return_datasamples=True)["predictions"]

    assert isinstance(prediction, BaseDataElement)
    assert int(prediction.pred_label.label) == 0


def test_picture_has_the_name_of_the_class_on_it(inferencer: Inferencer, pictures: Path) -> None:
    [drawn] = inferencer(pictures / "b_dark.png")["visualization"]

    assert drawn.shape == (240, 360, 3)  # magnified six times
    assert (drawn[120:, 180:] == 50).all()
    assert (drawn[:40, :80, 0] > 150).any()  # the red box of the text


def test_nothing_is_drawn_without_draw(inferencer: Inferencer, pictures: Path) -> None:
    assert inferencer(pictures, draw=False)["visualization"] == [None, None, None]


def test_boxes_are_drawn_where_they_are(config: Config, weights: Path, pictures: Path) -> None:
    class Boxes(Inferencer):
        def split(self, predictions: Any) -> list[Any]:
            found = InstanceData(
                bboxes=torch.tensor([[10.0, 10.0, 30.0, 30.0]]),
                labels=torch.tensor([1]),
                scores=torch.tensor([0.75]),
            )
            return [BaseDataElement(pred_instances=found) for _ in predictions]

    results = Boxes(config, weights, device="cpu")(pictures / "b_dark.png")

    assert results["visualization"][0].shape == (160, 240, 3)  # boxes enlarged, too
    assert results["predictions"][0]["pred_instances"] == {
        "bboxes": [[10.0, 10.0, 30.0, 30.0]],
        "labels": [1],
        "scores": [0.75],
        "class_names": ["bright"],
    }


@pytest.mark.parametrize(
    ("output", "records"),
    [
        pytest.param(lambda n: torch.arange(n), [0, 1], id="tensor"),
        pytest.param(
            lambda n: {"label": torch.arange(n), "score": torch.ones(n, 2)},
            [
                {"label": 0, "score": [1.0, 1.0], "class_names": ["dark"]},
                {"label": 1, "score": [1.0, 1.0], "class_names": ["bright"]},
            ],
            id="dict",
        ),
        pytest.param(lambda n: (torch.arange(n), torch.ones(n)), [[0, 1.0], [1, 1.0]], id="tuple"),
        pytest.param(lambda n: ["a", "b"], ["a", "b"], id="list"),
        pytest.param(lambda n: [float("nan"), np.float32(2)], [None, 2.0], id="not finite"),
    ],
)
def test_predictions_of_every_form_are_split(
    config: Config,
    weights: Path,
    pictures: Path,
    output: Callable[[int], Any],
    records: list[Any],
) -> None:
    class Formed(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.threshold = torch.nn.Parameter(torch.zeros(1))

        def forward(self, inputs: list[Tensor], mode: str = "tensor") -> Any:
            return output(len(inputs))

    config.model = {"type": Formed}
    two = [pictures / "a_bright.png", pictures / "b_dark.png"]

    results = Inferencer(config, weights, device="cpu")(two, batch_size=2)

    assert results["predictions"] == records
    assert json.loads(json.dumps(results["predictions"], allow_nan=False)) == records
    assert all(drawn.any() for drawn in results["visualization"])


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ("text", r"must be a list with one item per input, .* got str; override split"),
        ({"a": torch.zeros(2), "b": torch.zeros(3)}, r"one row per input, got \[2, 3\] rows"),
    ],
    ids=["a text", "other lengths"],
)
def test_predictions_that_cannot_be_split_raise(
    inferencer: Inferencer, predictions: Any, message: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        inferencer.split(predictions)


def test_predictions_of_another_number_raise(config: Config, weights: Path, pictures: Path) -> None:
    class Joined(Inferencer):
        def split(self, predictions: Any) -> list[Any]:
            return list(predictions[:1])

    with pytest.raises(ValueError, match="one item per input, got 1 for 3"):
        list(Joined(config, weights, device="cpu").stream(pictures, batch_size=3))


def test_stream_names_what_it_skips_and_keeps_the_order(
    inferencer: Inferencer, pictures: Path
) -> None:
    (pictures / "b_broken.png").write_bytes((pictures / "a_bright.png").read_bytes()[:60])
    (pictures / "b_text.png").write_text("no picture")

    results = list(inferencer.stream([pictures, pictures / "missing.png"], batch_size=2))

    assert [Path(one.name).name for one in results] == [
        "a_bright.png",
        "b_broken.png",
        "b_dark.png",
        "b_text.png",
        "c_bright.png",
        "missing.png",
    ]
    errors = [one.error for one in results]
    assert errors[0] is errors[2] is errors[4] is None
    assert "damaged" in str(errors[1])
    assert errors[3] == "not a picture of a known format"
    assert errors[5] == "no such file"
    assert results[4].picture is not None


def test_call_raises_for_an_input_that_cannot_be_read(inferencer: Inferencer) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        inferencer("missing.png")


def test_address_is_downloaded_once(
    inferencer: Inferencer,
    pictures: Path,
    serve: Callable[[Path], str],
    requests: list[str],
) -> None:
    requests.clear()

    [one] = inferencer.stream([f"{serve(pictures)}/b_dark.png"])

    assert one.picture is not None
    assert requests == ["GET /b_dark.png"]


def test_changed_file_is_read_anew(inferencer: Inferencer, pictures: Path) -> None:
    before = names_of(inferencer(pictures / "b_dark.png"))
    shutil.copy(pictures / "a_bright.png", pictures / "b_dark.png")

    assert [*before, *names_of(inferencer(pictures / "b_dark.png"))] == ["dark", "bright"]


def test_sixteen_bits_become_eight(inferencer: Inferencer, tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 60000, dtype=np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(np.full((8, 8), 20000, dtype=np.uint16)).save(tmp_path / "low.png")

    assert names_of(inferencer([tmp_path / "deep.png", tmp_path / "low.png"])) == ["bright", "dark"]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 3)), "an array must be of type uint8, .* got float64"),
        (np.zeros((4, 4, 7), dtype=np.uint8), r"must have shape \(H, W, 3\) or \(H, W\), got"),
    ],
    ids=["floats", "seven channels"],
)
def test_unfit_array_raises(inferencer: Inferencer, array: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inferencer([array])


def test_pipeline_that_reads_files_gets_their_paths(
    config: Config, weights: Path, pictures: Path
) -> None:
    @TRANSFORMS.register_module()
    class LoadImageFromFile:
        def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
            assert list(sample) == ["img_path"]
            return {"img": np.asarray(Image.open(sample["img_path"])).copy()}

    config.test_dataloader.dataset.pipeline.insert(0, {"type": "LoadImageFromFile"})
    inferencer = Inferencer(config, weights, device="cpu")

    assert names_of(inferencer(pictures)) == ["bright", "dark", "bright"]
    with pytest.raises(
        ValueError, match=r"inputs must be paths, as the transform LoadImageFromFile"
    ):
        inferencer([np.zeros((4, 4, 3), dtype=np.uint8)])


def test_pipeline_inside_wrappers_of_the_dataset_is_found(config: Config, pictures: Path) -> None:
    inner = dict(config.test_dataloader.dataset)
    config.test_dataloader.dataset = {"type": "RepeatDataset", "times": 2, "dataset": inner}

    assert len(Inferencer(config, device="cpu")(pictures)["predictions"]) == 3


def test_config_without_a_pipeline_raises(config: Config) -> None:
    del config.test_dataloader

    with pytest.raises(ValueError, match=r"must have test_dataloader\.dataset\.pipeline"):
        Inferencer(config)


def test_rejected_sample_is_an_error_of_its_input(config: Config, pictures: Path) -> None:
    config.test_dataloader.dataset.pipeline = [lambda sample: None]

    [one] = Inferencer(config, device="cpu").stream(pictures / "b_dark.png")

    assert one.error == "the pipeline rejects it: a transform returned None"


def test_pictures_of_different_sizes_in_a_batch_name_the_way_out(
    config: Config, pictures: Path
) -> None:
    config.test_dataloader.collate_fn = {"type": "default_collate"}
    two = [pictures / "b_dark.png", np.zeros((4, 4, 3), dtype=np.uint8)]

    with pytest.raises(Exception, match=r"stack|size") as raised:
        list(Inferencer(config, device="cpu").stream(two, batch_size=2))

    assert any("use a batch size of 1" in note for note in raised.value.__notes__)


def test_metainfo_of_an_element_is_no_part_of_its_record(inferencer: Inferencer) -> None:
    element = BaseDataElement(metainfo={"img_path": Path("a")}, pred_label=LabelData(label=2))

    assert inferencer.record(element) == {"pred_label": {"label": 2}}  # no class has this number


def test_pipeline_is_that_of_the_first_of_several_sets(
    config: Config, weights: Path, pictures: Path
) -> None:
    others = {"dataset": {"pipeline": [{"type": "NotBuilt"}], "metainfo": {"classes": ["x"]}}}
    config.test_dataloader = {"first": config.test_dataloader, "second": others}

    results = Inferencer(config, weights, "cpu")(pictures / "a_bright.png")

    assert results["predictions"][0]["pred_label"]["class_names"] == ["bright"]


def test_file_with_a_question_mark_in_its_name_is_a_picture(
    inferencer: Inferencer, pictures: Path
) -> None:
    (pictures / "a_bright.png").rename(pictures / "what?.png")

    names = [Path(one.name).name for one in inferencer.stream(pictures)]

    assert names == ["b_dark.png", "c_bright.png", "what?.png"]


def test_file_that_no_transform_reads_is_named(inferencer: Inferencer, pictures: Path) -> None:
    [done] = inferencer.stream(pictures / "notes.txt")

    assert done.error == "no picture by its name, and the pipeline reads none"


def test_empty_path_raises(inferencer: Inferencer) -> None:
    with pytest.raises(ValueError, match="got an empty string"):
        inferencer("")


def test_prediction_that_cannot_be_drawn_is_kept(
    config: Config, weights: Path, pictures: Path
) -> None:
    class Failing(Inferencer):
        def visualize(self, inputs: Any, preds: Any, show: bool = False, **kwargs: Any) -> Any:
            if str(inputs[0]).endswith("a_bright.png"):
                raise ValueError("bboxes must be of a known mode")
            return super().visualize(inputs, preds, show=show, **kwargs)

    done = list(Failing(config, weights, "cpu").stream(pictures, batch_size=3))

    failed = [one for one in done if one.picture is None]
    assert len(failed) == 1
    assert failed[0].prediction is not None
    assert str(failed[0].error).startswith("not drawn: ValueError: bboxes must be")
