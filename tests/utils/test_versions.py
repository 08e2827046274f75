"""Versions as tuples, and the hash of the code."""

import os
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from engine_utils import digit_version, get_git_hash


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.2.3", (1, 2, 3, 0, 0, 0)),
        ("v2", (2, 0, 0, 0, 0, 0)),
        ("1.13.1+cu117", (1, 13, 1, 0, 0, 0)),
        ("1.2.0rc1", (1, 2, 0, 0, -1, 1)),
        ("1.2.0-beta.2", (1, 2, 0, 0, -2, 2)),
        ("1.2a", (1, 2, 0, 0, -3, 0)),
        ("1.2.dev3", (1, 2, 0, 0, -4, 3)),
        ("1.2.post4", (1, 2, 0, 0, 1, 4)),
        ("1.0.0post", (1, 0, 0, 0, 1, 0)),
        ("1.2-3", (1, 2, 0, 0, 1, 3)),
        ("1.2.3.4.5", (1, 2, 3, 4, 0, 0)),
    ],
)
def test_digit_version_is_a_tuple_of_integers(version: str, expected: tuple[int, ...]) -> None:
    assert digit_version(version) == expected


def test_digit_version_compares_like_the_version() -> None:
    ordered = [
        "1.2.dev1",
        "1.2a1",
        "1.2a2",
        "1.2b1",
        "1.2rc0",
        "1.2rc1",
        "1.2",
        "1.2.post1",
        "1.2.1",
        "1.10",
        "2.0",
    ]
    for earlier, later in pairwise(ordered):
        assert digit_version(earlier) < digit_version(later), (earlier, later)


def test_digit_version_has_length_release_levels() -> None:
    assert digit_version("1.2.3", length=2) == (1, 2, 0, 0)


@pytest.mark.parametrize("wrong", ["", "parrots", "1.x", "1.2 beta", "1..2"])
def test_digit_version_of_a_malformed_version_raises(wrong: str) -> None:
    with pytest.raises(ValueError, match="version_str must be a version"):
        digit_version(wrong)


def test_digit_version_of_a_number_raises() -> None:
    with pytest.raises(TypeError, match=r"version_str must be a string, got float: 1\.2"):
        digit_version(1.2)  # type: ignore[arg-type]  # the mistake under test


@pytest.fixture
def repository(tmp_path: Path, program: Callable[[str], str]) -> str:
    git = program("git")
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([git, *command], cwd=tmp_path, check=True, timeout=60)
    os.chdir(tmp_path)
    done = subprocess.run(
        [git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_get_git_hash_is_that_of_the_working_directory(repository: str) -> None:
    assert get_git_hash() == repository
    assert get_git_hash(digits=7) == repository[:7]


def test_get_git_hash_falls_back(tmp_path: Path) -> None:
    os.chdir(tmp_path)
    os.environ["GIT_CEILING_DIRECTORIES"] = str(tmp_path.parent)
    assert get_git_hash() == "unknown"
    os.environ["PATH"] = ""
    assert get_git_hash(fallback="none") == "none"


def test_get_git_hash_with_digits_of_another_type_raises() -> None:
    with pytest.raises(TypeError, match="digits must be None or an integer, got str"):
        get_git_hash(digits="7")  # type: ignore[arg-type]  # the mistake under test
