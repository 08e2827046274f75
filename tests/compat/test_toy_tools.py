"""The tools of the toy library run as they are: test, predict, analyze, publish, browse."""

import ast
import json
import pickle
import re
import runpy
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

if TYPE_CHECKING:
    from tests.compat.conftest import Toy

pytestmark = pytest.mark.slow

Analyze = Callable[..., str]


def _metrics(output: str) -> dict[str, float]:
    [line] = re.findall(r"Epoch\(test\) \[\d+/\d+\] +(accuracy/.*)$", output, re.M)
    return {name: float(value) for name, value in re.findall(r"(accuracy/\w+): ([\d.]+)", line)}


def _last_validation(toy: "Toy") -> dict[str, float]:
    [*_, last] = [row for row in toy.records("toynet_4e_shapes") if "accuracy/top1" in row]
    return {name: round(value, 4) for name, value in last.items() if "/" in name}


@pytest.mark.parametrize("name", ["test", "two_test"], ids=["one-rank", "two-ranks"])
def test_test_tool_gives_the_accuracy_of_the_training(toy: "Toy", name: str) -> None:
    assert _metrics(toy.output(name)) == pytest.approx(_last_validation(toy))


def test_tta_merges_the_views_on_one_and_two_ranks(toy: "Toy") -> None:
    metrics = _metrics(toy.output("tta"))

    assert metrics == _metrics(toy.output("two_tta"))
    predictions = pickle.loads((toy.folder / "work_dirs" / "tta.pkl").read_bytes())
    assert len(predictions) == 24
    labels = [int(one["pred_label"]["label"]) for one in predictions]
    right = [
        int(one["gt_label"]["label"]) == label
        for one, label in zip(predictions, labels, strict=True)
    ]
    assert metrics["accuracy/top1"] == pytest.approx(100 * np.mean(right), abs=1e-4)


def test_tta_scores_are_the_means_of_both_views(toy: "Toy") -> None:
    toy.output("tta")
    predictions = pickle.loads((toy.folder / "work_dirs" / "tta.pkl").read_bytes())
    single = json.loads(toy.output("predict").splitlines()[-1])["api_score"]

    # A horizontal stroke is the same when flipped, up to its noise.
    scores = predictions[0]["pred_label"]["score"]
    assert scores.sum().item() == pytest.approx(1)
    assert scores.max().item() != single[0]
    assert scores.max().item() == pytest.approx(single[0], abs=0.1)


def test_visualizer_of_the_library_saves_drawn_pictures(toy: "Toy") -> None:
    toy.output("test")

    pictures = sorted((toy.folder / "work_dirs" / "shown").rglob("sample_*.png"))

    assert [picture.name for picture in pictures] == [f"sample_{n}_0.png" for n in (0, 16, 8)]


def test_browse_tool_draws_what_the_pipeline_returns(toy: "Toy") -> None:
    toy.output("browse")

    pictures = sorted((toy.folder / "work_dirs" / "browsed").glob("*.npy"))

    assert [picture.stem for picture in pictures] == ["000", "001", "002", "003"]
    drawn = np.load(pictures[0])
    assert drawn.shape == (64, 64, 3)
    assert (drawn[:12] == 255).any()  # the text


def test_inferencer_api_and_hub_predict(toy: "Toy") -> None:
    found = json.loads(toy.output("predict").splitlines()[-1])

    assert found["model_path"] == "https://mmtoy.example.org/toynet_4e_shapes-0a1b2c3d.pth"
    assert found["max_epochs"] == 4
    assert found["of_hub"] == "mmtoy.models.classifiers.toy_classifier.ToyClassifier"
    assert found["listed"] == {"toynet_4e_shapes": ["toynet"], "toynet-wide_16i_shapes": []}
    assert found["classes"] == ["horizontal", "vertical", "diagonal"]
    assert found["api"][:2] == [0, 1]
    assert found["from_weights"] == found["api"]
    assert [one["pred_labels"][0] for one in found["by_name"]] == found["api"]
    assert [one["pred_scores"][0] for one in found["by_name"]] == pytest.approx(found["api_score"])
    assert found["by_name"][1]["pred_class"] == "vertical"
    assert found["drawn"] == [[64, 64, 3]] * 3


def test_published_model_has_weights_and_classes_alone(toy: "Toy") -> None:
    output = toy.output("publish")

    [path] = (toy.folder / "work_dirs").glob("toynet_????????-????????.pth")
    assert f"The published model is saved at work_dirs/{path.name}." in output
    published = torch.load(path, map_location="cpu", weights_only=False)
    assert set(published) == {"meta", "state_dict"}
    assert published["meta"]["dataset_meta"]["classes"]
    trained = toy.weights("toynet_4e_shapes")
    assert all(torch.equal(value, trained[name]) for name, value in published["state_dict"].items())


def test_printed_config_is_the_merged_one(toy: "Toy") -> None:
    output = toy.output("print_config")

    text = (toy.folder / "printed.py").read_text()
    assert text.strip() in output
    values: dict[str, Any] = {}
    exec(compile(ast.parse(text), "printed.py", "exec"), values)
    dataset = values["train_dataloader"]["dataset"]
    assert (dataset["type"], dataset["dataset"]["type"]) == ("RepeatDataset", "ShapesDataset")
    assert dataset["dataset"]["pipeline"] == values["train_pipeline"]
    assert values["model"]["head"]["loss"] == {"type": "ToyCELoss", "label_smooth": 0.1}
    assert [hook["type"] for hook in values["custom_hooks"]] == ["CountSamplesHook", "EMAHook"]


def test_flops_tool_counts_the_model(toy: "Toy") -> None:
    output = toy.output("flops")

    assert "Params: 375\n" in output
    assert re.search(r"Flops: \d+(\.\d+)?K", output)
    assert "backbone" in output


def test_own_tests_of_the_library_pass(toy: "Toy") -> None:
    assert re.search(r"^11 passed", toy.output("own_tests"), re.M)


@pytest.fixture
def analyze(
    toy: "Toy", monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Analyze:
    """Return a function that analyzes the logs of a run, which needs neither torch nor mmengine."""
    tool = str(toy.folder / "tools" / "analysis_tools" / "analyze_logs.py")

    def run(name: str, task: str, *arguments: str) -> str:
        files = sorted((toy.folder / "work_dirs" / name).glob("2*/vis_data/2*.json"))
        monkeypatch.setattr(sys, "argv", [tool, task, *map(str, files), *arguments])
        runpy.run_path(tool, run_name="__main__")
        return capsys.readouterr().out

    return run


def test_analysis_of_logs_finds_times_and_curves(toy: "Toy", analyze: Analyze) -> None:
    toy.output("train")

    assert re.search(
        r"^slowest epoch \d, average", analyze("toynet_4e_shapes", "cal_train_time"), re.M
    )

    curves = analyze("toynet_4e_shapes", "print_curve", "--keys", "loss", "accuracy/top1")
    loss, accuracy = (line.split(" ")[1:] for line in curves.splitlines())
    assert len(loss) == len(accuracy) == 4
    assert float(loss[-1]) < float(loss[0])
    assert float(accuracy[-1]) > float(accuracy[0])


def test_analysis_of_logs_reads_a_training_by_iterations(toy: "Toy", analyze: Analyze) -> None:
    toy.output("iterations")

    curves = analyze("iterations", "print_curve", "--keys", "accuracy/top1")

    assert len(curves.split(" ")[1:]) == 2
