"""Read files: hostile, foreign, damaged, and of other formats."""

import contextlib
import io
import os
import pickle
import struct
import sys
import tarfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from engine_model.weights import CheckpointError, ForeignObject, read_checkpoint

Save = Callable[..., io.BytesIO]


@pytest.mark.parametrize(
    "options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "legacy"]
)
def test_read_of_hostile_pickle_runs_nothing(
    saved: Save, spy: type[Any], tmp_path: Path, options: dict[str, Any]
) -> None:
    marker = tmp_path / "ran"
    weight = torch.arange(3.0)
    file = saved({"state_dict": {"weight": weight}, "meta": spy(marker)}, **options)

    checkpoint = read_checkpoint(file)

    assert not marker.exists()
    assert torch.equal(checkpoint["state_dict"]["weight"], weight)
    assert isinstance(checkpoint["meta"], ForeignObject)
    assert "inert" in repr(checkpoint["meta"])


def test_tensors_of_every_kind_are_read_beside_a_foreign_object(saved: Save) -> None:
    tensors = {
        "uint16": torch.tensor([1, 2]).to(torch.uint16),
        "float8": torch.ones(2).to(torch.float8_e4m3fn),
        "sparse": torch.eye(2).to_sparse(),
    }

    checkpoint = read_checkpoint(saved({**tensors, "half": Fraction(1, 2)}))

    assert isinstance(checkpoint["half"], ForeignObject)
    for name, tensor in tensors.items():
        found = checkpoint[name]
        assert (found.dtype, found.layout) == (tensor.dtype, tensor.layout)
        assert torch.equal(found.to_dense().float(), tensor.to_dense().float())


@pytest.mark.parametrize(
    "body",
    [
        b"cos\nsystem\n(S'touch ran'\ntR.",
        b"(S'touch ran'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch ran'\no.",
        b'cbuiltins\neval\n(S\'open("ran", "w")\'\ntR.',
        b"\x80\x02cbuiltins\nexec\nq\x00X\x0e\x00\x00\x00open('ran','w')\x85\x81.",
        b"cbuiltins\ngetattr\n(cos\nS'system'\ntR(S'touch ran'\ntR.",
        b"ctorch.hub\nload_state_dict_from_url\n(S'http://127.0.0.1:9/x'\ntR.",
        b"cos\nsystem\n(S'touch ran'\ntRQ.",
        b"(S'storage'\nctorch\nFloatStorage\ncos\nsystem\n(S'touch ran'\ntRS'cpu'\nI1\ntQ.",
        b"(S'module'\ncos\nsystem\nS'a.py'\nS'touch ran'\ntQ.",
        b"ccollections\nOrderedDict\n)R}S'_metadata'\ncos\nsystem\n(S'touch ran'\ntRsb.",
        b"ctorch._utils\n_rebuild_parameter\n(cos\nsystem\n(S'touch ran'\ntRI1\nNtR.",
    ],
    ids=[
        "reduce",
        "inst",
        "obj",
        "eval",
        "newobj",
        "getattr",
        "torch",
        "persistent id",
        "in a persistent id",
        "persistent module",
        "in the state of a dict",
        "in a parameter",
    ],
)
def test_read_of_hand_made_pickle_runs_nothing(
    body: bytes, saved: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = _with_pickle(saved({"weight": torch.zeros(1)}), body)

    with contextlib.suppress(CheckpointError):
        read_checkpoint(file)

    assert os.listdir(tmp_path) == []


def _in_tar(body: bytes) -> bytes:
    """Return a file as torch wrote it until 2017, each part of which is a hostile pickle."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("sys_info", "storages", "tensors", "pickle"):
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return file.getvalue()


def _in_parts(body: bytes) -> bytes:
    """Return a file as torch wrote it until 2020, the last of whose parts is a hostile pickle."""
    info = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    parts = (0x1950A86A20F9469CFC6C, 1001, info, {"weight": 1})
    return b"".join(pickle.dumps(part, 2) for part in parts) + body


@pytest.mark.parametrize(
    "make", [_in_tar, _in_parts, lambda body: body], ids=["tar", "legacy", "bare pickle"]
)
def test_read_of_hostile_file_of_old_formats_is_an_error_and_runs_nothing(
    make: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "old.pth"
    path.write_bytes(make(b"cos\nsystem\n(S'touch ran'\ntR."))

    with pytest.raises(CheckpointError, match=r"old\.pth cannot be read"):
        read_checkpoint(path)

    assert os.listdir(tmp_path) == ["old.pth"]


def test_read_of_tar_archive_names_the_format(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    path.write_bytes(_in_tar(pickle.dumps(0)))

    with pytest.raises(CheckpointError, match="tar archive"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "git lfs pull"),
        ("\n<!DOCTYPE html><html>Not found</html>", "page of HTML"),
    ],
    ids=["lfs", "page"],
)
def test_read_of_what_stands_for_a_file_says_so(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "net.pth"
    path.write_text(text)

    with pytest.raises(CheckpointError, match=rf"net\.pth cannot be read: it is a.*{words}"):
        read_checkpoint(path)


def test_read_of_names_in_torch_imports_nothing(
    saved: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imported_lazily.py").touch()
    monkeypatch.setattr(torch, "__path__", [*torch.__path__, str(tmp_path)])
    monkeypatch.setattr(torch, "_lazy_modules", {"imported_lazily"})

    read_checkpoint(_with_pickle(saved({"w": 1}), b"ctorch\nimported_lazily\n."))

    assert "torch.imported_lazily" not in sys.modules
    assert getattr(torch, "imported_lazily") is sys.modules.pop("torch.imported_lazily")  # noqa: B009
    delattr(torch, "imported_lazily")


def test_read_of_pickle_that_changes_a_function_raises(saved: Save) -> None:
    rebuild = torch._utils._rebuild_tensor_v2
    defaults = rebuild.__defaults__
    body = b"ctorch._utils\n_rebuild_tensor_v2\n(N}S'__defaults__'\n(I1\ntstb."

    with pytest.raises(CheckpointError, match=r"was not read: its pickle .* weights_only=False"):
        read_checkpoint(_with_pickle(saved({"weight": torch.zeros(1)}), body))

    assert rebuild.__defaults__ == defaults


def _with_pickle(file: io.BytesIO, body: bytes) -> io.BytesIO:
    """Put another pickle in a file that torch saved."""
    import zipfile

    result = io.BytesIO()
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(result, "w") as target:
        for item in source.infolist():
            data = body if item.filename.endswith("data.pkl") else source.read(item)
            target.writestr(item.filename, data)
    result.seek(0)
    return result


def test_read_returns_tensors_beside_foreign_classes(
    saved: Save, foreign: type[Any], caplog: pytest.LogCaptureFixture
) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    file = saved(
        {
            "state_dict": model.state_dict(),
            "message_hub": {"log_scalars": OrderedDict(loss=foreign())},
            "groups": defaultdict(list, lr=[0.1]),
            "shape": torch.Size([2, 3]),
            "dtype": torch.float16,
            "seen": {1, 2},
        }
    )

    checkpoint = read_checkpoint(file)

    for key, value in model.state_dict().items():
        assert torch.equal(checkpoint["state_dict"][key], value)
    assert checkpoint["state_dict"]._metadata == model.state_dict()._metadata  # type: ignore[attr-defined]  # torch's
    history = checkpoint["message_hub"]["log_scalars"]["loss"]
    assert history.class_name.endswith("Buffer")
    assert history.state == {"history": [1.0, 2.0]}
    assert checkpoint["groups"] == {"lr": [0.1]}
    assert checkpoint["shape"] == (2, 3)
    assert checkpoint["dtype"] is torch.float16
    assert checkpoint["seen"] == {1, 2}
    assert "Buffer" in caplog.text


def test_read_returns_numpy_scalars_as_numbers(saved: Save, foreign: type[Any]) -> None:
    values = {"f8": np.float64(0.125), "f4": np.float32(2.5), "i8": np.int64(-7), "b": np.True_}

    checkpoint = read_checkpoint(saved({"values": values, "other": foreign()}))

    assert checkpoint["values"] == {"f8": 0.125, "f4": 2.5, "i8": -7, "b": True}


def test_read_runs_code_of_the_file_only_on_request(
    saved: Save, spy: type[Any], tmp_path: Path
) -> None:
    marker = tmp_path / "ran"

    read_checkpoint(saved({"x": spy(marker)}), weights_only=False)

    assert marker.exists()


@pytest.mark.parametrize(
    "data",
    [b"", b"not a checkpoint at all", pickle.dumps([1, 2])[:6], b"PK\x03\x04broken"],
    ids=["empty", "text", "cut", "zip"],
)
def test_read_of_another_format_raises_and_names_the_file(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.pth"
    path.write_bytes(data)

    with pytest.raises(CheckpointError, match=r"broken\.pth cannot be read"):
        read_checkpoint(path)


def test_read_of_safetensors_returns_weights_and_meta(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    path = tmp_path / "model.safetensors"
    safetensors.save_file({"weight": torch.arange(4.0)}, path, {"epoch": "3"})

    checkpoint = read_checkpoint(path)

    assert torch.equal(checkpoint["state_dict"]["weight"], torch.arange(4.0))
    assert checkpoint["meta"] == {"epoch": "3"}


def test_read_of_safetensors_follows_map_location(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    path = tmp_path / "model.safetensors"
    safetensors.save_file({"weight": torch.arange(4.0)}, path)

    places: dict[str, list[Any]] = {
        "meta": ["meta", torch.device("meta"), {"cpu": "meta"}],
        "cpu": [{"cuda": "meta"}, lambda storage, location: None, lambda storage, _: storage],
    }
    for kind, forms in places.items():
        for form in forms:
            assert read_checkpoint(path, form)["state_dict"]["weight"].device.type == kind


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-4],
        lambda data: data[:20],
        lambda data: data.replace(b'"F32"', b'"F99"'),
        lambda data: data.replace(b"[0,16]", b"[0,99]"),
        lambda data: struct.pack("<Q", 40) + b"{" + b'"a":' * 30,
    ],
    ids=["cut", "cut in the header", "type", "offsets", "json"],
)
def test_read_of_damaged_safetensors_is_an_error_that_names_the_file(
    change: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    path = tmp_path / "model.safetensors"
    path.write_bytes(change(safetensors.save({"weight": torch.arange(4.0)})))

    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read: Safe"):
        read_checkpoint(path)


def test_read_of_huge_safetensors_header_raises(tmp_path: Path) -> None:
    path = tmp_path / "odd.pth"
    path.write_bytes(struct.pack("<Q", 1 << 40) + b"{" + b"0" * 64)

    with pytest.raises(CheckpointError):
        read_checkpoint(path)
