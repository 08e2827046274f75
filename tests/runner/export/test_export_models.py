"""Models in files that run without their Python code."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine_model import BaseDataPreprocessor, BaseModel
from engine_runner._errors import ExportError
from engine_runner.export import export_model, first_inputs, random_inputs


class Pictures(BaseModel):
    """A small network for pictures, whose outputs are a dict."""

    def __init__(self, preprocessor: Any = None) -> None:
        super().__init__(preprocessor)
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(0.5)

    def forward(self, inputs: Tensor, data_samples: Any, mode: str = "loss") -> Any:
        features = self.dropout(self.norm(self.conv(inputs)).relu().mean((2, 3)))
        if mode == "tensor":
            return {"features": features, "best": features.argmax(1)}
        return features.sum() if mode == "loss" else [features]


class Halve(BaseDataPreprocessor):
    """A preprocessor of batches with two parts."""

    def forward(self, data: Any, training: bool = False) -> Any:
        images, labels = super().forward(data, training)
        return images / 2, labels


class Sums(BaseModel):
    def forward(self, images: Tensor, labels: Any = None, mode: str = "loss") -> Tensor:
        return images.sum(1) if labels is None else labels


class FixedBatch(BaseModel):
    def forward(self, inputs: Tensor, mode: str = "loss") -> Tensor:
        return inputs.view(2, 4)


class RandomNumbers(BaseModel):
    def forward(self, inputs: Tensor, mode: str = "loss") -> Tensor:
        return inputs + torch.rand_like(inputs)


class Branches(BaseModel):
    def forward(self, inputs: Tensor, mode: str = "loss") -> Tensor:
        return inputs if inputs.sum() > 0 else -inputs


class Length(BaseModel):
    def forward(self, inputs: Tensor, mode: str = "loss") -> Tensor:
        return inputs * torch.full((len(inputs), 1), 2.0)


class InPlace(BaseModel):
    def forward(self, inputs: Tensor, mode: str = "loss") -> Tensor:
        return inputs.mul_(2) + 1


class Words(BaseModel):
    def forward(self, inputs: Tensor, mode: str = "loss") -> list[str]:
        return ["words"]


NORMALIZE = {"type": "ImgDataPreprocessor", "mean": [0.5], "std": [2.0]}


@pytest.mark.parametrize("included", [False, True], ids=["without", "with"])
def test_exported_program_computes_what_the_model_does(tmp_path: Path, included: bool) -> None:
    model = Pictures(NORMALIZE).train()
    dtype = torch.uint8 if included else torch.float32
    inputs = random_inputs(model, [(1, 1, 8, 8)], dtype)

    report = export_model(model, inputs, tmp_path / "m.pt2", with_preprocessor=included)

    assert report.inputs == {"inputs": f"(N, 1, 8, 8) {str(dtype).removeprefix('torch.')}"}
    assert report.batch_sizes == (1, 3)
    assert report.max_difference < 1e-5
    assert model.training
    assert model.dropout.training
    batch = random_inputs(model, [(5, 1, 8, 8)], dtype)["inputs"]
    exported = torch.export.load(tmp_path / "m.pt2").module()(batch)
    model.eval()
    data = {"inputs": batch, "data_samples": None}
    expected = model(**(model.data_preprocessor(data) if included else data), mode="tensor")
    torch.testing.assert_close(exported, expected)


def test_preprocessor_of_batches_with_several_parts_is_exported(tmp_path: Path) -> None:
    inputs = {"images": torch.ones(2, 4)}

    export_model(Sums(Halve()), inputs, tmp_path / "m.pt2", with_preprocessor=True)

    assert torch.export.load(tmp_path / "m.pt2").module()(torch.ones(1, 4)).tolist() == [2.0]


@pytest.mark.slow
def test_onnx_file_computes_what_the_model_does(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    model = Pictures(NORMALIZE)
    inputs = random_inputs(model, [(1, 1, 8, 8)])

    report = export_model(model, inputs, tmp_path / "m.onnx", with_preprocessor=True)

    assert report.max_difference < 1e-5
    batch = random_inputs(model, [(4, 1, 8, 8)])["inputs"]
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    features, best = session.run(None, {"inputs": batch.numpy()})
    expected = model.eval()(model.data_preprocessor({"inputs": batch})["inputs"], None, "tensor")
    torch.testing.assert_close(torch.from_numpy(features), expected["features"].detach())
    assert best.tolist() == expected["best"].tolist()


def test_fixed_batch_exports_a_model_for_one_size(tmp_path: Path) -> None:
    inputs = {"inputs": torch.ones(2, 4)}
    with pytest.raises(ExportError, match=r"shape \(1, 4\).*dynamic_batch=False \(--fixed-batch\)"):
        export_model(FixedBatch(), inputs, tmp_path / "m.pt2")

    report = export_model(FixedBatch(), inputs, tmp_path / "m.pt2", dynamic_batch=False)

    assert report.inputs == {"inputs": "(2, 4) float32"}


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (RandomNumbers(), "the exported outputs differ by"),
        (Branches(), r"the values of a tensor at .*test_export_models.py:\d+ \(return inputs if"),
        (Length(), r"a constant of the batch size, as len\(x\) does; .*--fixed-batch"),
        (Words(), "Words.forward must return tensors for mode='tensor', got list"),
        (Pictures(), r"Pictures cannot compute inputs of the shape \(2, 4\)"),
    ],
    ids=["random", "branches", "length", "no-tensors", "shape"],
)
def test_failed_export_raises_and_leaves_the_folder_as_it_was(
    tmp_path: Path, model: nn.Module, words: str
) -> None:
    (tmp_path / "m.pt2").write_bytes(b"an older one")

    with pytest.raises(ExportError, match=words):
        export_model(model, {"inputs": torch.ones(2, 4)}, tmp_path / "m.pt2")

    assert [path.name for path in tmp_path.iterdir()] == ["m.pt2"]
    assert (tmp_path / "m.pt2").read_bytes() == b"an older one"


def test_inputs_that_the_model_changes_in_place_stay_as_they_are(tmp_path: Path) -> None:
    inputs = {"inputs": torch.ones(2, 4)}

    export_model(InPlace(), inputs, tmp_path / "m.pt2")

    torch.testing.assert_close(inputs["inputs"], torch.ones(2, 4))


@pytest.mark.slow
def test_type_that_the_runtime_lacks_is_an_error_of_the_export(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model = nn.Linear(4, 2).bfloat16()
    inputs = {"input": torch.ones(2, 4).bfloat16()}

    with pytest.raises(ExportError, match=r"the exported \.onnx cannot be loaded"):
        export_model(model, inputs, tmp_path / "m.onnx")

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("inputs", "options", "words"),
    [
        ({"inpts": torch.ones(1, 1)}, {}, "must be parameters of RandomNumbers.forward"),
        ({"inputs": torch.tensor(1.0)}, {}, "must have a batch dimension"),
        ({"inputs": torch.ones(0, 1)}, {}, "one batch size of at least 1, got"),
        ({"input": torch.ones(1, 2)}, {"with_preprocessor": True}, "Linear has no data_preproc"),
    ],
    ids=["name", "scalar", "empty", "preprocessor"],
)
def test_wrong_inputs_raise(
    tmp_path: Path, inputs: dict[str, Tensor], options: dict[str, Any], words: str
) -> None:
    model = nn.Linear(2, 1) if options else RandomNumbers()
    with pytest.raises(ExportError, match=words):
        export_model(model, inputs, tmp_path / "m.pt2", **options)


def test_more_shapes_than_parameters_raise() -> None:
    with pytest.raises(ExportError, match=r"at most 2, as Pictures.forward has the parameters"):
        random_inputs(Pictures(), [(1,), (1,), (1,)])


class Samples(torch.utils.data.Dataset[dict[str, Any]]):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"inputs": torch.full((1, 4, 4), float(index)), "data_samples": index}


@pytest.mark.parametrize("included", [False, True], ids=["without", "with"])
@pytest.mark.parametrize("collate", ["pseudo_collate", "default_collate"])
@pytest.mark.parametrize("sets", ["one", "several"])
def test_first_sample_of_the_data_is_the_input(included: bool, collate: str, sets: str) -> None:
    loader: dict[str, Any] = {
        "dataset": Samples(),
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "collate_fn": {"type": collate},
        "batch_size": 2,
        "num_workers": 2,
        "persistent_workers": True,
    }
    if sets == "several":
        loader = {"first": loader, "second": loader}

    inputs = first_inputs(Pictures(NORMALIZE), loader, with_preprocessor=included)

    value = 0.0 if included else -0.25
    torch.testing.assert_close(inputs, {"inputs": torch.full((1, 1, 4, 4), value)})


def test_input_that_is_not_a_tensor_raises() -> None:
    with pytest.raises(ExportError, match="'words' of the first sample must be a tensor, got str"):
        first_inputs(nn.Linear(1, 1), [{"words": "text"}])
