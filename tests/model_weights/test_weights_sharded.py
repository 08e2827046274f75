"""Checkpoints as folders of shards: what is written, and what a damaged one raises."""

import hashlib
import json
import os
import pickle
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

from engine_fileio import LocalBackend, register_backend
from engine_model.weights import (
    CheckpointError,
    CheckpointLoader,
    ShardedSave,
    discard_unfinished,
    read_sharded,
    remove_sharded,
    sharded_damage,
)
from engine_model.weights.sharded._folder import Folder

MEMORY = {"backend": "fsspec"}


def _checkpoint(value: float = 1.0) -> dict[str, Any]:
    weights: Any = OrderedDict(
        {"conv.weight": torch.full((200, 200), value), "conv.count": torch.tensor(7)}
    )
    weights._metadata = OrderedDict({"": {"version": 1}, "conv": {"version": 2}})
    return {
        "meta": {"epoch": 3, "names": ("cat", None)},
        "state_dict": weights,
        "optimizer": {
            "state": {0: {"step": torch.tensor(5.0), "exp_avg": torch.full((200, 200), 2 * value)}},
            "param_groups": [{"lr": 0.1, "params": [0]}],
        },
        "gradients": [None, torch.ones(300, 100), (torch.zeros(2),)],
        "a": {"b.c": torch.full((200, 200), 8.0), "b": {"c": torch.full((200, 200), 9.0)}},
        "empty": [{}, [], ()],
    }


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other)) and type(one) is type(other)
    return bool(one == other)


def test_sharded_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = f"{tmp_path}/epoch_3.dcp"

    ShardedSave(_checkpoint(), path, facts={"resumable": True}).write()

    found = CheckpointLoader.load_checkpoint(path)
    assert _same(found, _checkpoint())
    assert found["state_dict"]._metadata == _checkpoint()["state_dict"]._metadata
    manifest = json.loads((tmp_path / "epoch_3.dcp/manifest.json").read_text())
    assert (manifest["format"], manifest["file"], manifest["resumable"]) == (
        "dcp",
        "epoch_3.dcp",
        True,
    )
    assert manifest["size"] == sum(stored["size"] for stored in manifest["files"].values())


def test_sharded_checkpoint_is_one_of_torch(tmp_path: Path) -> None:
    checkpoint = _checkpoint()
    del checkpoint["a"]  # two paths of one dotted name, which the tool takes for one
    ShardedSave(checkpoint, f"{tmp_path}/e.dcp").write()

    dcp_to_torch_save(tmp_path / "e.dcp", tmp_path / "e.pth")

    found = torch.load(tmp_path / "e.pth", weights_only=True)
    assert list(found["state_dict"]) == ["conv.weight", "conv.count"]
    assert torch.equal(found["optimizer"]["state"]["0"]["exp_avg"], torch.full((200, 200), 2.0))


def test_sharded_checkpoint_goes_to_another_storage(tmp_path: Path) -> None:
    path = f"memory://{tmp_path.name}/e.dcp"

    ShardedSave(_checkpoint(), path, backend_args=MEMORY).write()

    assert _same(read_sharded(path, backend_args=MEMORY), _checkpoint())
    assert sharded_damage(path, MEMORY) is None
    remove_sharded(path, MEMORY)
    with pytest.raises(FileNotFoundError, match=r"has no manifest\.json: it is not a checkpoint"):
        read_sharded(path, backend_args=MEMORY)


def test_file_of_another_storage_is_copied_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"memory://{tmp_path.name}/e.dcp"
    ShardedSave(_checkpoint(), path, backend_args=MEMORY).write()
    copies, of_folder = tmp_path / "copies", Folder.open
    opened: list[str] = []
    copies.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(copies))

    def counted(self: Folder, name: str) -> Any:
        opened.append(name.rpartition(".")[2])
        return of_folder(self, name)

    monkeypatch.setattr(Folder, "open", counted)
    read = read_sharded(path, backend_args=MEMORY)

    assert _same(read, _checkpoint())
    assert sorted(opened) == ["distcp", "metadata"]
    assert list(copies.iterdir()) == []


def test_sharded_save_replaces_an_earlier_one_when_it_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "e.dcp"
    ShardedSave(_checkpoint(1.0), str(path)).write()
    before = sorted(os.listdir(path))
    save = ShardedSave(_checkpoint(2.0), str(path))
    save.parts = {**save.parts, "a.b.c": Broken()}  # type: ignore[dict-item]  # fails when it is written

    with pytest.raises(RuntimeError, match="the device is gone"):
        save.write()

    assert sorted(os.listdir(path)) == before
    assert read_sharded(path)["state_dict"]["conv.weight"][0, 0] == 1
    ShardedSave(_checkpoint(3.0), str(path)).write()
    assert read_sharded(path)["state_dict"]["conv.weight"][0, 0] == 3
    assert len(os.listdir(path)) == len(before)


class Shelf(LocalBackend):
    """A folder of this machine, used like another storage, that raises when it is listed."""

    raises: BaseException

    def list_dir_or_file(self, *args: Any, **kwargs: Any) -> Iterator[str]:
        raise self.raises


@pytest.mark.parametrize(
    "error", [OSError("no lists"), KeyboardInterrupt()], ids=["no-lists", "interrupt"]
)
def test_error_after_the_manifest_leaves_the_new_checkpoint(
    tmp_path: Path, error: BaseException
) -> None:
    path = f"{tmp_path}/e.dcp"
    ShardedSave(_checkpoint(1.0), path).write()
    Shelf.raises = error
    register_backend("shelf", Shelf, force=True)
    save = ShardedSave(_checkpoint(2.0), path, backend_args={"backend": "shelf"})

    with suppress(KeyboardInterrupt):
        save.write()

    assert read_sharded(path)["state_dict"]["conv.weight"][0, 0] == 2
    assert sharded_damage(path) is None


class Broken:
    """A part that cannot be read from its device."""

    def detach(self) -> None:
        raise RuntimeError("the device is gone")


def test_sharded_parts_may_be_replaced_by_copies(tmp_path: Path) -> None:
    checkpoint = _checkpoint()
    save = ShardedSave(checkpoint, f"{tmp_path}/e.dcp")
    save.parts = {key: part.clone() for key, part in save.parts.items()}
    checkpoint["state_dict"]["conv.weight"].zero_()
    checkpoint["meta"]["epoch"] = 4

    save.write()

    assert _same(read_sharded(f"{tmp_path}/e.dcp"), _checkpoint())


def _flip(path: Path) -> None:
    file = max(path.glob("*.distcp"), key=lambda item: item.stat().st_size)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def _cut(path: Path) -> None:
    file = next(path.glob("*.distcp"))
    file.write_bytes(file.read_bytes()[:-1])


def _hostile(path: Path) -> None:
    """Replace the metadata by a pickle that runs code, with a checksum that fits."""
    manifest = json.loads((path / "manifest.json").read_text())
    data = pickle.dumps(Spy())
    (path / manifest["metadata"]).write_bytes(data)
    manifest["files"][manifest["metadata"]] = {
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    (path / "manifest.json").write_text(json.dumps(manifest))


class Spy:
    """An object whose pickle makes a folder when it is read."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("/tmp/engine-was-here",)


DAMAGES: Mapping[str, Any] = {
    "a flipped bit": (_flip, "its bytes are not those that were saved"),
    "a short file": (_cut, "bytes were saved|bytes, but"),
    "no shards": (lambda path: next(path.glob("*.distcp")).unlink(), "is missing"),
    "no manifest": (lambda path: (path / "manifest.json").unlink(), "save was not completed"),
    "half a manifest": (
        lambda path: (path / "manifest.json").write_text('{"version": 1'),
        r"manifest\.json is damaged",
    ),
    "code in the metadata": (_hostile, r"names (posix|nt)\.mkdir, which metadata never does"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_sharded_checkpoint_raises(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "e.dcp"
    ShardedSave(_checkpoint(), str(path)).write()
    act, words = DAMAGES[damage]

    act(path)

    with pytest.raises((CheckpointError, FileNotFoundError), match=words):
        CheckpointLoader.load_checkpoint(str(path))


def test_unfinished_folder_is_discarded_and_any_other_stays(tmp_path: Path) -> None:
    names = {
        "killed.dcp": ["0123abcd_0.distcp", "0123abcd.metadata", ".engine-00.part"],
        "torch.dcp": ["__0_0.distcp", ".metadata"],
        "whole.dcp": ["0123abcd_0.distcp", "manifest.json"],
    }
    for folder, files in names.items():
        (tmp_path / folder).mkdir()
        for name in files:
            (tmp_path / folder / name).touch()
        discard_unfinished(tmp_path / folder)

    assert sorted(os.listdir(tmp_path)) == ["torch.dcp", "whole.dcp"]


def test_sharded_tensor_in_an_unknown_container_raises() -> None:
    class Sharded(Tensor):
        def full_tensor(self) -> Tensor:
            return self

    class Odd(dict[str, Any]):
        pass

    tensor = torch.zeros(2).as_subclass(Sharded)

    with pytest.raises(
        ValueError, match="hooks must be a dict, list or tuple, as it has the shard"
    ):
        ShardedSave({"hooks": Odd(weight=tensor)}, "e.dcp")
