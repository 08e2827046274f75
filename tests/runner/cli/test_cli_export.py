"""``engine export``: a model in a file that runs without its Python code."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    from tests.runner.conftest import Command


@pytest.fixture
def weights(project: Path) -> Path:
    """Return the project with weights of its model, and others that lack one."""
    state = {"linear.weight": torch.tensor([[3.0]]), "linear.bias": torch.tensor([1.0])}
    torch.save({"state_dict": state}, project / "w.pth")
    del state["linear.bias"]
    torch.save({"state_dict": state}, project / "half.pth")
    return project


def test_export_takes_the_first_sample_of_the_test_data(command: "Command", weights: Path) -> None:
    done = command("export", "cfg.py", "w.pth", "--out", "m.pt2")

    assert "exported m.pt2" in done.stdout
    assert "x (N, 1) float32" in done.stdout
    assert "max difference:" in done.stdout
    assert not (weights / "work_dirs").exists()
    y, _ = torch.export.load(weights / "m.pt2").module()(torch.tensor([[1.0], [2.0]]))
    assert y.tolist() == [[4.0], [7.0]]


def test_export_takes_shapes_and_names_the_file_after_the_checkpoint(
    command: "Command", weights: Path
) -> None:
    shapes = ["--input-shape", "2,1", "--input-shape", "2,5", "--input-dtype", "float64"]
    without = ["--cfg-options", "test_dataloader=None", "val_dataloader=None"]

    error = command("export", "cfg.py", "w.pth", *shapes, code=1).stderr

    assert "Line cannot compute inputs of the shape (2, 1), (2, 5)" in error
    done = command("export", "cfg.py", "w.pth", *shapes[:4], "--fixed-batch", *without)
    assert "exported w.pt2" in done.stdout
    assert "y (2, 5) float32" in done.stdout
    assert "(batch size 2)" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["w.pth", "--out", "m.txt"], 2, "--out must end with .pt2 or .onnx, got 'm.txt'"),
        (["w.pth", "--out", "m.pt2", "--format", "onnx"], 2, "--out must end with .onnx"),
        (["w.pth", "--out", "no/m.pt2"], 1, "there is no folder"),
        (["w.pth", "--input-shape", "1,x"], 2, "must be sizes such as 1,3,224,224, got '1,x'"),
        (["w.pth", "--input-dtype", "int64"], 2, "--input-dtype needs --input-shape"),
        (["no.pth"], 2, "no such checkpoint: no.pth"),
        (["half.pth"], 1, "--partial exports the model all the same"),
        (
            ["w.pth", "--cfg-options", "test_dataloader=None", "val_dataloader=None"],
            2,
            "so --input-shape must be given",
        ),
        (["w.pth", "--cfg-options", "model.bais=1"], 1, "did you mean 'bias'?"),
    ],
    ids=[
        *("ending", "format", "folder", "shape", "dtype", "checkpoint", "partial", "data"),
        "model",
    ],
)
def test_export_that_cannot_be_made_is_an_error_and_leaves_nothing(
    command: "Command", weights: Path, arguments: list[str], code: int, words: str
) -> None:
    before = {path for path in weights.rglob("*") if "__pycache__" not in path.parts}

    done = command("export", "cfg.py", *arguments, code=code)

    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert {path for path in weights.rglob("*") if "__pycache__" not in path.parts} == before


def test_partial_exports_a_model_without_all_its_weights(command: "Command", weights: Path) -> None:
    command("export", "cfg.py", "half.pth", "--partial", "--out", "m.pt2")

    assert (weights / "m.pt2").is_file()
