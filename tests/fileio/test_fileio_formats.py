"""Load, dump, handlers, compression, and text files as lists and dicts."""

from __future__ import annotations

import collections
import gzip
import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import yaml
import zstandard
from hypothesis import given
from hypothesis import strategies as st

import engine_fileio as fileio
from engine_fileio import (
    BaseFileHandler,
    JsonHandler,
    PickleHandler,
    StorageError,
    UntrustedDataError,
    YamlHandler,
    dump,
    load,
)
from engine_fileio.handlers import _table

_NO_FILE: Any = 3
VALUE = {"name": "réseau", "lr": 0.1, "steps": [1, 2], "nested": {"on": True, "off": None}}


@pytest.fixture(autouse=True)
def _restore_handlers() -> Iterator[None]:
    before = dict(_table._handlers)
    yield
    _table._handlers.clear()
    _table._handlers.update(before)


@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
@pytest.mark.parametrize("suffix", ["json", "yaml", "yml", "pkl", "pickle", "JSON"])
def test_load_returns_the_dumped_object(tmp_path: Path, suffix: str, packed: str) -> None:
    path = tmp_path / "new" / f"a.{suffix}{packed}"

    assert dump(VALUE, path) is True

    assert load(path) == VALUE
    assert load(str(path), trusted=False) == VALUE
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    ("file_format", "kind"), [("json", str), ("yaml", str), ("pkl", bytes)], ids=["j", "y", "p"]
)
def test_dump_without_a_file_returns_the_text(file_format: str, kind: type) -> None:
    text = dump(VALUE, file_format=file_format)

    assert isinstance(text, kind)
    reader = io.StringIO(text) if isinstance(text, str) else io.BytesIO(text)  # type: ignore[arg-type]  # bytes here
    assert load(reader, file_format=file_format) == VALUE


@pytest.mark.parametrize("file_format", ["json", "yaml", "pkl"])
def test_open_files_are_read_and_written(tmp_path: Path, file_format: str) -> None:
    binary = "b" if file_format == "pkl" else ""
    with open(tmp_path / "f", f"w{binary}") as file:
        dump(VALUE, file, file_format=file_format)

    with open(tmp_path / "f", f"r{binary}") as file:
        assert load(file, file_format=file_format) == VALUE
    with open(tmp_path / "f", f"r{binary}") as file:
        assert load(file, file_format=file_format, trusted=False) == VALUE


def test_file_format_has_priority_over_the_suffix(tmp_path: Path) -> None:
    dump(VALUE, tmp_path / "a.txt", file_format="json")

    assert json.loads((tmp_path / "a.txt").read_text()) == VALUE
    assert load(tmp_path / "a.txt", file_format="yaml") == VALUE


def test_arguments_go_to_the_handler(tmp_path: Path) -> None:
    dump({"b": 1, "a": 2}, tmp_path / "a.json", indent=2, sort_keys=True)
    dump(VALUE, tmp_path / "a.pkl", protocol=4)

    assert (tmp_path / "a.json").read_text() == '{\n  "a": 2,\n  "b": 1\n}'
    assert (tmp_path / "a.pkl").read_bytes()[:2] == b"\x80\x04"
    ordered = load(tmp_path / "a.json", object_pairs_hook=collections.OrderedDict)
    assert isinstance(ordered, collections.OrderedDict)


def test_pickle_is_written_with_protocol_2_by_default(tmp_path: Path) -> None:
    dump(VALUE, tmp_path / "a.pkl")

    assert (tmp_path / "a.pkl").read_bytes()[:2] == b"\x80\x02"
    assert PickleHandler().dump_to_str(VALUE)[:2] == b"\x80\x02"


def test_file_client_args_choose_a_backend(tmp_path: Path) -> None:
    disk: Any = {"file_client_args": {"backend": "disk"}}
    (tmp_path / "a.txt").write_text("1 cat\n")

    with _deprecated("dump"):
        dump(VALUE, tmp_path / "a.json", **disk)
    with _deprecated("load"):
        assert load(tmp_path / "a.json", **disk) == VALUE
    with _deprecated("list_from_file"):
        assert fileio.list_from_file(tmp_path / "a.txt", **disk) == ["1 cat"]
    with _deprecated("dict_from_file"):
        assert fileio.dict_from_file(tmp_path / "a.txt", **disk) == {"1": "cat"}
    with _deprecated("load"), pytest.raises(ValueError, match="exclude each other"):
        load(tmp_path / "a.json", file_client_args={}, backend_args={})


@contextmanager
def _deprecated(name: str) -> Iterator[None]:
    message = f"file_client_args of {name} is deprecated; .*backend_args"
    with pytest.warns(DeprecationWarning, match=message) as warned:
        yield
    assert [Path(one.filename).name for one in warned] == [Path(__file__).name]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: load("a.jsn"), TypeError, "did you mean 'json'"),
        (lambda: load("a"), TypeError, "registered:.*json"),
        (lambda: load(io.StringIO("{}")), ValueError, "pass file_format"),
        (lambda: load(_NO_FILE), TypeError, "path or an open file"),
        (lambda: dump({}), ValueError, "needs a file"),
        (lambda: dump({}, _NO_FILE), TypeError, "path or an open file"),
        (lambda: load("absent.json"), FileNotFoundError, "absent"),
    ],
)
def test_load_and_dump_with_wrong_arguments_raise(
    call: Any, error: type[Exception], message: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(error, match=message):
        call()


def test_dump_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    dump(VALUE, tmp_path / "a.json")

    with pytest.raises(TypeError, match="not plain data"):
        dump({"a": 1, "b": object()}, tmp_path / "a.json")

    assert load(tmp_path / "a.json") == VALUE
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("file_format", ["json", "yaml"])
def test_numpy_values_and_sets_become_plain(file_format: str) -> None:
    value = {
        "set": {3, 1, 2},
        "range": range(3),
        "array": np.arange(4).reshape(2, 2),
        "float": np.float32(0.5),
        "int": np.int64(7),
        "bool": np.bool_(True),
    }
    text = dump(value, file_format=file_format)

    loaded = load(io.StringIO(str(text)), file_format=file_format)

    assert list(loaded.pop("set")) == [1, 2, 3]
    assert loaded == {
        "range": [0, 1, 2],
        "array": [[0, 1], [2, 3]],
        "float": 0.5,
        "int": 7,
        "bool": True,
    }


def test_sets_of_mixed_types_become_lists() -> None:
    assert sorted(json.loads(JsonHandler().dump_to_str({1, "a"})), key=str) == [1, "a"]


def test_yaml_takes_subclasses_of_plain_types_and_keeps_order_and_alphabet() -> None:
    class Settings(dict[str, Any]):
        pass

    text = YamlHandler().dump_to_str(Settings(z="é", a=collections.OrderedDict(t=(1, 2))))

    assert text == "z: é\na:\n  t:\n  - 1\n  - 2\n"
    with pytest.raises(yaml.representer.RepresenterError, match="not plain data"):
        dump(object(), file_format="yaml")


def test_yaml_runs_no_code() -> None:
    hostile = io.StringIO("!!python/object/apply:os.system ['true']")

    with pytest.raises(yaml.constructor.ConstructorError):
        load(hostile, file_format="yaml")
    hostile.seek(0)
    with pytest.raises(yaml.constructor.ConstructorError):
        load(hostile, file_format="yaml", trusted=False, Loader=yaml.UnsafeLoader)


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("pwned",))


@pytest.mark.parametrize("protocol", range(6))
def test_untrusted_pickle_runs_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.pkl").write_bytes(pickle.dumps([1, Bomb()], protocol))

    with pytest.raises(UntrustedDataError, match=r"mkdir.*trusted=True"):
        load("a.pkl", trusted=False)

    assert not Path("pwned").exists()


_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
_texts = st.text() | st.binary() | st.binary().map(bytearray) | st.complex_numbers(allow_nan=False)
_plain = st.recursive(
    _scalars | _texts | st.frozensets(st.integers()) | st.sets(st.text()),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(value=_plain, protocol=st.integers(0, 5))
def test_untrusted_pickle_of_plain_data_is_read(value: Any, protocol: int) -> None:
    data = io.BytesIO(pickle.dumps(value, protocol))

    assert load(data, file_format="pkl", trusted=False) == value


def test_untrusted_pickle_has_no_persistent_ids() -> None:
    with pytest.raises(UntrustedDataError, match="outside"):
        load(io.BytesIO(b"Pid\n."), file_format="pkl", trusted=False)


class TxtHandler(BaseFileHandler):
    """The handler of the manual."""

    def load_from_fileobj(self, file: IO[str], **kwargs: Any) -> Any:
        return file.read()

    def dump_to_fileobj(self, obj: Any, file: IO[str], **kwargs: Any) -> None:
        file.write(str(obj))

    def dump_to_str(self, obj: Any, **kwargs: Any) -> str:
        return str(obj)


class RawHandler(BaseFileHandler):
    """A binary format that sets the modes of its paths, as in the manual."""

    def __init__(self, mark: bytes = b"") -> None:
        self.mark = mark

    def load_from_fileobj(self, file: IO[bytes], **kwargs: Any) -> Any:
        return file.read()

    def load_from_path(self, filepath: Any, mode: str = "rb", **kwargs: Any) -> Any:
        return super().load_from_path(filepath, mode=mode, **kwargs)

    def dump_to_fileobj(self, obj: Any, file: IO[bytes], **kwargs: Any) -> None:
        file.write(self.mark + obj)

    def dump_to_path(self, obj: Any, filepath: Any, mode: str = "wb", **kwargs: Any) -> None:
        super().dump_to_path(obj, filepath, mode=mode, **kwargs)

    def dump_to_str(self, obj: Any, **kwargs: Any) -> bytes:
        return self.mark + bytes(obj)


def test_handlers_are_registered_for_one_or_several_formats(tmp_path: Path) -> None:
    fileio.register_handler("text")(fileio.register_handler(["log", ".txt"])(TxtHandler))
    fileio.register_handler("raw", mark=b"#")(RawHandler)

    for name in ("a.text", "a.log", "a.txt", "a.log.gz"):
        dump(5, tmp_path / name)
        assert load(tmp_path / name) == "5"
    dump(b"\xff", tmp_path / "a.raw")
    assert load(tmp_path / "a.raw") == b"#\xff"
    dump(b"\xff", "memory://handlers/a.raw")
    assert load("memory://handlers/a.raw") == b"#\xff"


def test_handler_without_load_untrusted_raises_for_untrusted_files(tmp_path: Path) -> None:
    fileio.register_handler("txt")(TxtHandler)
    (tmp_path / "a.txt").touch()

    with pytest.raises(UntrustedDataError, match="TxtHandler"):
        load(tmp_path / "a.txt", trusted=False)


@pytest.mark.parametrize(("formats", "handler"), [("x", object), ([3], TxtHandler)])
def test_register_handler_of_another_class_raises(formats: Any, handler: Any) -> None:
    with pytest.raises(TypeError):
        fileio.register_handler(formats)(handler)


def test_handlers_read_and_write_paths(tmp_path: Path) -> None:
    JsonHandler().dump_to_path([1], tmp_path / "a.json")
    JsonHandler().dump_to_path([2], tmp_path / "a.json", mode="a")
    PickleHandler().dump_to_path([1], tmp_path / "a.pkl")

    assert (tmp_path / "a.json").read_text() == "[1][2]"
    assert PickleHandler().load_from_path(tmp_path / "a.pkl") == [1]


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [("gz", gzip.compress), ("zst", lambda data: zstandard.ZstdCompressor().compress(data))],
)
def test_truncated_compressed_file_raises(tmp_path: Path, suffix: str, pack: Any) -> None:
    whole = pack(b"line\n" * 10_000)
    (tmp_path / f"two.txt.{suffix}").write_bytes(whole + pack(b"end\n"))
    (tmp_path / f"cut.txt.{suffix}").write_bytes(whole[:-7])
    (tmp_path / f"bad.txt.{suffix}").write_bytes(b"not packed at all")

    assert len(fileio.list_from_file(tmp_path / f"two.txt.{suffix}")) == 10_001
    for name in ("cut", "bad"):
        with pytest.raises(StorageError, match="must be a complete"):
            fileio.list_from_file(tmp_path / f"{name}.txt.{suffix}")


def test_equal_objects_give_equal_compressed_files(tmp_path: Path) -> None:
    for name in ("a.json.gz", "b.json.gz"):
        dump(VALUE, tmp_path / name)

    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()


def test_json_converts_numpy_values_without_importing_numpy() -> None:
    code = (
        "import sys, engine_fileio as f; f.dump({'a': {1}}, file_format='json');"
        "loaded = 'numpy' in sys.modules; import numpy;"
        "print(loaded, f.dump(numpy.arange(2), file_format='json'))"
    )

    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True
    )

    assert answer.stdout == "False [0, 1]\n"
