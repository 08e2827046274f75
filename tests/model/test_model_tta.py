"""Test-time augmentation: merge the predictions for several views."""

from typing import Any

import pytest
import torch
from torch import nn

from engine_model import BaseDataPreprocessor, BaseModel, BaseTTAModel
from engine_registry import MODELS
from engine_structures import BaseDataElement


class Scorer(BaseModel):
    """Scores each input; the scores go into copies of the data samples."""

    def __init__(self, data_preprocessor: Any = None) -> None:
        super().__init__(data_preprocessor)
        self.linear = nn.Linear(1, 1)

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        assert mode == "predict"
        return [
            BaseDataElement(score=self.linear(value), sample=sample)
            for value, sample in zip(inputs, data_samples, strict=True)
        ]


class Merging(BaseTTAModel):
    def merge_preds(self, data_samples_list: list[list[Any]]) -> list[Any]:
        return [
            (
                torch.stack([view.score for view in views]).mean().item(),
                [view.sample for view in views],
            )
            for views in data_samples_list
        ]


@pytest.fixture
def scorer() -> Scorer:
    scorer = Scorer()
    nn.init.constant_(scorer.linear.weight, 1.0)
    nn.init.constant_(scorer.linear.bias, 0.0)
    return scorer


def tensors(*values: float) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor([float(value)]) for value in values)


INPUTS = [tensors(1, 2, 3), tensors(10, 20, 30)]
SAMPLES = [("a1", "b1", "c1"), ("a2", "b2", "c2")]


@pytest.mark.parametrize(
    "data",
    [{"inputs": INPUTS, "data_samples": SAMPLES}, (INPUTS, SAMPLES), [INPUTS, SAMPLES]],
    ids=["dict", "tuple", "list"],
)
def test_views_of_each_sample_are_merged(scorer: Scorer, data: Any) -> None:
    assert Merging(scorer).test_step(data) == [
        (5.5, ["a1", "a2"]),
        (11.0, ["b1", "b2"]),
        (16.5, ["c1", "c2"]),
    ]


def test_a_tta_model_is_built_from_the_config_of_its_model() -> None:
    with MODELS.switch_scope_and_registry(None):
        cfg = {"type": Scorer}
        model = Merging(cfg, data_preprocessor={"type": "ImgDataPreprocessor"})
    assert type(model.module) is Scorer
    assert type(model.module.data_preprocessor).__name__ == "ImgDataPreprocessor"
    assert cfg == {"type": Scorer}


def test_a_given_preprocessor_replaces_that_of_the_model(scorer: Scorer) -> None:
    other = BaseDataPreprocessor()
    assert Merging(scorer, other).module.data_preprocessor is other


def test_without_a_preprocessor_the_model_keeps_its_own(scorer: Scorer) -> None:
    own = scorer.data_preprocessor
    assert Merging(scorer).module.data_preprocessor is own


def test_weights_have_the_names_of_the_inner_model(scorer: Scorer) -> None:
    model = Merging(scorer)
    assert list(model.state_dict()) == list(scorer.state_dict())
    nested = nn.Sequential(model)
    assert list(nested.state_dict()) == [f"0.{name}" for name in scorer.state_dict()]
    weights = {name: torch.full_like(value, 3) for name, value in scorer.state_dict().items()}
    model.load_state_dict(weights)
    assert scorer.linear.weight.item() == 3
    nested.load_state_dict({f"0.{name}": value * 2 for name, value in weights.items()})
    assert scorer.linear.weight.item() == 6


def test_weights_with_the_prefix_of_the_inner_model_load_too(scorer: Scorer) -> None:
    weights = {f"module.{name}": value * 0 for name, value in scorer.state_dict().items()}
    Merging(scorer).load_state_dict(weights)
    assert scorer.linear.weight.item() == 0


def test_forward_raises(scorer: Scorer) -> None:
    with pytest.raises(NotImplementedError, match="test_step"):
        Merging(scorer)(torch.zeros(1))


@pytest.mark.parametrize("module", [3, None], ids=repr)
def test_a_module_of_another_type_raises(module: Any) -> None:
    with pytest.raises(TypeError, match="a model or a dict"):
        Merging(module)


def test_a_module_without_test_step_raises() -> None:
    with pytest.raises(TypeError, match="Linear lacks"):
        Merging(nn.Linear(1, 1))


def test_merge_preds_must_be_implemented(scorer: Scorer) -> None:
    with pytest.raises(TypeError, match="merge_preds"):
        BaseTTAModel(scorer)  # type: ignore[abstract]  # wrong on purpose


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (torch.zeros(2), TypeError, "got Tensor"),
        ({"inputs": INPUTS, "data_samples": SAMPLES[:1]}, ValueError, r"\[2, 1\]"),
        ({"inputs": [], "data_samples": []}, ValueError, r"at least 1, got \[0, 0\]"),
    ],
    ids=["tensor", "unequal", "none"],
)
def test_batches_without_views_raise(
    scorer: Scorer, data: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Merging(scorer).test_step(data)


def test_views_with_different_numbers_of_predictions_raise(scorer: Scorer) -> None:
    data = {"inputs": [tensors(1, 2), tensors(1)], "data_samples": [("a", "b"), ("c",)]}
    with pytest.raises(ValueError, match=r"\[2, 1\]"):
        Merging(scorer).test_step(data)
