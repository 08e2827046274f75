"""Runs whose ranks each write their shards, and what resumes from them."""

import errno
import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tests.runner.checkpoint.sharded_runs import train

from engine_model.weights import CheckpointLoader
from engine_model.weights.sharded._plan import SavePlanner
from engine_runner import Runner
from engine_runner._errors import SettingsError
from engine_runner.checkpoint import (
    MARKER,
    CheckpointFolder,
    ShardedWriter,
    find_latest_checkpoint,
    latest_checkpoints,
)
from engine_runner.checkpoint._manifest import read_manifest
from engine_runner.checkpoint._restart import _state_of_marker
from engine_runner.hooks import CheckpointHook

if TYPE_CHECKING:
    from conftest import Scripts

RUNS = Path(__file__).with_name("sharded_runs.py")
MEMORY = {"backend": "fsspec"}


@pytest.fixture(scope="module")
def two(scripts: "Scripts", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of runs of two ranks, each of which saves inside a window."""
    folder = tmp_path_factory.mktemp("two")
    jobs = [
        {"name": "fsdp", "strategy": "FSDPStrategy", "writer": "sharded", "interval": 4},
        {"name": "ddp", "strategy": "DDPStrategy", "writer": "background", "interval": 4},
        {"name": "plain", "strategy": "FSDPStrategy", "interval": 4},
        {"name": "odd", "strategy": "FSDPStrategy", "iterations": 10, "step": 4},
    ]
    return _run(scripts, folder, 2, jobs)


@pytest.fixture(scope="module")
def four(scripts: "Scripts", two: Path) -> Path:
    """Return the same folder, with runs of four ranks that resume from these."""
    load = {"load": "fsdp/iter_8.dcp", "resume": True, "writer": "background", "interval": 2}
    jobs = [
        {"name": "fsdp4", "strategy": "FSDPStrategy", **load},
        {"name": "ddp4", "strategy": "DDPStrategy", **load},
    ]
    return _run(scripts, two, 4, jobs)


def _run(scripts: "Scripts", folder: Path, size: int, jobs: list[dict[str, Any]]) -> Path:
    arguments = (RUNS, folder, json.dumps(jobs))
    for done in scripts.run_ranks(*arguments, folder=folder, size=size):
        assert done.returncode == 0, done.stdout
    return folder


def _compare(folder: Path, name: str, expected: str = "fsdp") -> None:
    found, weights = (torch.load(folder / f"{item}.pt") for item in (name, expected))
    for key, weight in weights.items():
        torch.testing.assert_close(found[key], weight, rtol=0, atol=1e-6)


def test_ranks_write_shards_and_gather_nothing(two: Path) -> None:
    for name, sharded in (("fsdp", [True]), ("ddp", [False]), ("plain", [False])):
        facts = json.loads((two / f"{name}.1.json").read_text())
        assert facts["sharded"] == sharded, name
    manifest = json.loads((two / "fsdp/iter_8.dcp/manifest.json").read_text())
    shards = [name for name in manifest["files"] if name.endswith(".distcp")]
    assert [name[-9:] for name in sorted(shards)] == ["_0.distcp", "_1.distcp"]


def test_retention_and_the_marker_have_folders(two: Path) -> None:
    names = sorted(path.name for path in (two / "fsdp").glob("*.dcp"))

    assert names == ["iter_11.dcp", "iter_8.dcp"]  # max_keep_ckpts=2, the first is deleted
    assert find_latest_checkpoint(two / "fsdp") == str(two / "fsdp/iter_11.dcp")
    manifest = read_manifest(str(two / "fsdp/iter_8.dcp"))
    assert manifest is not None
    assert (manifest.resumable, manifest.iter, manifest.format) == (True, 8, "dcp")


@pytest.mark.parametrize("name", ["fsdp4", "ddp4"])
def test_four_ranks_resume_what_two_have_saved_inside_a_window(four: Path, name: str) -> None:
    _compare(four, name)
    assert json.loads((four / f"{name}.3.json").read_text())["seen"] == 11


@pytest.mark.parametrize("source", ["fsdp/iter_8.dcp", "ddp/iter_8.dcp", "plain/iter_8.pth"])
def test_one_process_resumes_what_two_ranks_have_saved(two: Path, source: str) -> None:
    name = source.partition("/")[0]

    facts, weights = train(two, f"{name}1", load=source, resume=True)

    assert facts["seen"] == 11
    for key, weight in torch.load(two / f"{name}.pt").items():
        torch.testing.assert_close(weights[key], weight, rtol=0, atol=1e-6)


def test_window_of_a_sharded_model_is_finished_at_the_end(two: Path) -> None:
    _, weights = train(two, "odd1", iterations=10, step=4)

    for key, weight in torch.load(two / "odd.pt").items():
        torch.testing.assert_close(weights[key], weight, rtol=0, atol=1e-6)


def test_run_resumes_the_newest_whole_folder(tmp_path: Path) -> None:
    _, whole = train(tmp_path, "run", writer="background", interval=4)
    shards = next((tmp_path / "run/iter_11.dcp").glob("*.distcp"))
    shards.write_bytes(shards.read_bytes()[:-1])

    found = latest_checkpoints([CheckpointFolder(str(tmp_path / "run"))])
    facts, weights = train(tmp_path, "run", writer="sharded", resume=True)

    assert [Path(path).name for path in found] == ["iter_11.dcp", "iter_8.dcp"]
    assert facts["seen"] == 11
    assert all(torch.equal(whole[key], weights[key]) for key in whole)


def test_weights_of_a_folder_are_loaded(tmp_path: Path, make_runner: Callable[..., Runner]) -> None:
    first = make_runner(default_hooks={"checkpoint": {"type": "CheckpointHook", "interval": 1,
        "writer": "ShardedWriter", "published_keys": ["state_dict"]}})  # fmt: skip
    model: Any = first.train()
    folder = find_latest_checkpoint(first.work_dir)
    assert folder is not None
    assert folder.endswith(".dcp")

    second = make_runner(work_dir=str(tmp_path / "second"), load_from=folder)
    second.load_or_resume()

    state = model.state_dict()
    for key, weight in second.model.state_dict().items():
        assert torch.equal(weight, state[key])
    (published,) = Path(first.work_dir).glob("*-????????.pth")
    assert published.name.startswith(Path(folder).stem)
    assert list(torch.load(published, weights_only=True)) == ["state_dict"]


@pytest.mark.parametrize("asynchronous", [False, True], ids=["at-once", "background"])
@pytest.mark.parametrize("older", [True, False], ids=["older-folder", "no-folder"])
def test_full_disk_leaves_the_older_folder_or_none(
    tmp_path: Path, older: bool, asynchronous: bool
) -> None:
    writer, path = ShardedWriter(asynchronous=asynchronous), tmp_path / "latest.dcp"
    completed = []

    def write(value: float) -> None:
        checkpoint = {"state_dict": {"weight": torch.full((100_000,), value)}}
        writer.write(checkpoint, str(path), then=lambda: completed.append(value))
        writer.finish()

    if older:
        write(1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"latest\.dcp") as raised:
            write(2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert raised.value.errno == errno.EFBIG
    assert completed == ([1] if older else [])
    if older:
        assert CheckpointLoader.load_checkpoint(path)["state_dict"]["weight"].unique() == 1
    write(3)
    assert CheckpointLoader.load_checkpoint(path)["state_dict"]["weight"].unique() == 3


def test_folder_goes_to_another_storage_and_is_removed_there(
    tmp_path: Path, make_runner: Callable[..., Runner]
) -> None:
    out = f"memory://{tmp_path.name}"
    checkpoint = {
        "type": "CheckpointHook",
        "interval": 1,
        "max_keep_ckpts": 1,
        "out_dir": out,
        "backend_args": MEMORY,
        "writer": {"type": "ShardedWriter", "asynchronous": True},
    }

    runner = make_runner(default_hooks={"checkpoint": checkpoint})
    runner.train()

    found = find_latest_checkpoint(runner.work_dir)
    assert found is not None
    assert found.startswith(out)
    saved = CheckpointLoader.load_checkpoint(found)
    assert saved["meta"]["epoch"] == runner.max_epochs
    names = [Path(path).name for path in latest_checkpoints([CheckpointFolder(runner.work_dir)])]
    assert names == [f"epoch_{runner.max_epochs}.dcp"]


def test_earlier_run_leaves_no_unfinished_folder(
    tmp_path: Path, make_runner: Callable[..., Runner]
) -> None:
    runner = make_runner()
    left = Path(runner.work_dir, "epoch_9.dcp")
    left.mkdir(parents=True)
    (left / "0123abcd_0.distcp").touch()

    runner.train()

    assert not left.exists()


@pytest.mark.parametrize(
    ("writer", "words"),
    [
        ({"type": "ShardedWriter", "asynchronus": True}, "asynchronous"),
        (
            {"type": "ShardedWriter", "asynchronous": "yes"},
            "of ShardedWriter must be bool",
        ),
        ("ShardedWritr", "ShardedWriter"),
    ],
    ids=["misspelled", "not-a-bool", "unknown"],
)
def test_wrong_writer_raises_with_the_way_out(writer: Any, words: str) -> None:
    with pytest.raises((SettingsError, ValueError), match=words):
        CheckpointHook(writer=writer)


def test_ranks_with_other_tensors_than_the_main_one_raise() -> None:
    large = {name: torch.zeros(200, 200) for name in "ab"}
    plans = [
        SavePlanner({"hooks": large}, 0, 2).create_local_plan(),
        SavePlanner({"hooks": {}}, 1, 2).create_local_plan(),
    ]
    planner = SavePlanner({"hooks": large}, 0, 2)

    with pytest.raises(ValueError, match=r"the same tensors on all ranks, but 'hooks\.b'"):
        planner.create_global_plan(plans)


def test_restart_distinguishes_a_folder_that_is_saved_again_under_its_name(tmp_path: Path) -> None:
    folder = CheckpointFolder(f"memory://{tmp_path.name}", MEMORY)
    seen = set()

    for value in (1.0, 2.0):
        checkpoint = {"state_dict": {"weight": torch.tensor([value])}}
        ShardedWriter().write(checkpoint, folder.join("epoch_1.dcp"), backend_args=MEMORY)
        folder.backend.put(b"epoch_1.dcp", folder.join(MARKER))
        seen.add(_state_of_marker(folder))

    assert len(seen) == 2


def test_file_with_the_name_of_a_folder_is_refused(make_runner: Callable[..., Runner]) -> None:
    hook = {"type": "CheckpointHook", "filename_tmpl": "epoch_{}.dcp"}
    runner = make_runner(default_hooks={"checkpoint": hook})

    with pytest.raises(SettingsError, match=r"writer='ShardedWriter'"):
        runner.train()

    assert runner.iter == 0
