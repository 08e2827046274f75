"""A work directory in another storage is refused, on the command line, too."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine_runner import Runner
from engine_runner._errors import SettingsError

MakeRunner = Callable[..., Runner]


@pytest.mark.parametrize("given", ["s3://bucket/exp/run", "gs://bucket/run/", Path("s3://b/run")])
def test_work_dir_of_another_storage_is_refused_with_the_way_out(
    make_runner: MakeRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Any
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(
        SettingsError, match=r"folder of this machine.*checkpoint\.out_dir='\w+://b"
    ):
        make_runner(work_dir=given)

    assert not list(tmp_path.iterdir())


def test_work_dir_may_be_the_uri_of_a_local_folder(make_runner: MakeRunner, tmp_path: Path) -> None:
    runner = make_runner(work_dir=f"file://{tmp_path}/work")

    assert runner.work_dir == str(tmp_path / "work")


def test_command_refuses_the_work_dir_of_another_storage(
    command: Callable[..., Any], project: Path
) -> None:
    done = command("train", "cfg.py", "--work-dir", "s3://bucket/exp/run", code=1)

    printed = done.stdout + done.stderr
    assert "work_dir must be a folder of this machine, got 's3://bucket/exp/run'" in printed
    assert "default_hooks.checkpoint.out_dir='s3://bucket/exp'" in printed
    assert not list(project.glob("s3:*"))


def test_command_prints_where_the_last_checkpoint_of_a_storage_is(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    done = command(
        "train",
        "cfg.py",
        "--cfg-options",
        f"default_hooks.checkpoint.out_dir=memory://{tmp_path.name}",
        "default_hooks.checkpoint.type=CheckpointHook",
    )

    assert re.search(rf"memory://{tmp_path.name}/cfg/epoch_\d+.pth", done.stdout)
