"""Local writes: a reader sees the old or the new file, whole."""

import os
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine_fileio import LocalBackend, atomic_write, list_dir_or_file, put

HERE = Path(__file__).parent


def test_atomic_write_replaces_the_file_at_the_end_only(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")

    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        assert list(list_dir_or_file(tmp_path)) == ["f"]

    assert path.read_bytes() == b"new"


def test_atomic_write_removes_the_file_when_the_block_raises(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")

    def fail_halfway() -> None:
        with atomic_write(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()

    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_atomic_write_supports_seek(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "f", durable=False) as file:
        file.write(b"....tail")
        file.seek(0)
        file.write(b"head")

    assert (tmp_path / "f").read_bytes() == b"headtail"


def test_atomic_write_keeps_permissions_and_follows_the_umask(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.touch(mode=0o600)
    old = os.umask(0o027)
    try:
        put(b"x", kept)
        put(b"x", tmp_path / "new")
    finally:
        os.umask(old)

    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_atomic_write_writes_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")

    put(b"new", tmp_path / "link")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_atomic_write_to_a_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder"):
        put(b"x", tmp_path)


def test_atomic_write_writes_to_devices_directly() -> None:
    put(b"x", os.devnull)

    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_atomic_write_without_permission_raises() -> None:
    # pytest's own folders are closed to other users, so this one is made apart
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        locked = Path(folder) / "f"
        locked.write_bytes(b"old")
        locked.chmod(0o444)
        (Path(folder) / "closed").mkdir(mode=0o555)

        assert _error_without_rights(lambda: put(b"x", locked)) == "PermissionError"
        assert _error_without_rights(lambda: put(b"x", locked.parent / "closed/f")) == (
            "PermissionError"
        )
        assert locked.read_bytes() == b"old"


def _error_without_rights(action: Callable[[], object]) -> str:
    """Name the error that ``action`` raises for a user who is not root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        action()
    except OSError as error:
        return type(error).__name__
    finally:
        os.seteuid(user)
    return "none"


def test_atomic_write_by_two_writers_keeps_the_last_file(tmp_path: Path) -> None:
    backend = LocalBackend()

    with atomic_write(tmp_path / "f") as slow:
        slow.write(b"slow")
        backend.put(b"fast", tmp_path / "f")

    assert backend.get(tmp_path / "f") == b"slow"


@pytest.mark.slow
def test_killed_writer_leaves_the_old_or_the_new_file(tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "kill_writers.py"), str(tmp_path / "weights"), "100"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)

    broken, contents, interrupted = map(int, done.stdout.split())
    assert broken == 0
    assert contents > 10  # new files do arrive
    assert interrupted > 10  # and kills do hit writers at work
    assert interrupted == len(os.listdir(tmp_path)) - 1
    assert list(list_dir_or_file(tmp_path)) == ["weights"]


def test_reader_in_another_process_never_sees_a_partial_file(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"\0" * 300_000)
    command = [sys.executable, str(HERE / "write_for_ever.py"), str(path)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        contents = [path.read_bytes() for _ in range(300)]
        deadline = time.monotonic() + 60
        while len(set(contents)) == 1 and time.monotonic() < deadline:
            contents.append(path.read_bytes())  # a busy machine may let the reader go first
    finally:
        writer.kill()
        writer.communicate(timeout=60)

    assert all(content == content[:1] * 300_000 for content in contents)
    assert len(set(contents)) > 1
