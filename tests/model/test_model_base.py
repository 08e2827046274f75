"""BaseModel: the steps, the losses, the device."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine_model import BaseDataPreprocessor, BaseModel, BaseModule


class Echo(BaseModel):
    """Returns what it was called with."""

    def forward(self, *args: Any, mode: str = "tensor", **kwargs: Any) -> Any:
        return args, kwargs, mode


class Doubling(nn.Module):
    def forward(self, data: Any, training: bool = True) -> Any:
        return [data[0] * 2, training]


def test_base_model_without_forward_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="forward"):
        BaseModel()  # type: ignore[abstract]  # wrong on purpose


def test_base_model_is_a_base_module_with_a_default_preprocessor(linear_model: Any) -> None:
    assert isinstance(linear_model, BaseModule)
    assert type(linear_model.data_preprocessor) is BaseDataPreprocessor


@pytest.mark.parametrize(
    "value", [{"type": "BaseDataPreprocessor"}, BaseDataPreprocessor()], ids=["config", "module"]
)
def test_base_model_takes_a_preprocessor(value: Any) -> None:
    given = dict(value) if isinstance(value, dict) else None
    assert isinstance(Echo(data_preprocessor=value).data_preprocessor, BaseDataPreprocessor)
    assert given is None or value == given


def test_base_model_raises_for_a_preprocessor_of_another_type() -> None:
    with pytest.raises(TypeError, match="a module or a dict, got 3"):
        Echo(data_preprocessor=3)  # type: ignore[arg-type]  # wrong on purpose


def test_train_step_updates_and_returns_the_losses(
    linear_model: Any, make_update: Callable[[nn.Module], Any]
) -> None:
    inputs, targets = torch.randn(4, 2), torch.randn(4, 1)
    before = linear_model.linear.weight.clone()
    outputs = linear_model.linear(inputs)
    square, parts = (outputs - targets).square().mean(), (outputs - targets).abs().mean()
    parts = parts + outputs.square().mean()
    wanted = torch.autograd.grad(square + parts, linear_model.linear.weight)[0]
    update = make_update(linear_model)

    log_vars = linear_model.train_step((inputs, targets), update)

    assert list(log_vars) == ["loss", "loss_square", "loss_parts", "error"]
    torch.testing.assert_close(log_vars["loss"], square + parts)
    torch.testing.assert_close(log_vars["loss_square"], square)
    torch.testing.assert_close(log_vars["loss_parts"], parts)
    torch.testing.assert_close(linear_model.linear.weight, before - 0.1 * wanted)
    assert update.contexts == [linear_model]


def test_base_model_raises_for_a_preprocessor_that_is_not_a_module() -> None:
    with pytest.raises(TypeError, match=r"must build a module, got \{\}"):
        Echo(data_preprocessor={"type": dict})


@pytest.mark.parametrize("step", ["val_step", "test_step"])
def test_validation_predicts_without_training(linear_model: Any, step: str) -> None:
    data = {"inputs": torch.zeros(3, 2), "targets": torch.ones(3, 1)}
    outputs, targets = getattr(linear_model, step)(data)
    assert outputs.shape == (3, 1)
    assert targets is data["targets"]


@pytest.mark.parametrize("kind", [tuple, list], ids=["tuple", "list"])
def test_sequences_become_positional_arguments(kind: Callable[[Any], Any]) -> None:
    assert Echo().val_step(kind([1, "a"])) == ((1, "a"), {}, "predict")


def test_mappings_become_keyword_arguments() -> None:
    assert Echo().test_step({"a": 1}) == ((), {"a": 1}, "predict")


def test_batches_of_another_type_raise() -> None:
    with pytest.raises(TypeError, match=r"must return a dict, list or tuple.*Tensor"):
        Echo().val_step(torch.zeros(2))


def test_a_plain_module_can_preprocess_and_gets_the_training_flag(
    make_update: Callable[[nn.Module], Any],
) -> None:
    class Model(BaseModel):
        def __init__(self) -> None:
            super().__init__(data_preprocessor=Doubling())
            self.scale = nn.Parameter(torch.ones(()))
            self.seen: list[bool] = []

        def forward(self, inputs: Any, training: Any = None, mode: str = "tensor") -> Any:
            self.seen.append(training)
            return {"loss": inputs * self.scale}

    model = Model()
    assert model.train_step([torch.ones(2)], make_update(model))["loss"].item() == 2
    model.val_step([torch.ones(2)])
    assert model.seen == [True, False]


def test_parse_losses_keeps_a_single_scalar_as_it_is() -> None:
    value = torch.tensor(2.0, requires_grad=True)
    loss, log_vars = Echo().parse_losses({"loss": value})
    assert loss is value
    assert log_vars == {"loss": value}


def test_parse_losses_sums_entries_named_loss() -> None:
    losses = {"loss_a": torch.tensor([1.0, 3.0]), "aux.loss": torch.tensor(5.0)}
    loss, log_vars = Echo().parse_losses({**losses, "accuracy": torch.tensor([0.0, 1.0])})
    assert loss.item() == 7
    assert {name: value.item() for name, value in log_vars.items()} == {
        "loss_a": 2.0,
        "aux.loss": 5.0,
        "accuracy": 0.5,
        "loss": 7.0,
    }


def test_parse_losses_leaves_the_losses_unchanged() -> None:
    losses: dict[str, Tensor] = {"loss_a": torch.ones(2)}
    Echo().parse_losses(losses)
    assert list(losses) == ["loss_a"]


@pytest.mark.parametrize("value", [1.0, "x", [], [1.0], None], ids=repr)
def test_parse_losses_raises_for_other_values(value: Any) -> None:
    with pytest.raises(TypeError, match="loss_a"):
        Echo().parse_losses({"loss_a": value})


def test_parse_losses_raises_without_a_loss() -> None:
    with pytest.raises(ValueError, match=r"nothing to optimize, got \['accuracy'\]"):
        Echo().parse_losses({"accuracy": torch.ones(())})


@pytest.mark.parametrize("move", [lambda m: m.to("meta"), lambda m: nn.Sequential(m).to("meta")])
def test_the_preprocessor_follows_the_model(
    linear_model: Any, move: Callable[[nn.Module], Any]
) -> None:
    move(linear_model)
    assert linear_model.data_preprocessor.device == torch.device("meta")
    assert linear_model.data_preprocessor(torch.zeros(2)).is_meta


def test_the_preprocessor_returns_to_the_cpu(linear_model: Any) -> None:
    linear_model.to("meta").to_empty(device="cpu").cpu()
    assert linear_model.data_preprocessor.device == torch.device("cpu")


def test_the_preprocessor_starts_where_the_model_is_made() -> None:
    with torch.device("meta"):
        model = Echo()
    assert model.data_preprocessor.device == torch.device("meta")


def test_casting_the_type_does_not_move_the_preprocessor(linear_model: Any) -> None:
    assert linear_model.half().data_preprocessor.device == torch.device("cpu")


@pytest.mark.parametrize("device", [None, 0, "npu:0"], ids=repr)
def test_npu_raises_without_torch_npu(linear_model: Any, device: Any) -> None:
    with pytest.raises((RuntimeError, ModuleNotFoundError), match="npu"):
        linear_model.npu(device)
    with pytest.raises((RuntimeError, ModuleNotFoundError), match="npu"):
        linear_model.data_preprocessor.npu(device)


@pytest.mark.parametrize(
    ("returned", "described"),
    [(torch.zeros(2), r"a tensor of shape \(2,\)"), (None, "None"), ([1], "a list")],
    ids=["tensor", "none", "list"],
)
def test_losses_that_are_not_a_dict_raise(returned: Any, described: str) -> None:
    with pytest.raises(TypeError, match=f"forward of Echo must return a dict.*{described}$"):
        Echo().parse_losses(returned)


def test_parse_losses_averages_integers_and_booleans() -> None:
    entries: dict[str, Any] = {"right": torch.tensor([True, False]), "hits": [torch.tensor([1, 2])]}
    _, log_vars = Echo().parse_losses({"loss": torch.zeros(()), **entries})
    assert (log_vars["right"].item(), log_vars["hits"].item()) == (0.5, 1.5)
