"""Checkpoints in other storages: saved there, resumed from there, and storages that fail."""

import dataclasses
import shutil
import time
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

from engine_fileio import StorageUnavailable, get_file_backend
from engine_model.weights import CheckpointError
from engine_runner import Runner, find_latest_checkpoint
from engine_runner._errors import SettingsError
from engine_runner.checkpoint import (
    CheckpointFolder,
    backend_args_in,
    checkpoint_folders,
    latest_checkpoints,
    mark_latest_checkpoint,
    read_manifest,
    save_now,
    write_manifest,
)
from engine_runner.hooks import CheckpointHook

MakeRunner = Callable[..., Runner]
MEMORY = {"backend": "fsspec"}


@pytest.fixture(params=["s3", "memory", "file", "folder"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Return the arguments of a CheckpointHook that saves to a storage."""
    if request.param == "s3":
        options = request.getfixturevalue("s3_options")
        return {
            "out_dir": f"s3://{request.getfixturevalue('bucket')}/runs",
            "backend_args": {**options, "backend": "s3"},
        }
    if request.param == "memory":
        return {"out_dir": f"memory://{tmp_path.name}", "backend_args": MEMORY}
    scheme = "file://" if request.param == "file" else ""
    return {"out_dir": f"{scheme}{tmp_path / 'elsewhere'}"}


def _hooks(storage: dict[str, Any], **options: Any) -> dict[str, Any]:
    hook = {"type": "CheckpointHook", "interval": 1, **storage, **options}
    return {"checkpoint": hook, "logger": {"type": "LoggerHook", "interval": 1}}


def _trained(runner: Runner) -> torch.Tensor:
    runner.train()
    weight: torch.Tensor = runner.model.linear.weight
    return weight.detach().clone()


def _folder(runner: Runner) -> CheckpointFolder:
    return checkpoint_folders(runner)[0]


def test_run_resumes_from_a_storage_with_the_same_config(
    make_runner: MakeRunner, tmp_path: Path, storage: dict[str, Any]
) -> None:
    whole = _trained(make_runner(work_dir=str(tmp_path / "whole"), param_scheduler=None))
    first = make_runner(
        default_hooks=_hooks(storage),
        param_scheduler=None,
        train_cfg={"by_epoch": True, "max_epochs": 2},
    )
    first.train()
    places = _folder(first)
    assert places.read_text("last_checkpoint") == "epoch_2.pth"
    assert places.names(".pth") == ["epoch_1.pth", "epoch_2.pth"]
    assert not list(Path(first.work_dir).glob("*.pth"))
    shutil.rmtree(first.work_dir)  # another machine

    resumed = make_runner(default_hooks=_hooks(storage), param_scheduler=None, resume=True)

    assert torch.equal(_trained(resumed), whole)
    assert places.read_text("last_checkpoint") == "epoch_3.pth"
    assert places.names(".pth") == ["epoch_1.pth", "epoch_2.pth", "epoch_3.pth"]


@pytest.mark.parametrize("markers", ["local", "remote", "none"])
def test_run_resumes_from_a_storage_without_markers(
    make_runner: MakeRunner, storage: dict[str, Any], markers: str
) -> None:
    two = {"by_epoch": True, "max_epochs": 2}
    first = make_runner(default_hooks=_hooks(storage), train_cfg=two)
    first.train()
    place = _folder(first)
    if markers != "local":
        (Path(first.work_dir) / "last_checkpoint").unlink()
    if markers != "remote":
        place.backend.remove(place.join("last_checkpoint"))

    resumed = make_runner(default_hooks=_hooks(storage), resume=True)
    resumed.load_or_resume()

    assert resumed.epoch == 2


def test_newer_checkpoint_of_another_machine_is_resumed(
    make_runner: MakeRunner, tmp_path: Path, storage: dict[str, Any]
) -> None:
    here, there = str(tmp_path / "here" / "run"), str(tmp_path / "there" / "run")
    for work_dir, epochs in ((here, 1), (there, 2)):
        make_runner(
            work_dir=work_dir,
            default_hooks=_hooks(storage),
            resume=True,
            train_cfg={"by_epoch": True, "max_epochs": epochs},
        ).train()

    runner = make_runner(work_dir=here, default_hooks=_hooks(storage), resume=True)
    runner.load_or_resume()

    assert runner.epoch == 2


def test_load_from_a_storage_takes_the_arguments_of_the_hook(
    make_runner: MakeRunner, tmp_path: Path, storage: dict[str, Any]
) -> None:
    first = make_runner(default_hooks=_hooks(storage))
    weights = _trained(first)
    path = _folder(first).join("epoch_3.pth")

    runner = make_runner(
        default_hooks=_hooks(storage), load_from=path, work_dir=str(tmp_path / "new")
    )
    runner.load_or_resume()
    resumed = make_runner(default_hooks=_hooks(storage), work_dir=str(tmp_path / "third"))
    resumed.resume(path)

    assert torch.equal(runner.model.linear.weight, weights)
    assert torch.equal(resumed.model.linear.weight, weights)
    assert resumed.epoch == 3


def test_old_best_and_published_checkpoints_are_managed_in_a_storage(
    make_runner: MakeRunner, storage: dict[str, Any]
) -> None:
    options = {"max_keep_ckpts": 1, "save_best": "error", "published_keys": "state_dict"}
    runner = make_runner(default_hooks=_hooks(storage, **options))

    runner.train()

    names = _folder(runner).names(".pth")
    best = [name for name in names if name.startswith("best_error")]
    assert [name for name in names if name.startswith("epoch") and "-" not in name] == [
        "epoch_3.pth"
    ]
    assert len(best) == 2  # the best one, and its copy
    assert len([name for name in names if "-" in name]) == 2


def test_damaged_checkpoint_of_a_storage_leaves_the_run_to_an_older_one(
    make_runner: MakeRunner, storage: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    first = make_runner(default_hooks=_hooks(storage))
    first.train()
    place = _folder(first)
    place.backend.put(place.backend.get(place.join("epoch_3.pth"))[:500], place.join("epoch_3.pth"))

    runner = make_runner(default_hooks=_hooks(storage), resume=True)
    runner.load_or_resume()

    assert runner.epoch == 2


def test_marker_of_a_deleted_checkpoint_leaves_the_run_to_an_older_one(
    make_runner: MakeRunner, storage: dict[str, Any]
) -> None:
    first = make_runner(default_hooks=_hooks(storage))
    first.train()
    place = _folder(first)
    place.backend.remove(place.join("epoch_3.pth"))

    runner = make_runner(default_hooks=_hooks(storage), resume=True)
    runner.load_or_resume()

    assert runner.epoch == 2


def test_latest_checkpoint_of_a_storage_is_found_by_its_address(
    make_runner: MakeRunner, storage: dict[str, Any]
) -> None:
    first = make_runner(default_hooks=_hooks(storage))
    first.train()
    place = _folder(first)

    found = find_latest_checkpoint(place.path, place.backend_args)

    assert found == place.join("epoch_3.pth")


def test_copied_folder_of_a_storage_resumes_from_its_own_files(
    s3_options: Any, bucket: str
) -> None:
    backend = get_file_backend("s3://x", backend_args=s3_options)
    for folder in ("former", "copy"):
        backend.put(b"", f"s3://{bucket}/{folder}/epoch_1.pth")
        backend.put_text(
            f"s3://{bucket}/former/epoch_1.pth", f"s3://{bucket}/{folder}/last_checkpoint"
        )

    found = find_latest_checkpoint(f"s3://{bucket}/copy", s3_options)

    assert found == f"s3://{bucket}/copy/epoch_1.pth"


@pytest.fixture
def down(unused_port: int) -> dict[str, Any]:
    """Return the arguments of a hook whose storage does not answer."""
    args = {"endpoint_url": f"http://127.0.0.1:{unused_port}", "retries": 0, "anonymous": True}
    return {"out_dir": "s3://bucket/runs", "backend_args": {**args, "region_name": "us-east-1"}}


def test_storage_that_is_down_ends_a_resume_before_it_begins_anew(
    make_runner: MakeRunner, down: dict[str, Any]
) -> None:
    runner = make_runner(default_hooks=_hooks(down), resume=True)

    with pytest.raises(CheckpointError, match=r"cannot be reached.*resume=False"):
        runner.train()

    assert runner.iter == 0


def test_storage_that_is_down_ends_a_new_run_before_its_first_epoch(
    make_runner: MakeRunner, down: dict[str, Any]
) -> None:
    runner = make_runner(default_hooks=_hooks(down))

    with pytest.raises(SettingsError, match=r"out_dir of CheckpointHook must be writable"):
        runner.train()

    assert runner.iter == 0


def test_storage_that_cannot_be_written_to_is_refused(make_runner: MakeRunner) -> None:
    runner = make_runner(default_hooks=_hooks({"out_dir": "https://127.0.0.1/runs"}))

    with pytest.raises(SettingsError, match=r"HTTPBackend cannot do 'put'"):
        runner.train()


def test_stopped_run_is_saved_to_the_storage_of_its_checkpoints(
    make_runner: MakeRunner, storage: dict[str, Any]
) -> None:
    runner = make_runner(default_hooks=_hooks(storage))
    runner.train()

    path = save_now(runner, "interrupted.pth", runner.progress)

    place = _folder(runner)
    assert path == place.backend.join_path(place.path, "interrupted.pth")
    shutil.rmtree(runner.work_dir)
    assert find_latest_checkpoint(place.path, place.backend_args) == place.join("interrupted.pth")


def test_stopped_run_whose_storage_is_down_is_saved_to_the_work_directory(
    make_runner: MakeRunner, down: dict[str, Any]
) -> None:
    runner = make_runner(default_hooks=_hooks(down))

    path = save_now(runner, "interrupted.pth", runner.progress)

    assert path == str(Path(runner.work_dir) / "interrupted.pth")
    assert find_latest_checkpoint(runner.work_dir) == path


def test_checkpoint_saved_last_is_resumed_if_two_folders_have_one(
    make_runner: MakeRunner, storage: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner(default_hooks=_hooks(storage))
    runner.train()
    path = runner.save_checkpoint(runner.work_dir, "interrupted.pth", progress=runner.progress)
    mark_latest_checkpoint(runner.work_dir, path)
    later = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(time.time() + 5))
    manifest = read_manifest(path)
    assert manifest is not None
    write_manifest(path, dataclasses.replace(manifest, saved=later))

    assert latest_checkpoints(checkpoint_folders(runner))[0] == path


def test_arguments_of_a_hook_for_images_read_no_checkpoint() -> None:
    hook = {"type": "DetVisualizationHook", "backend_args": {"backend": "petrel"}}
    config = {"work_dir": "runs", "custom_hooks": [hook]}

    assert backend_args_in(config, "runs/epoch_1.pth") is None


def test_cache_is_refused(make_runner: MakeRunner) -> None:
    pytest.importorskip("pymemcache")
    args = {"backend": "memcached", "server_list_cfg": ["127.0.0.1:1"], "client_cfg": {}}
    runner = make_runner(default_hooks=_hooks({"out_dir": "runs", "backend_args": args}))

    with pytest.raises(SettingsError, match="MemcachedBackend, a cache, which may delete them"):
        runner.train()


def test_run_resumes_from_an_address_of_the_web(
    make_runner: MakeRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    first = make_runner()
    first.train()
    handler = partial(SimpleHTTPRequestHandler, directory=first.work_dir)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/epoch_3.pth"

    runner = make_runner(work_dir=str(tmp_path / "new"), load_from=address, resume=True)
    runner.load_or_resume()
    server.shutdown()
    server.server_close()

    assert runner.epoch == 3
    assert torch.equal(runner.model.linear.weight, first.model.linear.weight)


class _Failing(CheckpointHook):
    """Break the network after the checkpoint of one epoch, until the next is saved."""

    def __init__(self, break_at: int, endpoint: str, **options: Any) -> None:
        super().__init__(**options)
        self.break_at, self.endpoint = break_at, endpoint

    def after_train_epoch(self, runner: Any) -> None:
        args = self.backend_args or {}
        good = args["endpoint_url"]
        if runner.epoch + 1 == self.break_at:
            args |= {"endpoint_url": self.endpoint, "retries": 0}
        super().after_train_epoch(runner)
        args["endpoint_url"] = good


def test_network_error_while_saving_keeps_what_the_run_has(
    make_runner: MakeRunner, s3_options: dict[str, Any], bucket: str, unused_port: int
) -> None:
    place = {"out_dir": f"s3://{bucket}/runs", "backend_args": {**s3_options}}
    hook = _Failing(2, f"http://127.0.0.1:{unused_port}", interval=1, max_keep_ckpts=1, **place)
    runner = make_runner(default_hooks={"checkpoint": hook})

    runner.train()

    folder = CheckpointFolder(f"s3://{bucket}/runs/work", s3_options)
    assert folder.names(".pth") == ["epoch_3.pth"]
    log = next(Path(runner.log_dir).glob("*.log")).read_text()
    assert "epoch_2.pth was not saved" in log
    assert "cannot be reached" in log


def test_newest_checkpoint_that_cannot_be_read_is_not_replaced_by_an_older_one(
    make_runner: MakeRunner, tmp_path: Path
) -> None:
    hooks = {"checkpoint": {"type": "CheckpointHook", "interval": 1}}
    make_runner(default_hooks=hooks).train()
    runner = make_runner(default_hooks=hooks, resume=True)
    read = runner.checkpointer.read

    def unavailable(filename: str, *args: Any) -> dict[str, Any]:
        if filename.endswith("epoch_3.pth"):
            raise StorageUnavailable("the network is down")
        return read(filename, *args)

    runner.checkpointer._source._read = unavailable
    with pytest.raises(CheckpointError, match=r"epoch_3\.pth cannot be read: the network is down"):
        runner.load_or_resume()
