"""Local files and folders."""

import os
from pathlib import Path
from typing import Any

import pytest

from engine_utils import (
    check_file_exist,
    fopen,
    is_abs,
    is_filepath,
    mkdir_or_exist,
    scandir,
    symlink,
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.txt", "a.JSON", ".hidden.txt", "sub/c.txt", "sub/deep/d.json", ".git/e.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({}, ["a.JSON", "b.txt"]),
        ({"recursive": True}, ["a.JSON", "b.txt", "sub/c.txt", "sub/deep/d.json"]),
        ({"suffix": ".txt"}, ["b.txt"]),
        ({"suffix": ".json", "recursive": True}, ["sub/deep/d.json"]),
        (
            {"suffix": ".json", "recursive": True, "case_sensitive": False},
            ["a.JSON", "sub/deep/d.json"],
        ),
        ({"suffix": (".txt", ".JSON")}, ["a.JSON", "b.txt"]),
    ],
    ids=["flat", "recursive", "suffix", "suffix recursive", "any case", "suffixes"],
)
@pytest.mark.parametrize("kind", [str, Path])
def test_scandir_yields_relative_paths_in_order(
    tree: Path, kwargs: dict[str, Any], expected: list[str], kind: type
) -> None:
    assert list(scandir(kind(tree), **kwargs)) == [p.replace("/", os.sep) for p in expected]


def test_scandir_does_not_follow_links_to_folders(tree: Path) -> None:
    (tree / "sub" / "loop").symlink_to(tree)
    assert len(list(scandir(tree, recursive=True))) == 4


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((3,), "dir_path must be a string or a path"),
        ((".", 3), "suffix must be a string or a tuple"),
    ],
)
def test_scandir_of_wrong_types_raises(args: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        scandir(*args)


@pytest.mark.parametrize(
    ("path", "absolute"),
    [
        ("/data", True),
        ("data", False),
        ("./s3:", False),
        ("s3://bucket/key", True),
        ("http://host/a", True),
        ("cluster:s3://bucket/key", True),
        ("", False),
    ],
)
def test_is_abs_of_local_paths_and_uris(path: str, absolute: bool) -> None:
    assert is_abs(path) is absolute


def test_is_filepath() -> None:
    assert is_filepath("a")
    assert is_filepath(Path("a"))
    assert not is_filepath(3)
    assert not is_filepath(b"a")


@pytest.mark.parametrize("kind", [str, Path])
def test_fopen_opens_like_open(tmp_path: Path, kind: type) -> None:
    with fopen(kind(tmp_path / "a"), "w", encoding="utf-8") as file:
        file.write("å")
    with fopen(kind(tmp_path / "a"), "rb") as file:
        assert file.read() == "å".encode()


def test_fopen_of_a_number_raises() -> None:
    with pytest.raises(TypeError, match="filepath must be a string or a path, got int"):
        fopen(0)  # type: ignore[arg-type]  # the mistake under test


def test_check_file_exist_raises_for_a_missing_file_and_a_folder(tree: Path) -> None:
    check_file_exist(tree / "b.txt")
    with pytest.raises(FileNotFoundError, match=r'file ".*nothing" does not exist'):
        check_file_exist(tree / "nothing")
    with pytest.raises(FileNotFoundError, match=r"no .*sub!"):
        check_file_exist(str(tree / "sub"), "no {}!")


def test_mkdir_or_exist_creates_parents_and_expands_home(tmp_path: Path) -> None:
    os.environ["HOME"] = str(tmp_path)
    for _ in range(2):
        mkdir_or_exist("~/a/b")
    mkdir_or_exist("")
    mkdir_or_exist(tmp_path / "private", mode=0o700)
    assert (tmp_path / "a" / "b").is_dir()
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o700


def test_symlink_replaces_a_file_or_link(tree: Path) -> None:
    link = tree / "link"
    symlink(tree / "b.txt", link)
    symlink(str(tree / "a.JSON"), str(link))
    assert link.read_text() == "a.JSON"
    assert (tree / "b.txt").read_text() == "b.txt"
    symlink("b.txt", tree / "a.JSON")
    assert (tree / "a.JSON").read_text() == "b.txt"


def test_symlink_without_overwrite_keeps_the_existing_file(tree: Path) -> None:
    with pytest.raises(FileExistsError):
        symlink("a.JSON", tree / "b.txt", overwrite=False)
    symlink("a.JSON", tree / "new", overwrite=False)
    assert (tree / "b.txt").read_text() == "b.txt"


def test_symlink_does_not_replace_a_folder(tree: Path) -> None:
    before = sorted(os.listdir(tree))
    with pytest.raises(OSError, match="sub"):
        symlink("b.txt", tree / "sub")
    assert sorted(os.listdir(tree)) == before
