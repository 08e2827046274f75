"""One training per folder at a time; killed ones leave nothing that hinders the next."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from engine_fileio import atomic_write, remove_partials
from engine_runner import Hook, Runner
from engine_runner._errors import SettingsError

Toy = Callable[..., Runner]


class Scripts(Protocol):
    """The fixture ``scripts`` of the conftest.py above, as far as this test uses it."""

    def run(self, script: Path, *arguments: object, folder: Path) -> Any: ...


class Meanwhile(Hook):
    """Call a function in the first iteration, and keep what it raised or returned."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self.action = action
        self.result: Any = None

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == 0:
            try:
                self.result = self.action()
            except SettingsError as error:
                self.result = error


def test_second_training_in_a_folder_raises_and_names_the_first(toy_run: Toy) -> None:
    meanwhile = Meanwhile(lambda: toy_run().train())

    toy_run(custom_hooks=[meanwhile]).train()

    assert isinstance(meanwhile.result, SettingsError)
    assert f"process {os.getpid()} on " in str(meanwhile.result)
    assert "choose another work_dir" in str(meanwhile.result)


def test_second_training_into_one_out_dir_raises(toy_run: Toy, tmp_path: Path) -> None:
    out = {"checkpoint": {"type": "CheckpointHook", "out_dir": str(tmp_path / "out")}}
    other = str(tmp_path / "other" / "work")
    meanwhile = Meanwhile(lambda: toy_run(work_dir=other, default_hooks=out).train())

    toy_run(custom_hooks=[meanwhile], default_hooks=out).train()

    assert isinstance(meanwhile.result, SettingsError)


def test_validation_beside_a_training_is_allowed(toy_run: Toy) -> None:
    meanwhile = Meanwhile(lambda: toy_run(validate=[0.5]).val())

    toy_run(custom_hooks=[meanwhile]).train()

    assert meanwhile.result["acc"] == 0.5


def test_trainings_one_after_the_other_share_a_folder(toy_run: Toy) -> None:
    toy_run().train()
    toy_run().train()

    with pytest.raises(ZeroDivisionError):
        toy_run(custom_hooks=[Meanwhile(lambda: 1 / 0)]).train()
    toy_run().train()


def test_forked_worker_does_not_keep_the_lock(toy_run: Toy, tmp_path: Path) -> None:
    reading, writing = os.pipe()

    def fork() -> int:
        child = os.fork()
        if child == 0:
            os.read(reading, 1)  # until the parent is done
            os._exit(0)
        return child

    meanwhile = Meanwhile(fork)
    toy_run(custom_hooks=[meanwhile]).train()
    try:
        toy_run().train()  # while the child of the first training lives
    finally:
        os.write(writing, b".")
        os.waitpid(meanwhile.result, 0)
        os.close(reading)
        os.close(writing)


def test_training_deletes_the_partial_files_of_killed_processes(toy_run: Toy) -> None:
    runner = toy_run()
    folder = Path(runner.work_dir)
    left = folder / ".engine-0011223344556677.part"
    left.write_bytes(b"half of a checkpoint")
    foreign = folder / ".engine-mine.part"
    foreign.write_bytes(b"")

    runner.train()

    assert not left.exists()
    assert foreign.exists()
    assert (
        "deleted 1 temporary files" in Path(runner.log_dir, f"{runner.timestamp}.log").read_text()
    )


def test_partial_file_that_is_being_written_stays(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "epoch_1.pth") as file:
        file.write(b"half")
        assert remove_partials(tmp_path) == 0

    assert (tmp_path / "epoch_1.pth").read_bytes() == b"half"


def test_killed_trainings_leave_a_whole_checkpoint_and_no_lock(
    tmp_path: Path, scripts: Scripts
) -> None:
    script = Path(__file__).with_name("kill_script.py")

    done = scripts.run(script, tmp_path, 6, folder=tmp_path)

    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["refused"] == 0
    assert found["codes"] == {str(-signal.SIGKILL): 6}
    assert found["damaged"] == 0
    assert found["backwards"] == 0
    assert found["partial files after the next start"] == 0
    assert found["iterations"] >= 6
