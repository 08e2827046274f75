"""The manifest beside a checkpoint: what the file must be, and whether a run can be resumed."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from engine_fileio import exists
from engine_runner.checkpoint import (
    Manifest,
    manifest_path,
    read_manifest,
    remove_checkpoint,
    remove_manifest,
    verify,
    write_manifest,
)
from engine_runner.checkpoint.writers import PlainWriter

MEMORY = {"backend": "fsspec"}
WHOLE = {
    "meta": {"epoch": 1, "iter": 4},
    "progress": {"epoch": 1, "iter": 4},
    "state_dict": {"weight": torch.ones(4)},
    "optimizer": {"state": {}},
}


def _write(path: object, checkpoint: dict[str, Any] = WHOLE, **options: Any) -> Manifest:
    PlainWriter().write(checkpoint, str(path), **options)
    manifest = read_manifest(str(path), options.get("backend_args"))
    assert manifest is not None
    return manifest


def test_manifest_has_the_facts_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "epoch_1.pth"

    manifest = _write(path)

    assert manifest.file == "epoch_1.pth"
    assert manifest.size == path.stat().st_size
    assert (manifest.epoch, manifest.iter, manifest.format) == (1, 4, "torch")
    assert manifest.keys == tuple(WHOLE)
    assert manifest.resumable
    assert json.loads((tmp_path / "epoch_1.pth.json").read_text())["version"] == 1
    assert verify(str(path), manifest) is None


@pytest.mark.parametrize(
    ("keys", "resumable"),
    [
        (["meta", "state_dict", "optimizer"], True),
        (["progress", "state_dict", "optimizer"], True),
        (["meta", "progress", "state_dict"], False),
        (["state_dict", "optimizer"], False),
        (["state_dict"], False),
    ],
    ids=["counters-in-meta", "counters-in-progress", "no-optimizer", "no-counters", "weights"],
)
def test_manifest_says_whether_a_run_can_be_resumed(
    tmp_path: Path, keys: list[str], resumable: bool
) -> None:
    manifest = _write(tmp_path / "a.pth", {key: WHOLE[key] for key in keys})

    assert manifest.resumable is resumable


def test_checkpoint_from_before_the_training_can_be_resumed(tmp_path: Path) -> None:
    assert _write(tmp_path / "a.pth", {"meta": {"epoch": 0, "iter": 0}}).resumable


@pytest.mark.parametrize("damage", ["flipped", "truncated", "longer"])
def test_verify_finds_a_damaged_file(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "epoch_1.pth"
    manifest = _write(path)
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 4
    path.write_bytes(data[:-1] if damage == "truncated" else data + b"\0" * (damage == "longer"))

    found = verify(str(path), manifest)

    assert (
        found == "its bytes are not those saved" if damage == "flipped" else "bytes" in str(found)
    )


def test_verify_raises_for_a_file_that_is_gone(tmp_path: Path) -> None:
    manifest = _write(tmp_path / "epoch_1.pth")
    (tmp_path / "epoch_1.pth").unlink()

    with pytest.raises(FileNotFoundError):
        verify(str(tmp_path / "epoch_1.pth"), manifest)


def test_manifest_of_another_storage(tmp_path: Path) -> None:
    path = f"memory://{tmp_path.name}/run/epoch_1.pth"

    manifest = _write(path, backend_args=MEMORY)

    assert manifest.file == "epoch_1.pth"
    assert verify(path, manifest, MEMORY) is None
    remove_checkpoint(f"memory://{tmp_path.name}/run", "epoch_1.pth", logging.getLogger(), MEMORY)
    assert not exists(manifest_path(path), backend_args=MEMORY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"accuracy": 1}',
        '{"version": 2}',
        '{"version": 1}',
        '{"version": 1, "file": "a", "size": "9", "sha256": "", "resumable": true, "saved": ""}',
        "\udcff",
    ],
    ids=["empty", "list", "half", "other", "later", "bare", "type", "binary"],
)
def test_unreadable_manifest_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.pth.json").write_bytes(text.encode(errors="surrogateescape"))

    assert read_manifest(str(tmp_path / "a.pth")) is None


def test_manifest_of_a_later_version_with_more_keys_is_read(tmp_path: Path) -> None:
    path = str(tmp_path / "a.pth")
    manifest = _write(path)
    data = json.loads(Path(f"{path}.json").read_text())
    Path(f"{path}.json").write_text(json.dumps({**data, "shards": 4}))

    assert read_manifest(path) == manifest


def test_manifest_is_written_and_removed(tmp_path: Path) -> None:
    path = str(tmp_path / "a.pth")
    manifest = _write(path)
    remove_manifest(path)
    remove_manifest(path)  # there is none
    assert read_manifest(path) is None

    write_manifest(path, manifest)

    assert read_manifest(path) == manifest


def test_rewritten_file_never_has_the_manifest_of_the_older(tmp_path: Path) -> None:
    path = tmp_path / "latest.pth"
    first = _write(path)

    second = _write(path, {**WHOLE, "extra": torch.zeros(100)})

    assert first.sha256 != second.sha256
    assert verify(str(path), second) is None


def test_file_behind_a_link_has_its_manifest_beside_the_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "latest.pth"
    link.symlink_to(tmp_path / "disk" / "real.pth")

    manifest = _write(link)

    assert verify(str(link), manifest) is None
    assert os.listdir(tmp_path / "disk") == ["real.pth"]


def test_device_gets_no_manifest(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    reader = os.open(tmp_path / "pipe.pth", os.O_RDONLY | os.O_NONBLOCK)

    PlainWriter().write({"a": 1}, str(tmp_path / "pipe.pth"))

    assert os.read(reader, 2) == b"PK"
    os.close(reader)
    assert not (tmp_path / "pipe.pth.json").exists()


def test_removed_checkpoint_takes_its_manifest_along(tmp_path: Path) -> None:
    _write(tmp_path / "epoch_1.pth")

    assert remove_checkpoint(str(tmp_path), "epoch_1.pth", logging.getLogger())

    assert not list(tmp_path.iterdir())
