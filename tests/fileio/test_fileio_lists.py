"""Text files as lists and dicts."""

from pathlib import Path
from typing import Any

import pytest

import engine_fileio as fileio


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("a\nb\nc\nd\ne\n")
    return tmp_path / "a.txt"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, ["a", "b", "c", "d", "e"]),
        ({"offset": 2}, ["c", "d", "e"]),
        ({"max_num": 2}, ["a", "b"]),
        ({"offset": 1, "max_num": 2}, ["b", "c"]),
        ({"max_num": -1, "offset": 9}, []),
        ({"prefix": "/mnt/", "max_num": 1}, ["/mnt/a"]),
    ],
)
def test_list_from_file_selects(
    lines: Path, arguments: dict[str, Any], expected: list[str]
) -> None:
    assert fileio.list_from_file(lines, **arguments) == expected


def test_list_from_file_ends_lines_as_open_does(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("a\r\n\r\nb\x0c\u2028c\rd".encode())

    assert fileio.list_from_file(tmp_path / "a") == ["a", "", "b\x0c\u2028c", "d"]


def test_list_from_file_reads_other_encodings(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("né\n".encode("utf-16"))

    assert fileio.list_from_file(tmp_path / "a", encoding="utf-16") == ["né"]


def test_dict_from_file_reads_columns(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("1 cat\n2\tdog  cow\n\n3 panda\n")

    assert fileio.dict_from_file(tmp_path / "b.txt") == {
        "1": "cat",
        "2": ["dog", "cow"],
        "3": "panda",
    }
    assert fileio.dict_from_file(tmp_path / "b.txt", key_type=int)[2] == ["dog", "cow"]


def test_dict_from_file_with_a_line_without_a_value_raises(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("1 cat\nlonely\n")

    with pytest.raises(ValueError, match=r"line 2.*lonely"):
        fileio.dict_from_file(tmp_path / "b.txt")
