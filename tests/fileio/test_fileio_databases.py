"""LMDB, memcached and fsspec: behavior beyond the contract."""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path

import pytest

import engine_fileio as fileio
from engine_fileio import (
    FsspecBackend,
    LmdbBackend,
    MemcachedBackend,
    OperationNotSupported,
    StorageError,
    StorageUnavailable,
)


def test_lmdb_opened_for_reading_raises_on_a_write(tmp_path: Path) -> None:
    LmdbBackend(tmp_path / "db", readonly=False).put(b"x", "k")
    reader = LmdbBackend(tmp_path / "db")

    assert reader.get("k") == b"x"
    assert reader.get(Path("k")) == b"x"
    assert reader.db_path == tmp_path / "db"
    with pytest.raises(OperationNotSupported, match="readonly=False"):
        reader.put(b"y", "k")
    with pytest.raises(OperationNotSupported, match="readonly=False"):
        reader.remove("k")


def test_lmdb_is_read_through_the_file_functions(tmp_path: Path) -> None:
    LmdbBackend(tmp_path / "db", readonly=False).put_text("né", "dir/k", encoding="latin1")
    arguments = {"backend": "lmdb", "db_path": str(tmp_path / "db")}

    assert fileio.get_text("dir/k", "latin1", backend_args=arguments) == "né"
    assert list(fileio.list_dir_or_file("", recursive=True, backend_args=arguments)) == [
        "dir",
        "dir/k",
    ]


def test_lmdb_backends_share_one_open_database(tmp_path: Path) -> None:
    writer = LmdbBackend(tmp_path / "db", readonly=False)
    writer.put(b"1", "k")
    readers = [LmdbBackend(tmp_path / "db") for _ in range(3)]

    writer.put(b"2", "k")

    assert [reader.get("k") for reader in readers] == [b"2"] * 3


def test_lmdb_opened_for_reading_cannot_be_opened_for_writing(tmp_path: Path) -> None:
    LmdbBackend(tmp_path / "db", readonly=False).put(b"1", "k")
    reader = LmdbBackend(tmp_path / "db")
    reader.get("k")

    with pytest.raises(StorageError, match="readonly=False"):
        LmdbBackend(tmp_path / "db", readonly=False).put(b"2", "k")

    assert reader.get("k") == b"1"


def test_lmdb_that_is_missing_or_broken_raises_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"no database" * 1000)

    with pytest.raises(FileNotFoundError, match="absent"):
        LmdbBackend(tmp_path / "absent").get("k")
    with pytest.raises(StorageError, match="cannot be opened"):
        LmdbBackend(tmp_path).get("k")


@pytest.mark.parametrize("key", ["", "k" * 512])
def test_lmdb_key_of_another_length_raises(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="511 bytes"):
        LmdbBackend(tmp_path / "db", readonly=False).put(b"", key)


def test_lmdb_that_is_full_raises_and_names_map_size(tmp_path: Path) -> None:
    backend = LmdbBackend(tmp_path / "db", readonly=False, map_size=1 << 16)

    with pytest.raises(StorageError, match="put does not fit in its map_size of 65536 bytes"):
        backend.put(b"x" * (1 << 17), "k")
    backend.put(b"small", "k")

    assert backend.get("k") == b"small"


@pytest.mark.parametrize("options", [{"mapsize": 1 << 20}, {"map_size": "1G"}])
def test_lmdb_with_unknown_options_raises_and_lists_them(
    tmp_path: Path, options: dict[str, object]
) -> None:
    with pytest.raises(TypeError, match=next(iter(options))):
        LmdbBackend(tmp_path / "db", readonly=False, **options).put(b"", "k")  # type: ignore[arg-type]  # wrong on purpose


def test_lmdb_file_is_as_large_as_its_content(tmp_path: Path) -> None:
    LmdbBackend(tmp_path / "db", readonly=False).put(b"x", "k")

    used = sum(path.stat().st_blocks * 512 for path in (tmp_path / "db").iterdir())
    assert used < 1 << 20


def test_memcached_reads_its_configuration_from_files(
    memcached_server: str, tmp_path: Path
) -> None:
    (tmp_path / "servers.conf").write_text(f"# our servers\n{memcached_server.replace(':', ' ')}\n")
    (tmp_path / "client.conf").write_text("timeout = 3\nno_delay = true\nkey_prefix = a:\n")
    prefixed = MemcachedBackend(str(tmp_path / "servers.conf"), str(tmp_path / "client.conf"))
    (tmp_path / "empty.conf").touch()
    bare = MemcachedBackend(tmp_path / "servers.conf", tmp_path / "empty.conf")

    prefixed.put_text("né", "conf/k")

    assert bare.get_text("a:conf/k") == "né"


def test_memcached_accepts_trees_but_cannot_list_them(
    memcached_server: str, tmp_path: Path
) -> None:
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "a").write_bytes(b"x")
    backend = MemcachedBackend([memcached_server], {})

    assert backend.copytree_from_local(tmp_path / "tree", "trees/1") == "trees/1"

    assert backend.get("trees/1/sub/a") == b"x"
    with pytest.raises(OperationNotSupported, match="list_dir_or_file"):
        backend.copytree_to_local("trees/1", tmp_path / "back")
    with pytest.raises(NotADirectoryError, match="absent"):
        backend.copytree_from_local(tmp_path / "absent", "trees/2")


def test_memcached_appends_to_the_import_path(memcached_server: str, tmp_path: Path) -> None:
    MemcachedBackend([memcached_server], {}, sys_path=str(tmp_path))

    assert sys.path[-1] == str(tmp_path)


@pytest.mark.parametrize("name", ["k" * 10_000, "line\nbreak\x00", "  ", "文" * 200])
def test_memcached_encodes_keys_outside_the_protocol(memcached_server: str, name: str) -> None:
    backend = MemcachedBackend([memcached_server], {})

    backend.put(b"x", name)

    assert backend.get(name) == b"x"
    assert not backend.exists(name + "2")


def test_memcached_value_over_the_item_size_raises(memcached_server: str) -> None:
    backend = MemcachedBackend([memcached_server], {})

    with pytest.raises(StorageError, match=r"2097152 bytes of 'large'.*-I 64m") as caught:
        backend.put(b"x" * (2 << 20), "large")
    assert not isinstance(caught.value, StorageUnavailable)
    with pytest.raises(ValueError, match="empty"):
        backend.get("")


def test_memcached_that_is_down_raises_storage_unavailable(unused_port: int) -> None:
    backend = MemcachedBackend([f"127.0.0.1:{unused_port}"], {"retry_attempts": 0})

    with pytest.raises(StorageUnavailable, match="check that the servers run"):
        backend.get("k")


def test_memcached_that_closes_the_connection_raises_storage_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(1)
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        backend = MemcachedBackend([f"127.0.0.1:{listener.getsockname()[1]}"], {})
        with pytest.raises(StorageUnavailable, match="check that the servers run"):
            backend.put(b"x", "k")
        thread.join()


@pytest.mark.parametrize(
    ("servers", "options", "message"),
    [
        ([], {}, "must name a server"),
        (["host:port"], {}, "must be host:port"),
        (["127.0.0.1"], {"timeuot": 3}, "timeuot"),
    ],
)
def test_memcached_wrong_configuration_raises(
    servers: list[str], options: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        MemcachedBackend(servers, options)


def test_memcached_file_that_is_not_a_configuration_raises(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("no equals sign\n")

    with pytest.raises(ValueError, match="name = value"):
        MemcachedBackend(["127.0.0.1"], tmp_path / "conf")


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("host", ("host", 11211)),
        ("host:1", ("host", 1)),
        ("[::1]:2", ("::1", 2)),
        ("[::1]", ("::1", 11211)),
    ],
)
def test_memcached_reads_addresses(server: str, expected: tuple[str, int]) -> None:
    from engine_fileio.backends._memcached import _address

    assert _address(server) == expected


def test_fsspec_is_chosen_by_prefix_and_by_name() -> None:
    fileio.put(b"x", "memory://chosen/a")

    assert fileio.get_file_backend("gs://bucket/a").name == "FsspecBackend"
    assert fileio.get("chosen/a", {"backend": "fsspec", "protocol": "memory"}) == b"x"
    assert fileio.get("memory://chosen/a") == b"x"


def test_fsspec_needs_a_scheme() -> None:
    with pytest.raises(ValueError, match="pass protocol"):
        FsspecBackend().get("plain/path")


def test_fsspec_does_not_leave_its_bucket() -> None:
    with pytest.raises(PermissionError, match="must stay inside"):
        FsspecBackend().get("memory://bucket/../other/key")


def test_fsspec_keeps_options_out_of_its_repr() -> None:
    assert "s3cret" not in repr(FsspecBackend("memory", token="s3cret"))
