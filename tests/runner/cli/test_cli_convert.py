"""``engine convert`` and ``engine publish``: formats of checkpoints, and weights of their own."""

from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from engine_model.weights import CheckpointLoader

if TYPE_CHECKING:
    from tests.runner.conftest import Command


def _checkpoint() -> dict[str, Any]:
    return {
        "meta": {"epoch": 2, "iter": 8, "dataset_meta": {"classes": ("cat", "dog")}},
        "state_dict": {"weight": torch.full((200, 200), 2.0), "bias": torch.ones(3)},
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(200, 200)}}, "param_groups": []},
        "ema_state_dict": {"module.weight": torch.full((200, 200), 7.0), "steps": torch.tensor(4)},
    }


@pytest.fixture
def folder(project: Path) -> Path:
    """Return the project with a checkpoint of averages."""
    torch.save(_checkpoint(), project / "epoch_2.pth")
    return project


def test_convert_goes_from_each_format_to_each(command: "Command", folder: Path) -> None:
    done = command("convert", "epoch_2.pth", "shards.dcp")
    assert "resumable:  yes" in done.stdout
    command("convert", "shards.dcp", "back.pth")
    done = command("convert", "shards.dcp", "w.safetensors")
    assert "left out:   optimizer, ema_state_dict" in done.stdout
    assert "resumable:  no" in done.stdout
    command("convert", "w.safetensors", "w.dcp")
    command("convert", "w.dcp", "w.pth")

    back = torch.load(folder / "back.pth", weights_only=True)
    assert list(back) == list(_checkpoint())
    assert back["meta"] == _checkpoint()["meta"]
    assert torch.equal(back["optimizer"]["state"][0]["exp_avg"], torch.zeros(200, 200))
    weights = torch.load(folder / "w.pth", weights_only=True)
    for name, weight in _checkpoint()["state_dict"].items():
        assert torch.equal(weights["state_dict"][name], weight)
    assert weights["meta"] == {**_checkpoint()["meta"], "dataset_meta": {"classes": ["cat", "dog"]}}
    assert (folder / "back.pth.json").is_file()


def test_convert_compares_the_source_with_its_manifest(command: "Command", folder: Path) -> None:
    command("convert", "epoch_2.pth", "whole.pt")
    data = bytearray((folder / "whole.pt").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "whole.pt").write_bytes(data)

    error = command("convert", "whole.pt", "x.dcp", code=1).stderr

    assert "whole.pt is damaged" in error
    assert not (folder / "x.dcp").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no.pth", "x.dcp"], "no such checkpoint: no.pth"),
        (["epoch_2.pth", "x.bin"], "DST must end with .dcp, .pth, .pt, .ckpt, .safetensors"),
        (["epoch_2.pth", "epoch_2.pth"], "DST must be another path than SRC"),
        (["epoch_2.pth", "cfg.py.pth"], "cfg.py.pth exists; --force replaces it"),
        ([".", "x.pth"], ". is a folder; name a checkpoint in it"),
        (["epoch_2.pth", "file.dcp", "--force"], "file.dcp is a file, and cannot become a folder"),
        (["epoch_2.pth"], "Missing argument 'DST'"),
    ],
    ids=["no-source", "ending", "same", "exists", "folder", "file", "one-argument"],
)
def test_convert_names_what_is_wrong(
    command: "Command", folder: Path, arguments: list[str], words: str
) -> None:
    (folder / "cfg.py.pth").touch()
    (folder / "file.dcp").touch()

    assert words in command("convert", *arguments, code=2).stderr


@pytest.mark.parametrize("name", ["convert", "publish"])
@pytest.mark.parametrize("form", ["pth", "dcp"])
def test_object_that_is_not_read_is_never_left_out_in_silence(
    command: "Command", folder: Path, name: str, form: str
) -> None:
    meta = {"epoch": 1, "objects": [Fraction(1, 2)]}
    torch.save({"meta": meta, "state_dict": {"weight": torch.ones(1)}}, folder / "own.pth")
    if form == "dcp":
        command("convert", "own.pth", "own.dcp", "--trust")
    arguments = (name, f"own.{form}", *(["out.pth"] if name == "convert" else ["-o", "out.pth"]))

    error = command(*arguments, code=1).stderr
    command(*arguments, "--trust")

    assert f"own.{form} must have tensors and plain values alone, got meta.objects.0, a" in error
    assert "fractions.Fraction; --trust runs" in error
    (written,) = folder.glob("out*.pth")
    assert torch.load(written, weights_only=False)["meta"] == meta


@pytest.mark.parametrize(
    ("saved", "words"),
    [({"meta": {}}, "must have weights, got the keys meta"), ([1], "must be a dict, got list")],
    ids=["no-weights", "list"],
)
def test_convert_of_something_else_names_it(
    command: "Command", folder: Path, saved: Any, words: str
) -> None:
    torch.save(saved, folder / "other.pth")

    assert words in command("convert", "other.pth", "x.dcp", code=1).stderr
    (folder / "x.dcp").touch()
    assert "x.dcp must be a folder" in command("convert", "x.dcp", "x.pth", code=1).stderr


def test_forced_conversion_leaves_the_files_of_the_user(command: "Command", folder: Path) -> None:
    command("convert", "epoch_2.pth", "x.dcp")
    (folder / "x.dcp" / "NOTES.txt").write_text("of the user")

    command("convert", "epoch_2.pth", "x.dcp", "--force")

    assert (folder / "x.dcp" / "NOTES.txt").is_file()
    assert len(list((folder / "x.dcp").glob("*.distcp"))) == 1


@pytest.mark.parametrize(
    ("arguments", "name", "keys"),
    [
        ([], "epoch_2-????????.pth", ["meta", "state_dict"]),
        (["--keep", "optimizer"], "epoch_2-????????.pth", ["meta", "state_dict", "optimizer"]),
        (["-o", "out/"], "out/epoch_2-????????.pth", ["meta", "state_dict"]),
        (["-o", "net.safetensors"], "net-????????.safetensors", ["meta", "state_dict"]),
    ],
    ids=["beside", "keep", "folder", "safetensors"],
)
@pytest.mark.parametrize("source", ["epoch_2.pth", "epoch_2.dcp"])
def test_publish_writes_weights_with_their_hash(
    command: "Command", folder: Path, source: str, arguments: list[str], name: str, keys: list[str]
) -> None:
    if source.endswith(".dcp"):
        command("convert", "epoch_2.pth", source)

    command("publish", source, *arguments)

    (file,) = folder.glob(name)
    assert sha256(file.read_bytes()).hexdigest()[:8] == file.stem[-8:]
    found = CheckpointLoader.load_checkpoint(file)
    assert sorted(found) == sorted(keys)
    assert found["state_dict"]["weight"].unique().item() == 2


@pytest.mark.parametrize(("weights", "value"), [("saved", 2), ("ema", 2), ("trained", 7)])
def test_publish_chooses_averages_or_trained_weights(
    command: "Command", folder: Path, weights: str, value: int
) -> None:
    command("publish", "epoch_2.pth", "--weights", weights, "-o", "x.pth")

    (file,) = folder.glob("x-*.pth")
    state = torch.load(file, weights_only=True)["state_dict"]
    assert state["weight"].unique().item() == value
    assert list(state) == ["weight", "bias"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["epoch_2.pth", "--keep", "optimiser"], "did you mean 'optimizer'?"),
        (["epoch_2.pth", "-o", "x.txt"], "out must end with .pth or .safetensors, or be a folder"),
        (["plain.pth", "--weights", "ema"], "which has no averages of EMAHook, got 'ema'"),
        (["epoch_2.pth", "-o", "x.safetensors", "--keep", "optimizer"], "keep must be empty"),
        (["no.pth"], "no such checkpoint: no.pth"),
        (["epoch_2.pth", "--weights", "best"], "'best' is not one of"),
    ],
    ids=["key", "ending", "no-averages", "safetensors", "no-source", "weights"],
)
def test_publish_names_what_is_wrong(
    command: "Command", folder: Path, arguments: list[str], words: str
) -> None:
    torch.save({"weight": torch.ones(1)}, folder / "plain.pth")

    assert words in command("publish", *arguments, code=2).stderr


@pytest.mark.parametrize("name", ["convert", "publish"])
def test_help_has_examples(command: "Command", name: str) -> None:
    assert f"engine {name} " in command(name, "--help").stdout


def test_the_commands_take_a_folder_of_shards(command: "Command", project: Path) -> None:
    weights = {"linear.weight": torch.full((1, 1), 2.0), "linear.bias": torch.ones(1)}
    torch.save({"state_dict": weights}, project / "epoch_1.pth")
    command("convert", "epoch_1.pth", "epoch_1.dcp")

    file = command("test", "cfg.py", "epoch_1.pth", "--work-dir", "a").stdout
    shards = command("test", "cfg.py", "epoch_1.dcp", "--work-dir", "b").stdout

    assert shards.splitlines()[-1] == file.splitlines()[-1]
    error = command("test", "cfg.py", ".", code=2).stderr
    assert ". is a folder; name a checkpoint in it" in error
