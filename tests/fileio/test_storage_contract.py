"""The contract of all storage backends, tested with real servers."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine_fileio import OperationNotSupported

if TYPE_CHECKING:
    from tests.fileio.conftest import Storage

NAMES = ["plain.bin", "with space.txt", "ünï-çødé 文件.txt", "..two-dots", "a..b", "100%?#&+=.txt"]


@pytest.mark.parametrize("name", NAMES)
def test_get_returns_what_was_stored_under_any_name(any_storage: Storage, name: str) -> None:
    any_storage.seed(name, b"\x00content\xff")

    assert any_storage.backend.get(any_storage.uri(name)) == b"\x00content\xff"
    assert any_storage.backend.isfile(any_storage.uri(name))
    assert any_storage.backend.exists(any_storage.uri(name))


def test_get_text_decodes(any_storage: Storage) -> None:
    any_storage.seed("a.txt", "grüße".encode())

    assert any_storage.backend.get_text(any_storage.uri("a.txt")) == "grüße"


def test_empty_file_is_a_file(any_storage: Storage) -> None:
    any_storage.seed("empty", b"")

    assert any_storage.backend.get(any_storage.uri("empty")) == b""
    assert any_storage.backend.exists(any_storage.uri("empty"))


def test_missing_object_raises_file_not_found(any_storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        any_storage.backend.get(any_storage.uri("absent"))

    assert not any_storage.backend.exists(any_storage.uri("absent"))
    assert not any_storage.backend.isfile(any_storage.uri("absent"))


def test_get_local_path_yields_a_file_of_that_name_and_removes_it(any_storage: Storage) -> None:
    any_storage.seed("a b.json", b"{}")

    with any_storage.backend.get_local_path(any_storage.uri("a b.json")) as path:
        assert Path(path).read_bytes() == b"{}"
        assert os.path.basename(path).endswith(".json")

    shares = "share" in any_storage.can
    assert Path(path).exists() == shares
    assert Path(path).parent.exists() == shares


def test_get_local_path_removes_the_file_after_an_error(any_storage: Storage) -> None:
    any_storage.seed("a", b"x")
    seen: list[Path] = []

    def use() -> None:
        with any_storage.backend.get_local_path(any_storage.uri("a")) as path:
            seen.append(Path(path))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        use()

    assert seen[0].exists() == ("share" in any_storage.can)


def test_copyfile_to_local_writes_a_file_or_into_a_folder(
    any_storage: Storage, tmp_path: Path
) -> None:
    any_storage.seed("a.txt", b"x" * 100_000)

    to_file = any_storage.backend.copyfile_to_local(any_storage.uri("a.txt"), tmp_path / "n" / "b")
    to_folder = any_storage.backend.copyfile_to_local(any_storage.uri("a.txt"), tmp_path)

    assert to_file == tmp_path / "n" / "b"
    assert to_folder == str(tmp_path / "a.txt")
    assert Path(to_file).read_bytes() == Path(to_folder).read_bytes() == b"x" * 100_000


def test_copyfile_to_local_of_a_missing_object_leaves_nothing(
    any_storage: Storage, tmp_path: Path
) -> None:
    (tmp_path / "target").mkdir()

    with pytest.raises(FileNotFoundError):
        any_storage.backend.copyfile_to_local(any_storage.uri("absent"), tmp_path / "target" / "f")

    assert os.listdir(tmp_path / "target") == []


def test_pickled_backend_works_when_loaded(any_storage: Storage) -> None:
    any_storage.seed("a", b"x")
    any_storage.backend.get(any_storage.uri("a"))

    copy = pickle.loads(pickle.dumps(any_storage.backend))

    assert copy.get(any_storage.uri("a")) == b"x"


def test_put_replaces_and_takes_memoryviews(writable: Storage) -> None:
    writable.backend.put(b"a long first content", writable.uri("a"))
    writable.backend.put(memoryview(b"..short..")[2:7], writable.uri("a"))

    assert writable.backend.get(writable.uri("a")) == b"short"


def test_put_text_encodes(writable: Storage) -> None:
    writable.backend.put_text("é", writable.uri("a"), encoding="latin1")

    assert writable.backend.get(writable.uri("a")) == b"\xe9"


def test_copyfile_copies_within_the_storage(writable: Storage) -> None:
    writable.seed("a.txt", b"x")

    result = writable.backend.copyfile(writable.uri("a.txt"), writable.uri("new/b.txt"))

    assert result == writable.uri("new/b.txt")
    assert writable.backend.get(result) == b"x"


def test_copyfile_of_a_file_to_itself_raises(writable: Storage) -> None:
    writable.seed("a.txt", b"x")

    with pytest.raises(shutil.SameFileError):
        writable.backend.copyfile(writable.uri("a.txt"), writable.uri("a.txt"))


def test_copyfile_from_local_uploads(writable: Storage, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"local")

    result = writable.backend.copyfile_from_local(tmp_path / "a.txt", writable.uri("b.txt"))

    assert result == writable.uri("b.txt")
    assert writable.backend.get(result) == b"local"


def test_remove_deletes_once(writable: Storage) -> None:
    writable.seed("a", b"x")

    writable.backend.remove(writable.uri("a"))

    assert not writable.backend.exists(writable.uri("a"))
    with pytest.raises(FileNotFoundError):
        writable.backend.remove(writable.uri("a"))


FILES = ["a.txt", "b.json", "sub/c.txt", "sub/deep/d.txt", "sub/deep/e f.txt"]


@pytest.fixture
def filled(listing: Storage) -> Storage:
    for name in FILES:
        listing.seed(f"tree/{name}", name.encode())
    return listing


def test_folder_is_not_a_file(filled: Storage) -> None:
    assert filled.backend.isdir(filled.uri("tree/sub"))
    assert filled.backend.exists(filled.uri("tree/sub"))
    assert not filled.backend.isfile(filled.uri("tree/sub"))
    assert not filled.backend.isdir(filled.uri("tree/a.txt"))
    assert not filled.backend.isdir(filled.uri("tree/su"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, {"a.txt", "b.json", "sub"}),
        ({"list_dir": False}, {"a.txt", "b.json"}),
        ({"list_file": False}, {"sub"}),
        ({"suffix": ".txt"}, {"a.txt"}),
        ({"suffix": (".txt", ".json"), "list_dir": False}, {"a.txt", "b.json"}),
        ({"recursive": True}, {*FILES, "sub", "sub/deep"}),
        ({"recursive": True, "list_dir": False}, set(FILES)),
        ({"recursive": True, "list_file": False}, {"sub", "sub/deep"}),
        ({"recursive": True, "suffix": "e f.txt"}, {"sub/deep/e f.txt"}),
    ],
    ids=[
        "all",
        "files",
        "folders",
        "suffix",
        "suffixes",
        "tree",
        "tree files",
        "tree folders",
        "x",
    ],
)
def test_list_dir_or_file_selects(
    filled: Storage, arguments: dict[str, object], expected: set[str]
) -> None:
    found = list(filled.backend.list_dir_or_file(filled.uri("tree"), **arguments))  # type: ignore[arg-type]  # parametrized keywords

    assert set(found) == expected
    assert len(found) == len(expected)


def test_listing_a_missing_folder_raises_file_not_found(filled: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        list(filled.backend.list_dir_or_file(filled.uri("absent")))


def test_copyfile_into_a_folder_keeps_the_name(filled: Storage, tmp_path: Path) -> None:
    (tmp_path / "local.txt").write_bytes(b"l")

    inside = filled.backend.copyfile(filled.uri("tree/a.txt"), filled.uri("tree/sub"))
    uploaded = filled.backend.copyfile_from_local(tmp_path / "local.txt", filled.uri("tree/sub"))

    assert inside == filled.uri("tree/sub/a.txt")
    assert uploaded == filled.uri("tree/sub/local.txt")
    assert filled.backend.get(uploaded) == b"l"


def test_copytree_copies_and_reports_progress(filled: Storage) -> None:
    seen: list[tuple[int, int | None]] = []

    result = filled.backend.copytree(
        filled.uri("tree"), filled.uri("copy"), progress=lambda *step: seen.append(step)
    )

    assert result == filled.uri("copy")
    assert set(_files(filled, "copy")) == set(FILES)
    assert filled.backend.get(filled.uri("copy/sub/deep/e f.txt")) == b"sub/deep/e f.txt"
    assert seen == [(done, len(FILES)) for done in range(1, len(FILES) + 1)]


def test_copytree_to_an_existing_target_raises(filled: Storage, tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()

    with pytest.raises(FileExistsError):
        filled.backend.copytree(filled.uri("tree/sub"), filled.uri("tree"))
    with pytest.raises(FileExistsError):
        filled.backend.copytree_from_local(tmp_path / "local", filled.uri("tree"))


def test_trees_are_downloaded_and_uploaded(filled: Storage, tmp_path: Path) -> None:
    down = filled.backend.copytree_to_local(filled.uri("tree"), tmp_path / "down")
    up = filled.backend.copytree_from_local(tmp_path / "down", filled.uri("up"))

    assert down == tmp_path / "down"
    assert up == filled.uri("up")
    assert (tmp_path / "down/sub/deep/d.txt").read_bytes() == b"sub/deep/d.txt"
    assert set(_files(filled, "up")) == set(FILES)


def test_copy_if_symlink_fails_copies_where_there_are_no_links(filled: Storage) -> None:
    linked = filled.backend.copy_if_symlink_fails(filled.uri("tree/a.txt"), filled.uri("latest"))
    filled.backend.copy_if_symlink_fails(filled.uri("tree/sub"), filled.uri("latest-sub"))

    assert linked == filled.backend.allow_symlink
    assert filled.backend.get(filled.uri("latest")) == b"a.txt"
    assert filled.backend.get(filled.uri("latest-sub/c.txt")) == b"sub/c.txt"


def test_remove_of_a_folder_raises(filled: Storage) -> None:
    with pytest.raises(IsADirectoryError):
        filled.backend.remove(filled.uri("tree/sub"))


def test_rmtree_deletes_the_folder_and_nothing_beside_it(filled: Storage) -> None:
    filled.seed("tree2/x", b"x")

    filled.backend.rmtree(filled.uri("tree"))

    assert not filled.backend.exists(filled.uri("tree"))
    assert filled.backend.exists(filled.uri("tree2/x"))
    with pytest.raises(FileNotFoundError):
        filled.backend.rmtree(filled.uri("tree"))


@pytest.mark.parametrize(
    ("capability", "operation", "arguments"),
    [
        ("put", "put", (b"x",)),
        ("put", "copyfile_from_local", (__file__,)),
        ("remove", "remove", ()),
        ("list", "isdir", ()),
        ("list", "list_dir_or_file", ()),
        ("list", "rmtree", ()),
        ("sign", "generate_presigned_url", ()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unsupported_operation_raises_with_the_backend_name(
    any_storage: Storage, capability: str, operation: str, arguments: tuple[object, ...]
) -> None:
    if capability in any_storage.can:
        assert callable(getattr(any_storage.backend, operation))
        return

    with pytest.raises(OperationNotSupported, match=any_storage.backend.name) as caught:
        getattr(any_storage.backend, operation)(*arguments, any_storage.uri("a"))

    assert caught.value.backend == any_storage.backend.name
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_dots_in_a_path_do_not_leave_the_root(filled: Storage) -> None:
    path = filled.uri("tree/sub/../a.txt")

    if "resolve" in filled.can:
        assert filled.backend.get(path) == b"a.txt"
    else:
        assert not filled.backend.exists(path)


def _files(storage: Storage, folder: str) -> list[str]:
    return list(
        storage.backend.list_dir_or_file(storage.uri(folder), list_dir=False, recursive=True)
    )
