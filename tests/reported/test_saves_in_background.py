"""A checkpoint that is written while the training continues is as safe as one it waits for."""

import errno
import os
import resource
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from engine_model import read_checkpoint
from engine_runner import Hook, Runner
from engine_runner._errors import CheckpointWriteError, SettingsError
from engine_runner.checkpoint import read_manifest, verify
from engine_runner.checkpoint.writers import AsyncWriter
from engine_runner.checkpoint.writers._snapshot import Snapshots

Toy = Callable[..., Runner]


class Held(AsyncWriter):
    """An `AsyncWriter` whose thread waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def write(self, checkpoint: dict[str, Any], path: str, **options: Any) -> None:
        take = self._snapshots.take

        def held(value: dict[str, Any]) -> Any:
            taken, _ = take(value)
            return taken, self.go.wait

        self._snapshots.take = held  # type: ignore[method-assign, assignment]  # of this object
        super().write(checkpoint, path, **options)
        self._snapshots.take = take  # type: ignore[method-assign]  # as before


class Look(Hook):
    """Call a function after each epoch, counted from 1."""

    priority = "LOWEST"

    def __init__(self, look: Callable[[Any, int], None]) -> None:
        self.look = look

    def after_train_epoch(self, runner: Any) -> None:
        self.look(runner, runner.epoch + 1)


def _run(toy_run: Toy, *hooks: Hook, epochs: int = 3, writer: Any = None, **options: Any) -> Runner:
    checkpoint = {"type": "CheckpointHook", "interval": 1, "writer": writer or "AsyncWriter"}
    runner = toy_run(
        validate=options.pop("validate", None),
        train_cfg={"by_epoch": True, "max_epochs": epochs},
        default_hooks={"checkpoint": {**checkpoint, **options}},
        custom_hooks=list(hooks),
    )
    runner.model.large = nn.Parameter(torch.zeros(100_000))
    return runner


def _files(runner: Runner) -> list[str]:
    return sorted(path.name for path in Path(runner.work_dir).glob("*.pth"))


def _log(runner: Runner) -> str:
    return Path(runner.log_dir, f"{runner.timestamp}.log").read_text()


def test_file_has_the_weights_of_its_epoch(toy_run: Toy) -> None:
    weights: dict[int, float] = {}

    def look(runner: Any, epoch: int) -> None:
        weights[epoch] = runner.model.linear.weight.item()

    runner = _run(toy_run, Look(look))
    runner.train()

    for epoch, weight in weights.items():
        path = f"{runner.work_dir}/epoch_{epoch}.pth"
        assert read_checkpoint(path)["state_dict"]["linear.weight"].item() == weight
        manifest = read_manifest(path)
        assert manifest is not None
        assert (manifest.epoch, manifest.resumable, verify(path, manifest)) == (epoch, True, None)
    assert len(set(weights.values())) == 3


def test_marker_and_deletion_wait_for_the_complete_file(toy_run: Toy) -> None:
    writer = Held()
    seen: list[Any] = []

    def look(runner: Any, epoch: int) -> None:
        marker = Path(runner.work_dir, "last_checkpoint")
        seen.append((_files(runner), marker.is_file()))
        writer.go.set()
        runner.checkpointer.wait()
        writer.go.clear()
        seen.append((_files(runner), Path(marker.read_text()).name))

    runner = _run(toy_run, Look(look), epochs=2, writer=writer, max_keep_ckpts=1)
    runner.train()

    assert seen == [
        ([], False),
        (["epoch_1.pth"], "epoch_1.pth"),
        (["epoch_1.pth"], True),
        (["epoch_2.pth"], "epoch_2.pth"),
    ]
    assert sorted(path.name for path in Path(runner.work_dir).glob("*.pth*")) == [
        "epoch_2.pth",
        "epoch_2.pth.json",
    ]


def test_best_checkpoint_and_its_copy_are_complete_at_the_end(toy_run: Toy) -> None:
    runner = _run(
        toy_run,
        validate=[0.1, 0.9, 0.5],
        save_best="acc",
        max_keep_ckpts=1,
        published_keys=["meta", "state_dict"],
    )
    runner.train()

    plain = [name for name in _files(runner) if "-" not in name]
    assert plain == ["best_acc_epoch_2.pth", "epoch_3.pth"]
    assert len(_files(runner)) == 4
    assert runner.message_hub.get_info("best_score") == 0.9
    assert "The best checkpoint with 0.9000 acc" in _log(runner)


def _full(runner: Any, epoch: int, full: int) -> None:
    """Let the disk be full for the checkpoint of an epoch."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = 100_000 if epoch == full else limits[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))


class FullDisk(Hook):
    """Fill the disk from the end of one epoch to that of the next, and at most to the end."""

    priority = "HIGHEST"

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def before_train_epoch(self, runner: Any) -> None:
        runner.checkpointer.wait()
        _full(runner, runner.epoch + 1, self.epoch)

    def after_run(self, runner: Any) -> None:
        _full(runner, 0, self.epoch)


@pytest.fixture(autouse=True)
def _room_again() -> Any:
    yield
    _full(None, 0, 1)


def test_full_disk_keeps_the_former_checkpoint_and_is_logged_at_once(toy_run: Toy) -> None:
    logged = []

    def look(runner: Any, epoch: int) -> None:
        runner.checkpointer.wait()
        logged.append(_log(runner).count("epoch_2.pth was not saved"))

    runner = _run(toy_run, FullDisk(2), Look(look), max_keep_ckpts=1)
    runner.train()

    assert logged == [0, 1, 1]
    assert _log(runner).count(f"epoch_2.pth was not saved: [Errno {errno.EFBIG}]") == 1
    assert _files(runner) == ["epoch_3.pth"]


def test_last_checkpoint_that_fails_raises_at_the_end(toy_run: Toy) -> None:
    runner = _run(toy_run, FullDisk(3))

    with pytest.raises(CheckpointWriteError, match=r"epoch_3\.pth.*epoch_2\.pth"):
        runner.train()

    assert _files(runner) == ["epoch_1.pth", "epoch_2.pth"]


def test_best_checkpoint_that_fails_leaves_the_former_score(toy_run: Toy) -> None:
    runner = _run(
        toy_run,
        FullDisk(2),
        validate=[0.5, 0.9, 0.7],
        save_best="acc",
        interval=-1,
        save_last=False,
    )

    runner.train()

    assert _files(runner) == ["best_acc_epoch_3.pth"]
    assert runner.message_hub.get_info("best_score") == 0.7


def test_exception_waits_for_the_checkpoint(toy_run: Toy) -> None:
    writer = Held()

    class Fail(Hook):
        def before_train_epoch(self, runner: Any) -> None:
            if runner.epoch == 1:
                threading.Timer(0.2, writer.go.set).start()
                raise ValueError("bad sample")

    runner = _run(toy_run, Fail(), writer=writer)

    with pytest.raises(ValueError, match="bad sample"):
        runner.train()

    assert _files(runner) == ["epoch_1.pth"]
    assert Path(runner.work_dir, "last_checkpoint").read_text().endswith("epoch_1.pth")


def test_signal_saves_after_the_former_checkpoint_is_complete(toy_run: Toy) -> None:
    writer = Held()

    class Stop(Hook):
        def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
            if runner.iter == 5:
                threading.Timer(0.2, writer.go.set).start()
                os.kill(os.getpid(), signal.SIGTERM)

    runner = _run(toy_run, Stop(), writer=writer)

    with pytest.raises(SystemExit) as raised:
        runner.train()

    assert raised.value.code == 128 + signal.SIGTERM
    assert _files(runner) == ["epoch_1.pth", "interrupted.pth"]
    latest = Path(runner.work_dir, "last_checkpoint").read_text()
    assert Path(latest).name == "interrupted.pth"
    assert read_checkpoint(latest)["progress"]["iter"] == 6


def test_save_by_a_hook_of_the_user_is_complete_when_it_returns(toy_run: Toy) -> None:
    found = []

    def look(runner: Any, epoch: int) -> None:
        path = runner.save_checkpoint(runner.work_dir, f"mine_{epoch}.pth")
        found.append(read_checkpoint(path)["meta"]["epoch"])

    runner = _run(toy_run, Look(look))
    runner.train()

    assert found == [1, 2, 3]


def test_runner_that_saves_in_its_own_way_marks_what_it_saved(toy_run: Toy) -> None:
    class Own(Runner):
        def save_checkpoint(self, out_dir: str, filename: str, *args: Any, **kwargs: Any) -> str:
            path = Path(out_dir, f"own_{filename}")
            torch.save({"weights": 1}, path)
            return str(path)

    runner = _run(toy_run)
    runner.__class__ = Own
    runner.train()

    assert Path(runner.work_dir, "last_checkpoint").read_text().endswith("own_epoch_3.pth")


def test_resumed_run_ends_with_the_same_weights(toy_run: Toy, tmp_path: Path) -> None:
    whole = _run(toy_run)
    whole.train()
    expected = whole.model.linear.weight.item()
    for name in ("epoch_2.pth", "epoch_3.pth"):
        Path(whole.work_dir, name).unlink()

    resumed = toy_run(
        train_cfg={"by_epoch": True, "max_epochs": 3},
        default_hooks={"checkpoint": {"type": "CheckpointHook", "writer": "AsyncWriter"}},
        resume=True,
    )
    resumed.model.large = nn.Parameter(torch.zeros(100_000))
    resumed.train()

    assert "Auto resumed from the latest checkpoint" in _log(resumed)
    assert resumed.model.linear.weight.item() == expected


def test_checkpoint_without_an_optimizer_is_refused_before_anything_is_loaded(toy_run: Toy) -> None:
    first = _run(toy_run, save_optimizer=False)
    first.train()
    path = f"{first.work_dir}/epoch_2.pth"
    second = _run(toy_run)
    before = second.model.linear.weight.item()

    with pytest.raises(
        SettingsError, match=r"epoch_2\.pth cannot be resumed.*save_optimizer=False"
    ):
        second.resume(path)

    assert second.model.linear.weight.item() == before
    assert second.load_report is None
    second.resume(path, resume_optimizer=False)
    assert second.epoch == 2


def test_published_copy_is_refused_with_the_way_out(toy_run: Toy) -> None:
    first = _run(toy_run, published_keys=["state_dict"])
    first.train()
    [copy] = [name for name in _files(first) if "-" in name]
    path = f"{first.work_dir}/{copy}"

    with pytest.raises(SettingsError, match=r"resume=False"):
        _run(toy_run).resume(path)


@pytest.mark.parametrize(
    ("writer", "message"),
    [
        ("AsynWriter", "did you mean 'AsyncWriter'"),
        ({"type": "AsyncWriter", "pin": True}, "no argument 'pin'"),
        ({"type": "AsyncWriter", "pin_memory": "yes"}, "pin_memory"),
        ({"pin_memory": True}, "got None"),
        ({"type": "torch.nn.Identity"}, "must have the methods write, wait and finish"),
        (3, "must have the methods write, wait and finish"),
    ],
    ids=["name", "argument", "value", "no-type", "not-a-writer", "number"],
)
def test_wrong_writer_is_refused(toy_run: Toy, writer: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _run(toy_run, writer=writer)


@pytest.mark.parametrize(
    "writer",
    [
        {"type": "AsyncWriter", "pin_memory": False},
        {"type": AsyncWriter},
        "engine_runner.checkpoint.AsyncWriter",
        AsyncWriter(),
    ],
    ids=["config", "class", "import-path", "object"],
)
def test_writer_is_built_from_a_name_a_class_or_a_config(toy_run: Toy, writer: Any) -> None:
    runner = _run(toy_run, writer=writer, epochs=1)

    runner.train()

    assert isinstance(runner.checkpointer.writer, AsyncWriter)
    assert _files(runner) == ["epoch_1.pth"]


def test_snapshot_keeps_what_the_file_would_have() -> None:
    shared = torch.arange(6.0)
    versions = nn.BatchNorm1d(2).state_dict()
    value = {
        "view": shared[2:4],
        "whole": shared,
        "turned": torch.arange(6.0).view(2, 3).t(),
        "parameter": nn.Parameter(torch.ones(2)),
        "empty": torch.empty(0),
        "scalar": torch.tensor(3),
        "complex": torch.ones(2, dtype=torch.complex64).conj(),
        "sparse": torch.eye(2).to_sparse(),
        "state_dict": versions,
        "plain": [1, ("a", {2.5: None})],
    }

    taken, wait = Snapshots().take(value)
    wait()
    shared.zero_()
    value["plain"].append(2)  # type: ignore[attr-defined]  # it is a list

    assert taken["view"].tolist() == [2, 3]
    assert taken["view"].untyped_storage()._cdata == taken["whole"].untyped_storage()._cdata
    assert taken["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert isinstance(taken["parameter"], nn.Parameter)
    assert (taken["empty"].numel(), taken["scalar"].item()) == (0, 3)
    assert torch.equal(taken["complex"], torch.ones(2, dtype=torch.complex64))
    assert torch.equal(taken["sparse"].to_dense(), torch.eye(2))
    state: Any = taken["state_dict"]
    assert state._metadata == vars(versions)["_metadata"]
    assert taken["plain"] == [1, ("a", {2.5: None})]


def test_memory_of_a_copy_is_used_again() -> None:
    snapshots, weight = Snapshots(), torch.ones(1000)

    first, _ = snapshots.take({"weight": weight})
    address = first["weight"].data_ptr()
    weight.add_(1)
    second, _ = snapshots.take({"weight": weight})

    assert second["weight"].data_ptr() == address
    assert second["weight"][0] == 2
