"""Finding backends by name and prefix, the legacy client, and optional libraries."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import engine_fileio as fileio
from engine_fileio import BaseStorageBackend, FileClient
from engine_fileio.backends import _table
from engine_fileio.backends._row import BackendRow


class Echo(BaseStorageBackend):
    """A backend as in the manual: two methods with a path."""

    def get(self, filepath: object) -> bytes:
        return str(filepath).encode()

    def get_text(self, filepath: object) -> str:
        return str(filepath)


@pytest.mark.parametrize("register", [fileio.register_backend, FileClient.register_backend])
def test_backend_is_registered_by_call_or_decorator(register) -> None:  # type: ignore[no-untyped-def]  # two functions of one shape
    assert register("echo1", Echo) is Echo
    assert register("echo2", prefixes=["e1", "e2"])(Echo) is Echo

    assert fileio.get("x", backend_args={"backend": "echo1"}) == b"x"
    assert fileio.get_text("e2://x") == "e2://x"
    with pytest.warns(DeprecationWarning, match=r"FileClient\(backend='echo2'\) is deprecated"):
        assert FileClient(backend="echo2").get_text("x") == "x"


def test_taken_name_or_prefix_needs_force() -> None:
    with pytest.raises(KeyError, match="force=True"):
        fileio.register_backend("s3", Echo)
    with pytest.raises(KeyError, match="HTTPBackend"):
        fileio.register_backend("repeat", Echo, prefixes="https")

    fileio.register_backend("s3", Echo, force=True, prefixes="s3")

    assert fileio.get("s3://b/k") == b"s3://b/k"


def test_new_backend_is_one_file_and_one_row(toy: BackendRow) -> None:
    fileio.put(b"x", "toy://box/a")

    assert fileio.get("box/a", backend_args={"backend": "toy"}) == b"x"
    assert fileio.get(Path("toy://box/a")) == b"x"
    assert FileClient(prefix="toy").get("box/a") == b"x"
    assert list(fileio.list_dir_or_file("toy://box")) == ["a"]
    with pytest.raises(
        ImportError,
        match=r'the storage backend toy needs no_such_.*pip install "engine-fileio\[toy\]"',
    ):
        fileio.ToyBackend().connect()
    assert toy.load() is fileio.ToyBackend


def static_classes(table: ModuleType) -> set[str]:
    """The classes that the table imports for editors and type checkers."""
    tree = ast.parse(inspect.getsource(table))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.name
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def extras_named(folder: Path) -> set[str]:
    """The extras that the files of a folder name when they import a library."""
    text = "".join(file.read_text() for file in folder.glob("*.py"))
    return set(re.findall(r'import_library\(\s*"(\w+)"', text))


def test_each_row_is_exported_has_an_extra_and_passes_the_contract(
    under_contract: set[str],
) -> None:
    pyproject = Path(__file__).parents[2] / "packages/engine-fileio/pyproject.toml"
    extras = tomllib.loads(pyproject.read_text())["project"]["optional-dependencies"]
    classes = {row.class_name for row in _table.ROWS}

    assert static_classes(_table) == classes
    assert classes < set(fileio.__all__)
    assert extras_named(Path(_table.__file__).parent) == set(extras) - {"all", "zstd"}
    assert {row.name for row in _table.ROWS} - {"disk"} == under_contract - {"toy"}


@pytest.mark.parametrize(("name", "backend"), [(3, Echo), ("echo", object), ("echo", "Echo")])
def test_register_backend_of_another_class_raises(name: object, backend: object) -> None:
    with pytest.raises(TypeError):
        fileio.register_backend(name, backend)  # type: ignore[call-overload]  # the misuse under test


@pytest.mark.parametrize(
    ("uri", "arguments", "expected"),
    [
        ("/a/b", None, "LocalBackend"),
        ("file:///a/b", None, "LocalBackend"),
        (Path("a"), None, "LocalBackend"),
        ("s3://b/k", None, "S3Backend"),
        (Path("s3://b/k"), None, "S3Backend"),
        (Path("odd:/name"), None, "LocalBackend"),
        ("main:s3://b/k", None, "S3Backend"),
        ("petrel://b/k", None, "PetrelBackend"),
        ("https://h/f", {"timeout": 3}, "HTTPBackend"),
        ("s3://b/k", {"backend": "disk"}, "LocalBackend"),
        (None, {"backend": "local"}, "LocalBackend"),
        ("hf://datasets/x", None, "FsspecBackend"),
    ],
)
def test_get_file_backend_chooses(
    uri: str | None, arguments: dict[str, object] | None, expected: str
) -> None:
    given = dict(arguments) if arguments else None

    assert fileio.get_file_backend(uri, backend_args=arguments).name == expected
    assert arguments == given


class Half(Echo):
    """A backend that raises for every file whose name contains ``bad``."""

    def get(self, filepath: object) -> bytes:
        if "bad" in str(filepath):
            raise fileio.StorageError(str(filepath))
        return b"good"

    def list_dir_or_file(self, *args: object, **kwargs: object) -> Iterator[str]:
        return iter([f"good{number}" for number in range(5)] + ["bad"])


def test_tree_whose_copy_fails_raises_the_first_error(tmp_path: Path) -> None:
    fileio.register_backend("half", Half)

    with pytest.raises(fileio.StorageError, match="tree/bad"):
        fileio.copytree_to_local("tree", tmp_path, backend_args={"backend": "half"})

    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"good"}


def test_get_file_backend_distinguishes_nested_arguments() -> None:
    def make(**options: object) -> BaseStorageBackend:
        arguments = {"backend": "fsspec", **options}
        return fileio.get_file_backend(backend_args=arguments, enable_singleton=True)

    assert make(a=[1, {"b": {2, 3}}]) is make(a=[1, {"b": {3, 2}}])
    assert make(a=[1, {"b": {2, 3}}]) is not make(a=[1, {"b": {2, 4}}])
    assert make(a=[]) is not make(a={})
    unhashable = bytearray()
    assert make(a=unhashable) is make(a=unhashable)
    assert make(a=unhashable) is not make(a=bytearray())


def test_get_file_backend_with_enable_singleton_returns_one_object() -> None:
    def make(timeout: float, **headers: str) -> BaseStorageBackend:
        arguments = {"timeout": timeout, "headers": headers}
        return fileio.get_file_backend("http://h", backend_args=arguments, enable_singleton=True)

    assert make(1, a="b") is make(1, a="b")
    assert make(1, a="b") is not make(1, a="c")
    assert make(1) is not make(1.0)
    assert fileio.get_file_backend("http://h") is not fileio.get_file_backend("http://h")


@pytest.mark.parametrize(
    ("uri", "arguments", "error", "message"),
    [
        (None, None, ValueError, "no backend is chosen"),
        ("nope://u:pw@h/x", None, ValueError, "registered:.*fsspec"),
        ("x", {"backend": "lmbd"}, KeyError, "did you mean 'lmdb'"),
        ("x", {"backend": "disk", "wrong": 1}, TypeError, "argument"),
    ],
)
def test_get_file_backend_of_an_unknown_name_or_prefix_raises(
    uri: str | None, arguments: dict[str, object] | None, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        fileio.get_file_backend(uri, backend_args=arguments)

    assert "pw" not in str(caught.value)


def test_client_calls_its_backend(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="file_client_args of FileClient is deprecated"):
        client = FileClient.infer_client({"backend": "disk"})
    folder = client.join_path(tmp_path, "d")
    client.put(b"\xe9", client.join_path(folder, "a"))
    client.put_text("t", client.join_path(folder, "b.txt"))

    assert client.get(client.join_path(folder, "a")) == b"\xe9"
    assert client.get_text(client.join_path(folder, "a"), encoding="latin1") == "é"
    assert client.exists(folder)
    assert client.isdir(folder)
    assert client.isfile(client.join_path(folder, "a"))
    assert list(client.list_dir_or_file(folder, suffix=".txt")) == ["b.txt"]
    with client.get_local_path(client.join_path(folder, "a")) as path:
        assert Path(path).exists()
    client.remove(client.join_path(folder, "a"))
    assert not client.exists(client.join_path(folder, "a"))
    assert (client.name, client.allow_symlink) == ("LocalBackend", True)


@pytest.mark.filterwarnings("ignore:FileClient:DeprecationWarning")
def test_client_name_has_priority_over_prefix() -> None:
    assert FileClient().name == "LocalBackend"
    assert FileClient(prefix="s3").name == "S3Backend"
    assert FileClient(backend="petrel", prefix="s3").name == "PetrelBackend"
    assert FileClient(backend="petrel", prefix="s3") is FileClient(backend="petrel")
    assert FileClient(backend="http", timeout=1) is not FileClient(backend="http", timeout=2)
    assert FileClient.infer_client(uri="https://h/x").name == "HTTPBackend"
    with pytest.raises(ValueError, match="uri"):
        FileClient.infer_client()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [("s3://b/k", "s3"), ("main:s3://b/k", "s3"), ("/a/b", None), (Path("s3://b/k"), "s3")],
)
def test_client_parses_prefixes(uri: str | Path, expected: str | None) -> None:
    assert FileClient.parse_uri_prefix(uri) == expected


def test_hard_disk_backend_is_the_local_backend_by_its_older_name(tmp_path: Path) -> None:
    backend = fileio.HardDiskBackend()
    assert isinstance(backend, fileio.LocalBackend)
    assert backend.name == "HardDiskBackend"
    backend.put_text("x", tmp_path / "a")
    assert backend.get_text(tmp_path / "a") == "x"


def test_scheme_s3_is_that_of_the_s3_backend() -> None:
    assert fileio.get_file_backend("s3://bucket/key").name == "S3Backend"


@pytest.mark.parametrize(
    ("module", "extra", "use"),
    [
        ("requests", "http", lambda: fileio.HTTPBackend().get("http://h/x")),
        ("boto3", "s3", lambda: fileio.S3Backend().get("s3://b/k")),
        ("lmdb", "lmdb", lambda: fileio.LmdbBackend("d", readonly=False).get("k")),
        ("pymemcache", "memcached", lambda: fileio.MemcachedBackend(["h"], {}).get("k")),
        ("fsspec", "fsspec", lambda: fileio.FsspecBackend().get("gs://b/k")),
        ("zstandard", "zstd", lambda: fileio.dump({}, "a.json.zst")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_missing_library_raises_and_names_the_extra(  # type: ignore[no-untyped-def]  # `use` is any of the actions above
    module: str, extra: str, use, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    if module == "boto3":
        monkeypatch.setattr("engine_fileio.backends._s3._sessions._made", {})
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(ImportError, match=rf'pip install "engine-fileio\[{extra}\]"'):
        use()


def test_import_loads_no_optional_library() -> None:
    code = (
        "import sys, engine_fileio as f\n"
        "f.LmdbBackend('x'); f.S3Backend(); f.HTTPBackend(); f.FsspecBackend()\n"
        "f.MemcachedBackend(['h'], {}); f.dump({'a': {1}}, file_format='json')\n"
        "print([m for m in ('numpy', 'torch', 'boto3', 'botocore', 'requests', 'lmdb',"
        " 'pymemcache', 'fsspec', 'zstandard') if m in sys.modules])"
    )

    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True
    )

    assert answer.stdout.strip() == "[]"
