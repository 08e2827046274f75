"""A checkpoint none of whose weights fits is refused, with the way out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from engine_model import PretrainedInit, StateDictError, load_checkpoint, load_state_dict
from engine_runner import Runner


def saved(folder: Path, weights: dict[str, Any]) -> str:
    """Save weights, and return the path."""
    path = str(folder / "other.pth")
    torch.save({"state_dict": weights}, path)
    return path


def test_a_run_refuses_a_checkpoint_that_fits_nowhere(
    toy_run: Callable[..., Runner], tmp_path: Path
) -> None:
    path = saved(tmp_path, {"net.a": torch.zeros(1), "net.b": torch.zeros(1)})
    runner = toy_run(load_from=path, validate=[0.5])
    with pytest.raises(StateDictError) as caught:
        runner.val()
    message = str(caught.value)
    assert message.startswith(f"{path}: none of the weights fits Fit")
    assert "net.a, net.b" in message
    assert "linear.weight, linear.bias" in message
    assert "revise_keys" in message
    with pytest.raises(StateDictError, match="none of the weights"):
        toy_run(load_from=path).train()


@pytest.mark.parametrize(
    ("names", "pattern", "replacement"),
    [
        (("encoder.head.0.weight", "encoder.head.0.bias"), r"^encoder\.", ""),
        (("0.weight", "0.bias"), "^", "head."),
    ],
    ids=["longer in the weights", "longer in the model"],
)
def test_the_message_names_the_rule_that_renames(
    tmp_path: Path, names: tuple[str, str], pattern: str, replacement: str
) -> None:
    layer = nn.Linear(1, 1)
    model = nn.ModuleDict({"head": nn.Sequential(layer)})
    path = saved(tmp_path, {names[0]: torch.ones(1, 1), names[1]: torch.ones(1)})
    with pytest.raises(StateDictError) as caught:
        load_checkpoint(model, path)
    assert f"revise_keys=[(r'{pattern}', '{replacement}')]" in str(caught.value)
    load_checkpoint(model, path, revise_keys=[(pattern, replacement)])
    assert layer.weight.item() == 1


def test_weights_of_other_shapes_only_are_refused_with_the_shapes() -> None:
    with pytest.raises(StateDictError, match=r"weight: \(3, 2\) in the weights, \(1, 2\)"):
        load_state_dict(nn.Linear(2, 1, bias=False), nn.Linear(2, 3, bias=False).state_dict())


def test_no_weights_at_all_are_refused() -> None:
    with pytest.raises(StateDictError, match="keys of the weights: none"):
        load_state_dict(nn.Linear(2, 1), {})


def test_a_pretrained_part_that_fits_nowhere_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, {"backbone.conv": torch.zeros(1)})
    for prefix in (None, "backbone"):
        with pytest.raises(StateDictError, match=r"other\.pth: none of the weights fits Linear"):
            PretrainedInit(path, prefix=prefix)(nn.Linear(1, 1))


def test_a_single_weight_that_fits_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    model = nn.Linear(1, 1)
    report = load_state_dict(model, {"weight": torch.ones(1, 1), "other": torch.ones(1)})
    assert (report.missing, report.unexpected) == (["bias"], ["other"])
    assert model.weight.item() == 1
    assert "other" in caplog.text


def test_a_model_without_weights_takes_any() -> None:
    report = load_state_dict(nn.ReLU(), {"other": torch.ones(1)}, logger="silent")
    assert report.unexpected == ["other"]
