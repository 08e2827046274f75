"""``engine convert`` from and to the layout of the reference, without importing its classes."""

import pickletools
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

if TYPE_CHECKING:
    from tests.runner.checkpoint.conftest import MakeToy, Save
    from tests.runner.conftest import Command

Layout = Callable[[Path], dict[str, Any]]


@pytest.fixture
def own(toy: "MakeToy", project: Path) -> Path:
    """Return the path of a checkpoint of ours, with averages, after two of three epochs."""
    toy(custom_hooks=[{"type": "EMAHook"}], work_dir=str(project / "run")).train()
    return project / "run" / "epoch_2.pth"


def globals_of(path: Path) -> set[str]:
    """Return the classes and functions that a file names, outside of torch and collections."""
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
        operations = list(pickletools.genops(archive.read(name)))
    found = {str(argument) for operation, argument, _ in operations if operation.name == "GLOBAL"}
    return {name for name in found if not name.startswith(("torch", "collections"))}


def test_file_of_the_reference_becomes_plain_and_resumes(
    command: "Command",
    toy: "MakeToy",
    save: "Save",
    in_layout: Layout,
    own: Path,
    project: Path,
) -> None:
    path = save(in_layout(own))

    done = command("convert", path, "ours.pth")

    assert "resumable:  yes" in done.stdout
    found = torch.load(project / "ours.pth", weights_only=True)
    assert found["meta"]["dataset_meta"] == {"classes": ("line",), "palette": [[1, 2, 3]]}
    assert found["message_hub"]["runtime_info"]["score"] == 0.5
    assert len(found["message_hub"]["log_scalars"]["train/loss"]["log_history"]) == 8
    ends = []
    for name in (path, str(project / "ours.pth")):
        hooks = [{"type": "EMAHook"}]
        runner = toy(custom_hooks=hooks, load_from=name, resume=True, work_dir=f"{name}.run")
        runner.train()
        ends.append(runner.model.state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_what_cannot_be_read_is_named_and_left_out(
    command: "Command",
    save: "Save",
    in_layout: Layout,
    own: Path,
    project: Path,
    explosive: Callable[[], Any],
) -> None:
    checkpoint = in_layout(own)
    checkpoint["meta"]["odd"] = [explosive()]
    checkpoint["optimizer"]["state"][0]["momentum_buffer"] = explosive()

    done = command("convert", save(checkpoint), "ours.pth")

    assert "left out:   optimizer" in done.stdout
    assert "resumable:  no" in done.stdout
    assert "odd" not in torch.load(project / "ours.pth", weights_only=True)["meta"]


def test_our_file_names_the_histories_of_the_reference_alone(
    command: "Command", own: Path, project: Path
) -> None:
    done = command("convert", str(own), "theirs.pth", "--to", "mmengine")

    assert "left out:" in done.stdout
    assert "progress" in done.stdout.partition("left out:")[2]
    assert globals_of(project / "theirs.pth") == {"mmengine.logging.history_buffer HistoryBuffer"}


def test_our_file_loads_as_one_of_the_reference(
    command: "Command",
    own: Path,
    project: Path,
    reference_classes: Callable[[], Any],
) -> None:
    command("convert", str(own), "theirs.pth", "--to", "mmengine")

    with reference_classes():
        found = torch.load(project / "theirs.pth", weights_only=False)

    ours = torch.load(own, weights_only=True)
    assert set(found) == {
        "meta",
        "state_dict",
        "message_hub",
        "optimizer",
        "param_schedulers",
        "ema_state_dict",
    }
    assert (found["meta"]["epoch"], found["meta"]["iter"]) == (2, 8)
    assert found["meta"]["mmengine_version"] == "0.10.7"
    hub = found["message_hub"]
    assert set(hub) == {"log_scalars", "runtime_info", "resumed_keys"}
    loss = hub["log_scalars"]["train/loss"]
    assert loss.log_history == ours["message_hub"]["log_scalars"]["train/loss"]["log_history"]
    assert loss.max_length == 1_000_000
    assert hub["runtime_info"]["keep_ckpt_ids"] == [1, 2]
    for name, weight in ours["state_dict"].items():
        assert torch.equal(found["state_dict"][name], weight)


def test_round_trip_keeps_what_both_have(command: "Command", own: Path, project: Path) -> None:
    command("convert", str(own), "theirs.pth", "--to", "mmengine")
    command("convert", "theirs.pth", "back.pth")

    back = torch.load(project / "back.pth", weights_only=True)
    ours = torch.load(own, weights_only=True)
    for name in ("train/loss", "train/lr"):
        for part in ("log_history", "count_history", "max_length"):
            pair = [found["message_hub"]["log_scalars"][name][part] for found in (back, ours)]
            assert np.array_equal(*pair)
    assert back["param_schedulers"] == ours["param_schedulers"]
    assert {**ours["meta"], "epoch": 2, "iter": 8} == back["meta"]


@pytest.mark.parametrize("target", ["x.dcp", "x.safetensors"])
def test_layout_of_the_reference_is_one_file_of_torch(
    command: "Command", own: Path, target: str
) -> None:
    error = command("convert", str(own), target, "--to", "mmengine", code=2).stderr

    assert "DST must end with .pth, .pt, .ckpt for the layout mmengine" in error
