"""Tests in separate processes: clients after fork, and the memory of large copies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine_fileio import LmdbBackend, MemcachedBackend, S3Backend

if TYPE_CHECKING:
    from tests.fileio.conftest import FaultyServer

HERE = Path(__file__).parent
CONTENTS = {str(number): str(number).encode() * 1000 for number in range(40)}


def run(script: str, *arguments: str) -> str:
    # Python 3.12 and later warn of any fork beside a thread, which is what is tested here
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(HERE / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    return done.stdout.strip()


def test_http_works_in_a_forked_child(http_server: FaultyServer) -> None:
    http_server.files = {f"root/{name}": data for name, data in CONTENTS.items()}

    assert run("use_after_fork.py", "http", "{}", http_server.url("root")) == "ok"


def test_s3_works_in_a_forked_child(s3_options: dict[str, Any], bucket: str) -> None:
    backend = S3Backend(**s3_options)
    for name, data in CONTENTS.items():
        backend.put(data, f"s3://{bucket}/{name}")

    assert run("use_after_fork.py", "s3", json.dumps(s3_options), f"s3://{bucket}") == "ok"


def test_memcached_works_in_a_forked_child(memcached_server: str) -> None:
    arguments = {"server_list_cfg": [memcached_server], "client_cfg": {}}
    backend = MemcachedBackend(**arguments)  # type: ignore[arg-type]  # a list and a dict
    for name, data in CONTENTS.items():
        backend.put(data, f"fork/{name}")

    assert run("use_after_fork.py", "memcached", json.dumps(arguments), "fork") == "ok"


@pytest.mark.parametrize("readonly", [True, False])
def test_lmdb_works_in_a_forked_child(tmp_path: Path, readonly: bool) -> None:
    backend = LmdbBackend(tmp_path / "db", readonly=False)
    for name, data in CONTENTS.items():
        backend.put(data, f"fork/{name}")
    arguments = {"db_path": str(tmp_path / "db"), "readonly": readonly}

    assert run("use_after_fork.py", "lmdb", json.dumps(arguments), "fork") == "ok"


def _check_memory(answer: str) -> None:
    grown, equal = answer.split()
    assert equal == "True"
    assert int(grown) < 64


@pytest.mark.slow
def test_large_local_copy_stays_small_in_memory(tmp_path: Path) -> None:
    _check_memory(run("stream_large.py", "local", "{}", str(tmp_path / "remote"), str(tmp_path)))


@pytest.mark.slow
def test_large_fsspec_copy_stays_small_in_memory(tmp_path: Path) -> None:
    remote = str(tmp_path / "remote")

    _check_memory(run("stream_large.py", "fsspec", '{"protocol": "file"}', remote, str(tmp_path)))


@pytest.mark.slow
def test_large_s3_copy_stays_small_in_memory(
    s3_options: dict[str, Any], bucket: str, tmp_path: Path
) -> None:
    options = json.dumps(s3_options)

    _check_memory(run("stream_large.py", "s3", options, f"s3://{bucket}/big", str(tmp_path)))


@pytest.mark.slow
def test_large_http_download_stays_small_in_memory(
    http_server: FaultyServer, tmp_path: Path
) -> None:
    block = bytes(range(251)) * 4000
    http_server.files["big"] = (block * (100_000_000 // len(block) + 1))[:100_000_000]
    http_server.faults["big"] = ["cut"]

    _check_memory(run("stream_large.py", "http", "{}", http_server.url("big"), str(tmp_path)))
