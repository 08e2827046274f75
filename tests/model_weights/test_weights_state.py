"""State dicts: names without wrappers, and reports of what does not fit."""

from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import nn

from engine_model.weights import (
    LoadReport,
    StateDictError,
    get_state_dict,
    load_state_dict,
    weights_to_cpu,
)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv: Any = nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(4)


def make_model() -> Model:
    return Model()


def wrapped_deep() -> Model:
    model = make_model()
    model.conv = nn.DataParallel(nn.Sequential(nn.DataParallel(model.conv)))
    return model


def test_get_state_dict_equals_torch_without_wrappers() -> None:
    model = make_model()

    ours: Any = get_state_dict(model)

    theirs: Any = model.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert ours._metadata == theirs._metadata


def test_get_state_dict_leaves_out_wrappers_at_any_depth() -> None:
    state: Any = get_state_dict(nn.DataParallel(wrapped_deep()))

    assert list(state)[:2] == ["conv.0.weight", "conv.0.bias"]
    assert "conv.0" in state._metadata
    assert not any("module" in name for name in state._metadata)


def test_get_state_dict_leaves_out_a_wrapper_that_has_two_names() -> None:
    wrapped = nn.DataParallel(nn.Linear(1, 1, bias=False))
    model = nn.ModuleDict({"first": wrapped, "second": wrapped})

    assert list(get_state_dict(model)) == ["first.weight", "second.weight"]


def test_get_state_dict_fills_destination_under_prefix() -> None:
    destination: dict[str, Any] = OrderedDict(epoch=1)

    result = get_state_dict(nn.Linear(1, 1), destination, prefix="head.", keep_vars=True)

    assert result is destination
    assert list(result) == ["epoch", "head.weight", "head.bias"]
    assert isinstance(result["head.weight"], nn.Parameter)


def test_get_state_dict_keeps_hooks_of_modules() -> None:
    model = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))

    assert list(get_state_dict(model)) == list(model.state_dict())


@pytest.mark.parametrize("wrap", [lambda m: m, nn.DataParallel], ids=["plain", "wrapped"])
def test_load_state_dict_restores_through_wrappers(wrap: Any) -> None:
    source, target = make_model(), wrapped_deep()
    weights = {k.replace("conv.", "conv.0."): v for k, v in source.state_dict().items()}

    report = load_state_dict(wrap(target), weights, strict=True)

    assert report.fits
    assert torch.equal(get_state_dict(target)["conv.0.weight"].cpu(), source.conv.weight)


def test_load_state_dict_reports_each_kind_of_misfit(caplog: pytest.LogCaptureFixture) -> None:
    model = make_model()
    before = model.conv.weight.detach().clone()
    weights = model.state_dict()
    weights["conv.weight"] = torch.zeros(8, 3, 1, 1)
    weights["conv.bias"] = torch.ones(4)
    weights["head.weight"] = weights.pop("norm.weight")

    report = load_state_dict(nn.DataParallel(model), weights)

    assert report == LoadReport(
        missing=["norm.weight"],
        unexpected=["head.weight"],
        mismatched={"conv.weight": ((8, 3, 1, 1), (4, 3, 1, 1))},
    )
    assert torch.equal(model.conv.weight.cpu(), before)
    assert torch.equal(model.conv.bias.cpu(), torch.ones(4))
    for text in ("head.weight", "norm.weight", "conv.weight: (8, 3, 1, 1)"):
        assert text in caplog.text


def test_load_state_dict_strict_raises_with_the_report() -> None:
    with pytest.raises(StateDictError, match=r"missing keys in the weights: bias"):
        load_state_dict(nn.Linear(2, 1), {"weight": torch.zeros(1, 2)}, strict=True)


def test_load_state_dict_reports_the_errors_of_a_module() -> None:
    class Picky(nn.Linear):
        def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
            super()._load_from_state_dict(*args, **kwargs)
            args[-1].append("this layer is picky")

    model = Picky(2, 1)

    report = load_state_dict(model, model.state_dict(), logger="silent")

    assert report.errors == ["this layer is picky"]


def test_load_state_dict_converts_old_versions_by_metadata() -> None:
    source = make_model()
    weights: Any = source.state_dict()
    del weights["norm.num_batches_tracked"]
    weights._metadata["norm"]["version"] = 1

    report = load_state_dict(nn.DataParallel(make_model()), weights)

    assert report.fits


def test_load_state_dict_does_not_change_the_weights() -> None:
    weights = {"weight": torch.zeros(1, 2), "bias": torch.zeros(1)}
    copy = dict(weights)

    load_state_dict(nn.DataParallel(nn.Linear(2, 1)), weights)

    assert weights == copy


def test_load_state_dict_replaces_meta_parameters() -> None:
    source = make_model()
    with torch.device("meta"):
        model = make_model()

    report = load_state_dict(model, source.state_dict(), strict=True)

    assert report.fits
    assert torch.equal(model.conv.weight, source.conv.weight)
    assert isinstance(model.conv.weight, nn.Parameter)
    assert model.conv.weight.requires_grad


def test_load_state_dict_raises_for_another_type() -> None:
    with pytest.raises(TypeError, match="list"):
        load_state_dict(nn.Linear(1, 1), [])  # type: ignore[arg-type]


def test_weights_to_cpu_keeps_order_values_and_metadata() -> None:
    state: Any = make_model().to("meta").state_dict()
    state["extra"] = "text"
    real: Any = OrderedDict((k, torch.ones(1) if k != "extra" else v) for k, v in state.items())
    real._metadata = state._metadata

    result: Any = weights_to_cpu(real)

    assert list(result) == list(state)
    assert result["extra"] == "text"
    assert all(value.device.type == "cpu" for key, value in result.items() if key != "extra")
    assert result._metadata == state._metadata
