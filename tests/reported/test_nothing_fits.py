"""A checkpoint none of whose weights fits is refused, with the way out."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, nn

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


@pytest.mark.parametrize(
    ("mode", "changes"),
    [
        ("train", {}),
        ("test", {}),
        ("test", {"custom_hooks": [{"type": "EMAHook"}]}),
        ("test", {"strategy": "DDPStrategy"}),
        ("test", {"strategy": "FSDPStrategy"}),
        ("test", {"compile": {"backend": "eager"}}),
    ],
    ids=["train", "test", "average", "ddp", "fsdp", "compiled"],
)
@pytest.mark.usefixtures("alone")
def test_each_way_of_running_refuses_a_checkpoint_that_fits_nowhere(
    toy_run: Callable[..., Runner], tmp_path: Path, mode: str, changes: dict[str, Any]
) -> None:
    path = saved(tmp_path, {"net.a": torch.zeros(1)})
    evaluation = toy_run(validate=[0.5])._settings
    runner = toy_run(
        load_from=path,
        val_dataloader=evaluation.val_dataloader,
        val_cfg={},
        val_evaluator=evaluation.val_evaluator,
        test_dataloader=evaluation.val_dataloader,
        test_cfg={},
        test_evaluator=evaluation.val_evaluator,
        **changes,
    )

    with pytest.raises(StateDictError, match=r"other\.pth: none of the weights fits (FSDP)?Fit"):
        getattr(runner, mode)()


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        (
            {"state_dict": {"model": {"linear.weight": torch.ones(1, 1)}}},
            r"one level down, under the key 'model', as linear\.weight; save them as",
        ),
        (
            {"model_state_dict": {"linear.weight": torch.ones(1, 1)}, "epoch": 3},
            "one level down, under the key 'model_state_dict'",
        ),
        ({"optimizer": {"state": {}}}, "none of them is a tensor: choose a file that has weights"),
        (
            {"net.linear.weight": torch.ones(1, 1), "net.linear.bias": torch.ones(1)},
            r"all keys of the weights begin with 'net\.'",
        ),
        ({"linear.weight": torch.ones(3, 3)}, r"linear\.weight: \(3, 3\) in the weights, \(1, 1\)"),
    ],
    ids=["nested", "other key", "no weights", "prefix", "shape"],
)
def test_the_message_has_the_nearest_explanation(
    toy_run: Callable[..., Runner], tmp_path: Path, checkpoint: dict[str, Any], message: str
) -> None:
    path = str(tmp_path / "other.pth")
    torch.save(checkpoint, path)

    with pytest.raises(StateDictError, match=message):
        toy_run(load_from=path, validate=[0.5]).val()


def test_a_module_that_expects_its_own_names_does_not_hide_the_explanation() -> None:
    class Converts(nn.Linear):
        def _load_from_state_dict(self, state: Any, prefix: str, *rest: Any) -> None:
            state[f"{prefix}weight"] = state[f"{prefix}weight"] * 2
            super()._load_from_state_dict(state, prefix, *rest)

    with pytest.raises(StateDictError, match="none of the weights fits Converts"):
        load_state_dict(Converts(1, 1), {"other": torch.zeros(1)})
    with pytest.raises(KeyError):  # its own error, as some weights are of this model
        load_state_dict(Converts(1, 1), {"bias": torch.zeros(1)})


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """Start a process group of this process."""
    address = f"file://{tmp_path}/group"
    distributed.init_process_group("gloo", init_method=address, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()
