"""Each writer of checkpoints keeps one contract: a reader sees a complete checkpoint, or none."""

import errno
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from engine_fileio import exists
from engine_model.weights import CheckpointLoader
from engine_runner import Runner
from engine_runner._errors import SettingsError
from engine_runner.checkpoint._manifest import manifest_path
from engine_runner.checkpoint.writers import AsyncWriter, PlainWriter, ShardedWriter, Writer

WRITERS: dict[str, Callable[[], Writer]] = {
    "plain": PlainWriter,
    "async": AsyncWriter,
    "sharded": ShardedWriter,
    "sharded-async": partial(ShardedWriter, asynchronous=True),
}
MEMORY = {"backend": "fsspec"}

RankResults = dict[str, list[dict[str, Any]]]


@pytest.fixture(params=list(WRITERS.values()), ids=list(WRITERS))
def writer(request: pytest.FixtureRequest) -> Writer:
    made: Writer = request.param()
    return made


def _named(writer: Writer, stem: str) -> str:
    """Return the name of a checkpoint of a writer: a file, or a folder of shards."""
    return f"{stem}.dcp" if writer.sharded else f"{stem}.pth"


def _checkpoint(value: float, size: int = 10) -> dict[str, Any]:
    return {
        "meta": {"epoch": 1, "iter": 4, "cfg": "lr = 0.1"},
        "state_dict": {"weight": torch.full((size,), value)},
        "optimizer": {"state": {0: {"step": torch.tensor(4.0)}}, "param_groups": [{"lr": 0.1}]},
    }


def _write(writer: Writer, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Write a checkpoint, and wait until it is complete: either of the two may raise."""
    writer.write(checkpoint, str(path))
    writer.finish()


def _value(path: str | Path) -> float:
    read = CheckpointLoader.load_checkpoint(str(path), map_location="cpu")
    weight = read["state_dict"]["weight"]
    assert torch.equal(weight, weight[0].expand(len(weight)))  # of one checkpoint, not of two
    return float(weight[0])


@contextmanager
def _disk_with_room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_checkpoint_is_read_as_it_was_written(writer: Writer, tmp_path: Path) -> None:
    path = tmp_path / _named(writer, "epoch_1")

    _write(writer, _checkpoint(3), path)

    read = CheckpointLoader.load_checkpoint(path, map_location="cpu")
    assert read["meta"] == {"epoch": 1, "iter": 4, "cfg": "lr = 0.1"}
    assert torch.equal(read["state_dict"]["weight"], torch.full((10,), 3.0))
    assert read["optimizer"]["state"][0]["step"] == 4
    assert Path(manifest_path(str(path))).is_file()
    assert len(list(tmp_path.iterdir())) == (1 if writer.sharded else 2)


def test_training_that_continues_does_not_change_what_is_written(
    writer: Writer, tmp_path: Path
) -> None:
    checkpoint, path = _checkpoint(1), tmp_path / _named(writer, "epoch_1")

    writer.write(checkpoint, str(path))
    checkpoint["state_dict"]["weight"].fill_(2)
    writer.finish()

    assert _value(path) == 1


def test_checkpoint_replaces_an_older_one_of_its_name(writer: Writer, tmp_path: Path) -> None:
    path = tmp_path / _named(writer, "latest")
    for value in (1, 2):
        _write(writer, _checkpoint(value), path)

    assert _value(path) == 2


def test_folder_is_created(writer: Writer, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / _named(writer, "epoch_1")

    _write(writer, _checkpoint(1), path)

    assert _value(path) == 1


def test_checkpoint_goes_to_a_uri(writer: Writer, tmp_path: Path) -> None:
    name = _named(writer, "epoch_1")

    _write(writer, _checkpoint(1), f"file://{tmp_path}/{name}")

    assert _value(tmp_path / name) == 1


def test_checkpoint_goes_to_another_storage(writer: Writer, tmp_path: Path) -> None:
    path = f"memory://{tmp_path.name}/{_named(writer, 'epoch_1')}"
    for value in (1, 2):
        writer.write(_checkpoint(value), path, backend_args=MEMORY)
    writer.finish()

    assert _value(path) == 2
    assert exists(path, backend_args=MEMORY)


@pytest.mark.parametrize("room", [1000, 100_000], ids=["for-nothing", "for-a-part"])
@pytest.mark.parametrize("older", [True, False], ids=["older-file", "no-file"])
def test_full_disk_leaves_the_older_file_or_none(
    writer: Writer, tmp_path: Path, older: bool, room: int
) -> None:
    path = tmp_path / _named(writer, "latest")
    if older:
        _write(writer, _checkpoint(1, size=100_000), path)

    before = sorted(item for item in tmp_path.rglob("*") if item.is_file())

    with _disk_with_room_for(room), pytest.raises(OSError, match=r"latest\.") as raised:
        _write(writer, _checkpoint(2, size=100_000), path)

    assert raised.value.errno == errno.EFBIG
    assert sorted(item for item in tmp_path.rglob("*") if item.is_file()) == before
    assert not older or _value(path) == 1


def test_writer_writes_again_after_a_failure(writer: Writer, tmp_path: Path) -> None:
    path = str(tmp_path / _named(writer, "latest"))
    with _disk_with_room_for(1000), pytest.raises(OSError, match=r"latest\."):
        _write(writer, _checkpoint(1, size=100_000), path)

    _write(writer, _checkpoint(2), path)

    assert _value(path) == 2


def test_folder_that_is_a_file_raises_with_its_name(writer: Writer, tmp_path: Path) -> None:
    (tmp_path / "work").write_text("")

    with pytest.raises(OSError, match="work"):
        _write(writer, _checkpoint(1), tmp_path / "work" / _named(writer, "epoch_1"))


def test_reader_never_sees_a_part(writer: Writer, tmp_path: Path) -> None:
    path = tmp_path / _named(writer, "latest")
    _write(writer, _checkpoint(0, size=100_000), path)
    seen: list[float] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            seen.append(_value(path))  # raises for a part of a file, and for two mixed ones

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 20):
        _write(writer, _checkpoint(number, size=100_000), path)
    ended.set()
    reader.join()

    assert seen == sorted(seen)
    assert seen[0] < 20


def test_finish_may_be_called_at_any_time(writer: Writer, tmp_path: Path) -> None:
    path = tmp_path / _named(writer, "epoch_1")

    writer.finish()
    _write(writer, _checkpoint(1), path)
    writer.finish()

    assert _value(path) == 1


def test_checkpoint_is_there_for_all_ranks(rank_results: RankResults) -> None:
    for results in rank_results["rank_cases.py"]:
        assert results["write"] == dict.fromkeys(WRITERS, 0.0)  # the main rank's


def test_run_finishes_its_writer(make_runner: Callable[..., Runner]) -> None:
    class Slow(PlainWriter):
        """Writes what it was given when it is finished."""

        in_background = True

        def __init__(self) -> None:
            self.waiting: list[tuple[dict[str, Any], str, Any]] = []

        def write(self, checkpoint: dict[str, Any], path: str, **options: Any) -> None:
            self.waiting.append((checkpoint, path, options))

        def finish(self) -> None:
            for checkpoint, path, options in self.waiting:
                super().write(checkpoint, path, **options)
            self.waiting = []

    runner = make_runner()
    runner.checkpointer.use(Slow())

    runner.train()

    assert len(list(Path(runner.work_dir).glob("epoch_*.pth"))) == 3


def test_hooks_with_different_writers_are_refused(make_runner: Callable[..., Runner]) -> None:
    hook = {"type": "CheckpointHook", "interval": 1}
    runner = make_runner(
        default_hooks={"checkpoint": {**hook, "writer": "AsyncWriter"}},
        custom_hooks=[{**hook, "writer": "PlainWriter", "filename_tmpl": "other_{}.pth"}],
    )

    with pytest.raises(
        SettingsError, match=r"must be the same for all hooks .* AsyncWriter, Plain"
    ):
        runner.train()


@pytest.mark.parametrize("writer", [PlainWriter(), AsyncWriter()], ids=["plain", "async"])
def test_manifest_that_cannot_be_replaced_does_not_fail_a_save(
    writer: Writer, tmp_path: Path
) -> None:
    (tmp_path / "epoch_1.pth.json").mkdir()

    _write(writer, _checkpoint(3), tmp_path / "epoch_1.pth")

    assert _value(tmp_path / "epoch_1.pth") == 3
