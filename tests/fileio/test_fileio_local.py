"""The local backend through the file functions."""

import os
import shutil
import stat
from pathlib import Path

import pytest

import engine_fileio as fileio


def test_put_creates_folders_and_get_returns_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.bin"

    fileio.put(b"content", path)

    assert fileio.get(path) == b"content"
    assert fileio.get(str(path)) == b"content"
    assert fileio.get(f"file://{path}") == b"content"


def test_put_accepts_a_memoryview(tmp_path: Path) -> None:
    fileio.put(memoryview(b"abcdef")[2:4], tmp_path / "part")

    assert fileio.get(tmp_path / "part") == b"cd"


def test_put_text_writes_utf8_and_get_text_reads_other_encodings(tmp_path: Path) -> None:
    fileio.put_text("héllo", tmp_path / "utf8.txt")
    fileio.put("héllo".encode("latin1"), tmp_path / "latin.txt")

    assert fileio.get_text(tmp_path / "utf8.txt") == "héllo"
    assert fileio.get_text(tmp_path / "latin.txt", encoding="latin1") == "héllo"


def test_backend_put_text_takes_an_encoding(tmp_path: Path) -> None:
    backend = fileio.LocalBackend()

    backend.put_text("né", tmp_path / "a.txt", encoding="utf-16")

    assert backend.get_text(tmp_path / "a.txt", encoding="utf-16") == "né"


def test_isfile_and_isdir_distinguish_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert fileio.exists(tmp_path)
    assert fileio.isdir(tmp_path)
    assert not fileio.isfile(tmp_path)
    assert fileio.isfile(tmp_path / "file")
    assert not fileio.isdir(tmp_path / "file")
    assert not fileio.exists(tmp_path / "absent")


def test_join_path_joins_as_the_operating_system_does() -> None:
    assert fileio.join_path("/a", "b", "c/d") == "/a/b/c/d"
    assert fileio.join_path(Path("a"), Path("b")) == "a/b"


def test_get_local_path_yields_the_file_itself_and_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()

    with fileio.get_local_path(path) as local:
        assert local == str(path)

    assert path.exists()


@pytest.mark.parametrize("copy", ["copyfile", "copyfile_from_local", "copyfile_to_local"])
def test_copyfile_writes_a_file_or_into_a_folder(tmp_path: Path, copy: str) -> None:
    source = tmp_path / "a.txt"
    source.write_text("x")
    source.chmod(0o640)
    (tmp_path / "folder").mkdir()

    to_file = getattr(fileio, copy)(source, tmp_path / "new" / "b.txt")
    to_folder = getattr(fileio, copy)(source, tmp_path / "folder")

    assert to_file == tmp_path / "new" / "b.txt"
    assert getattr(fileio, copy)(str(source), str(to_file)) == str(to_file)
    assert to_folder == str(tmp_path / "folder" / "a.txt")
    assert Path(to_file).read_text() == Path(to_folder).read_text() == "x"
    assert stat.S_IMODE(os.stat(to_file).st_mode) == 0o640


def test_copyfile_of_a_local_file_to_itself_raises(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")

    with pytest.raises(shutil.SameFileError):
        fileio.copyfile(tmp_path / "a", tmp_path / "." / "a")

    assert (tmp_path / "a").read_text() == "x"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in ("a.txt", "b.json", "sub/c.txt", "sub/deep/d.txt", ".hidden"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "empty").mkdir()
    return root


@pytest.mark.parametrize("copy", ["copytree", "copytree_from_local", "copytree_to_local"])
def test_copytree_copies_all_files_and_reports_progress(tree: Path, copy: str) -> None:
    seen: list[tuple[int, int | None]] = []
    target = tree.parent / "copy"

    result = getattr(fileio, copy)(
        tree, target, progress=lambda done, total: seen.append((done, total))
    )

    assert result == target
    assert sorted(fileio.list_dir_or_file(target, recursive=True)) == sorted(
        fileio.list_dir_or_file(tree, recursive=True)
    )
    assert (target / "sub/deep/d.txt").read_text() == "sub/deep/d.txt"
    assert seen == [(done, 5) for done in range(1, 6)]


def test_copytree_to_an_existing_folder_raises(tree: Path) -> None:
    (tree.parent / "copy").mkdir()

    with pytest.raises(FileExistsError, match="rmtree"):
        fileio.copytree(tree, tree.parent / "copy")


def test_copytree_of_a_file_raises(tree: Path) -> None:
    with pytest.raises(NotADirectoryError):
        fileio.copytree(tree / "a.txt", tree.parent / "copy")


def test_copytree_to_a_target_inside_its_source_raises(tree: Path) -> None:
    with pytest.raises(shutil.SameFileError):
        fileio.copytree(tree, tree / "sub" / "copy")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, [".hidden", "a.txt", "b.json", "empty", "sub"]),
        ({"list_dir": False}, [".hidden", "a.txt", "b.json"]),
        ({"list_file": False}, ["empty", "sub"]),
        ({"suffix": ".txt"}, ["a.txt"]),
        ({"suffix": (".txt", ".json")}, ["a.txt", "b.json"]),
        ({"suffix": ".txt", "recursive": True}, ["a.txt", "sub/c.txt", "sub/deep/d.txt"]),
        ({"list_file": False, "recursive": True}, ["empty", "sub", "sub/deep"]),
    ],
    ids=["all", "files", "folders", "suffix", "suffixes", "deep suffix", "deep folders"],
)
def test_list_dir_or_file_selects(
    tree: Path, arguments: dict[str, object], expected: list[str]
) -> None:
    assert list(fileio.list_dir_or_file(tree, **arguments)) == expected  # type: ignore[arg-type]  # parametrized keywords


def test_list_dir_or_file_counts_for_a_progress_callback(tree: Path) -> None:
    seen: list[tuple[int, int | None]] = []

    list(fileio.list_dir_or_file(tree, progress=lambda done, total: seen.append((done, total))))

    assert seen == [(done, None) for done in range(1, 6)]


def test_list_dir_or_file_of_a_missing_folder_raises_at_the_call(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fileio.list_dir_or_file(tmp_path / "absent")


def test_list_dir_or_file_does_not_follow_links_to_parents(tree: Path) -> None:
    (tree / "sub" / "up").symlink_to(tree, target_is_directory=True)

    found = list(fileio.list_dir_or_file(tree, recursive=True))

    assert "sub/up" in found
    assert not any(name.startswith("sub/up/") for name in found)


def test_remove_deletes_files_only(tree: Path) -> None:
    fileio.remove(tree / "a.txt")

    assert not (tree / "a.txt").exists()
    with pytest.raises(IsADirectoryError, match="rmtree"):
        fileio.remove(tree / "sub")
    with pytest.raises(FileNotFoundError):
        fileio.remove(tree / "a.txt")


def test_rmtree_deletes_a_folder(tree: Path) -> None:
    fileio.rmtree(tree)

    assert not tree.exists()


def test_copy_if_symlink_fails_links_files_and_folders(tree: Path) -> None:
    assert fileio.copy_if_symlink_fails(tree / "a.txt", tree / "latest")
    assert fileio.copy_if_symlink_fails(tree / "b.json", tree / "latest")
    assert fileio.copy_if_symlink_fails(tree / "sub", tree / "other")

    assert (tree / "latest").is_symlink()
    assert (tree / "latest").read_text() == "b.json"
    assert (tree / "other" / "c.txt").read_text() == "sub/c.txt"


def test_copy_if_symlink_fails_resolves_sources_from_the_working_folder(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)

    assert fileio.copy_if_symlink_fails("a.txt", "sub/deep/link.txt")

    assert os.readlink("sub/deep/link.txt") == "../../a.txt"
    assert (tree / "sub/deep/link.txt").read_text() == "a.txt"


def test_copy_if_symlink_fails_copies_where_links_fail(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError("this file system has no links")

    monkeypatch.setattr("os.symlink", fail)

    assert not fileio.copy_if_symlink_fails(tree / "a.txt", tree / "copy.txt")
    assert not fileio.copy_if_symlink_fails(tree / "sub", tree / "copy")

    assert (tree / "copy.txt").read_text() == "a.txt"
    assert (tree / "copy" / "deep" / "d.txt").read_text() == "sub/deep/d.txt"


def test_copy_if_symlink_fails_copies_into_an_existing_folder(tree: Path) -> None:
    assert not fileio.copy_if_symlink_fails(tree / "a.txt", tree / "sub")

    assert not (tree / "sub" / "a.txt").is_symlink()


def test_copy_if_symlink_fails_of_a_missing_source_raises(tree: Path) -> None:
    with pytest.raises(FileNotFoundError, match="must exist"):
        fileio.copy_if_symlink_fails(tree / "absent", tree / "link")


def test_generate_presigned_url_names_backend_and_operation(tmp_path: Path) -> None:
    with pytest.raises(fileio.OperationNotSupported, match=r"LocalBackend.*generate_presigned_url"):
        fileio.generate_presigned_url(str(tmp_path))


def test_copyfile_across_prefixes_names_the_functions_to_use(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="copyfile_from_local"):
        fileio.copyfile(tmp_path / "a", "file://b")


@pytest.mark.parametrize(
    "name", ["with space", "ünï-çødé 文件", "..two-dots", "a..b", "%41?x=1#y", "n" * 255]
)
def test_local_files_keep_unusual_names(tmp_path: Path, name: str) -> None:
    fileio.put(b"x", tmp_path / name)

    assert list(fileio.list_dir_or_file(tmp_path)) == [name]
    assert fileio.get(tmp_path / name) == b"x"
