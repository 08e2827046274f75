"""Checkpoints whose names have other endings than ``.pth`` are found like these."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine_runner import Runner
from engine_runner.checkpoint import CheckpointFolder, checkpoint_folders, latest_checkpoints

MakeRunner = Callable[..., Runner]


@pytest.mark.parametrize("remote", [True, False], ids=["memory", "folder"])
@pytest.mark.parametrize("marker", ["none", "stale"])
def test_checkpoints_of_other_endings_are_found_by_their_manifests(
    make_runner: MakeRunner, tmp_path: Path, remote: bool, marker: str
) -> None:
    hook: dict[str, Any] = {
        "type": "CheckpointHook",
        "filename_tmpl": "epoch_{}.ckpt",
        "max_keep_ckpts": 2,
    }
    if remote:
        hook |= {"out_dir": f"memory://{tmp_path.name}", "backend_args": {"backend": "fsspec"}}
    hooks = {"checkpoint": {**hook, "interval": 1}}
    first = make_runner(default_hooks=hooks)
    first.train()
    place = checkpoint_folders(first)[0]
    for folder in (place, CheckpointFolder(first.work_dir)):
        folder.backend.put(b"epoch_1.ckpt", folder.join("last_checkpoint"))  # it was deleted
        if marker == "none":
            folder.backend.remove(folder.join("last_checkpoint"))
    for name in ("notes.txt", "notes.txt.json", "epoch_9.ckpt"):
        place.backend.put(b"{}", place.join(name))
    assert place.names(".ckpt") == ["epoch_2.ckpt", "epoch_3.ckpt", "epoch_9.ckpt"]

    runner = make_runner(default_hooks=hooks, resume=True)
    found = latest_checkpoints(checkpoint_folders(runner))
    runner.load_or_resume()

    assert found == [place.join("epoch_3.ckpt"), place.join("epoch_2.ckpt")]
    assert runner.epoch == 3
