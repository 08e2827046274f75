"""Trees of many files: complete, in parallel, and with their progress reported."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

import engine_fileio as fileio
from engine_fileio import BaseStorageBackend, FsspecBackend, LocalBackend, S3Backend

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 160
AT_ONCE = 8


@pytest.fixture(scope="module")
def backend(s3_options: dict[str, str]) -> S3Backend:
    return S3Backend(**s3_options)  # type: ignore[arg-type]  # all options of the fixture are text


class Meeting(BaseStorageBackend):
    """A storage whose transfers wait for each other, so one at a time would hang."""

    _workers = AT_ONCE

    def __init__(self) -> None:
        self.files = {f"tree/{number}": b"x" for number in range(3 * AT_ONCE)}
        self.barrier = threading.Barrier(AT_ONCE)

    def get(self, filepath: object) -> bytes:
        return self.files[str(filepath)]

    def get_text(self, filepath: object) -> str:
        return self.get(filepath).decode()

    def exists(self, filepath: object) -> bool:
        return False

    def isdir(self, filepath: object) -> bool:
        return False

    def list_dir_or_file(self, dir_path: object, *_: Any, **__: Any) -> Iterator[str]:
        return (name.removeprefix(f"{dir_path}/") for name in list(self.files))

    def _download(self, filepath: object, file: BinaryIO) -> None:
        self.barrier.wait(timeout=60)
        file.write(self.get(filepath))

    def _upload(self, local: Path, filepath: object) -> None:
        self.barrier.wait(timeout=60)
        self.files[str(filepath)] = local.read_bytes()

    def _copy(self, src: object, dst: object) -> None:
        self.barrier.wait(timeout=60)
        self.files[str(dst)] = self.get(src)


def test_tree_is_transferred_with_several_files_at_once(tmp_path: Path) -> None:
    storage = Meeting()
    caller, seen = threading.current_thread(), []

    def progress(done: int, total: int | None) -> None:
        assert threading.current_thread() is caller
        seen.append((done, total))

    storage.copytree("tree", "copy", progress=progress)
    storage.files = {name: data for name, data in storage.files.items() if "copy" in name}
    storage.copytree_to_local("copy", tmp_path / "down", progress=progress)
    storage.copytree_from_local(tmp_path / "down", "up", progress=progress)

    assert {f"up/{number}" for number in range(3 * AT_ONCE)} < set(storage.files)
    assert seen == [(done, 3 * AT_ONCE) for done in range(1, 3 * AT_ONCE + 1)] * 3


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local folder with many files, each holding its own name."""
    root = tmp_path_factory.mktemp("many") / "tree"
    for folder in range(10):
        (root / f"part{folder}").mkdir(parents=True)
    for number in range(MANY):
        (root / f"part{number % 10}" / f"{number:05}").write_text(f"{number:05}")
    return root


def _check_many(root: Path) -> None:
    found = {path.name: path.read_text() for path in root.rglob("*") if path.is_file()}
    assert found == {f"{number:05}": f"{number:05}" for number in range(MANY)}


def _check_listing(uri: str, options: dict[str, Any] | None) -> None:
    counts: list[tuple[int, int | None]] = []
    found = list(
        fileio.list_dir_or_file(
            uri, False, recursive=True, backend_args=options, progress=lambda *n: counts.append(n)
        )
    )
    assert len(set(found)) == len(found) == MANY
    assert counts == [(seen, None) for seen in range(1, MANY + 1)]


def test_tree_of_several_pages_is_uploaded_and_downloaded(
    many: Path,
    s3_options: dict[str, Any],
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # a store returns at most 1000 keys per answer; a smaller limit tests the same code
    monkeypatch.setattr("engine_fileio.backends._s3_listing._PAGE", MANY // 4)
    monkeypatch.setattr("engine_fileio.backends._s3._DELETED_AT_ONCE", MANY // 4)
    counts: list[tuple[int, int | None]] = []

    fileio.copytree_from_local(
        many, f"s3://{bucket}/many", s3_options, progress=lambda *n: counts.append(n)
    )
    _check_listing(f"s3://{bucket}/many", s3_options)
    fileio.copytree_to_local(
        f"s3://{bucket}/many", tmp_path / "back", s3_options, progress=lambda *n: counts.append(n)
    )
    fileio.rmtree(f"s3://{bucket}/many", s3_options)

    _check_many(tmp_path / "back")
    assert counts == [(done, MANY) for done in range(1, MANY + 1)] * 2
    assert not fileio.exists(f"s3://{bucket}/many", s3_options)


@pytest.mark.parametrize("storage", [LocalBackend(), FsspecBackend()], ids=["local", "fsspec"])
def test_many_files_are_copied_with_progress(
    many: Path, tmp_path: Path, storage: BaseStorageBackend
) -> None:
    root = str(tmp_path) if storage.name == "LocalBackend" else f"memory://{tmp_path.name}"
    counts: list[tuple[int, int | None]] = []

    storage.copytree_from_local(many, f"{root}/a", progress=lambda *n: counts.append(n))
    storage.copytree(f"{root}/a", f"{root}/b", progress=lambda *n: counts.append(n))
    _check_listing(f"{root}/b", None)
    storage.copytree_to_local(f"{root}/b", tmp_path / "back", progress=lambda *n: counts.append(n))

    _check_many(tmp_path / "back")
    assert counts == [(done, MANY) for done in range(1, MANY + 1)] * 3


@pytest.mark.parametrize(
    ("folders", "page", "apart"),
    [(1, 1000, 64), (5, 1000, 64), (1, 1, 64), (5, 2, 64), (9, 2, 3)],
    ids=["one page", "few folders", "three pages", "folder by folder", "too many folders"],
)
def test_tree_of_any_shape_is_listed_completely(
    backend: S3Backend,
    bucket: str,
    s3_client: Any,
    folders: int,
    page: int,
    apart: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine_fileio.backends._s3_listing._PAGE", page)
    monkeypatch.setattr("engine_fileio.backends._s3_listing._MOST_APART", apart)
    names = {f"d{number}/sub/f" for number in range(folders)} | {"top"}
    for name in names:
        s3_client.put_object(Bucket=bucket, Key=f"root/{name}", Body=b"")
    s3_client.put_object(Bucket=bucket, Key="root/marker/", Body=b"")

    files = list(backend.list_dir_or_file(f"s3://{bucket}/root", list_dir=False, recursive=True))
    dirs = list(backend.list_dir_or_file(f"s3://{bucket}/root", list_file=False, recursive=True))

    assert sorted(files) == sorted(names)
    expected = {f"d{n}" for n in range(folders)} | {f"d{n}/sub" for n in range(folders)}
    assert sorted(dirs) == sorted(expected | {"marker"})


def test_tree_larger_than_one_request_is_uploaded_and_deleted(
    backend: S3Backend, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine_fileio.backends._s3_listing._PAGE", 10)
    monkeypatch.setattr("engine_fileio.backends._s3._DELETED_AT_ONCE", 10)
    for number in range(55):
        path = tmp_path / "many" / f"{number % 3}" / f"{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    seen: list[tuple[int, int | None]] = []

    backend.copytree_from_local(
        tmp_path / "many", f"s3://{bucket}/m", progress=lambda *step: seen.append(step)
    )

    assert seen[-1] == (55, 55)
    listed = list(backend.list_dir_or_file(f"s3://{bucket}", list_dir=False, recursive=True))
    assert len(set(listed)) == 55
    backend.rmtree(f"s3://{bucket}/m")
    assert not backend.exists(f"s3://{bucket}/m")
