"""Reading files: hostile, foreign, damaged, and of other formats."""

import contextlib
import io
import os
import pickle
import struct
from collections import OrderedDict, defaultdict
from collections.abc import Callable
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
    ],
    ids=["reduce", "inst", "obj", "eval", "newobj", "getattr", "torch"],
)
def test_read_of_hand_made_pickle_runs_nothing(
    body: bytes, saved: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = _with_pickle(saved({"weight": torch.zeros(1)}), body)

    with contextlib.suppress(CheckpointError):
        read_checkpoint(file)

    assert os.listdir(tmp_path) == []


def test_read_of_pickle_that_changes_a_function_is_refused(saved: Save) -> None:
    rebuild = torch._utils._rebuild_tensor_v2
    defaults = rebuild.__defaults__
    body = b"ctorch._utils\n_rebuild_tensor_v2\n(N}S'__defaults__'\n(I1\ntstb."

    with pytest.raises(CheckpointError, match="cannot be read as weights"):
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


def test_read_gives_tensors_beside_foreign_classes(
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


def test_read_gives_numpy_scalars_as_numbers(saved: Save, foreign: type[Any]) -> None:
    values = {"f8": np.float64(0.125), "f4": np.float32(2.5), "i8": np.int64(-7), "b": np.True_}

    checkpoint = read_checkpoint(saved({"values": values, "other": foreign()}))

    assert checkpoint["values"] == {"f8": 0.125, "f4": 2.5, "i8": -7, "b": True}


def test_read_runs_the_file_only_when_told(saved: Save, spy: type[Any], tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    read_checkpoint(saved({"x": spy(marker)}), weights_only=False)

    assert marker.exists()


@pytest.mark.parametrize(
    "data",
    [b"", b"not a checkpoint at all", pickle.dumps([1, 2])[:6], b"PK\x03\x04broken"],
    ids=["empty", "text", "cut", "zip"],
)
def test_read_of_something_else_is_an_error_that_names_the_file(
    data: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "broken.pth"
    path.write_bytes(data)

    with pytest.raises(CheckpointError, match=r"broken\.pth cannot be read"):
        read_checkpoint(path)


def test_read_of_safetensors_gives_weights_and_meta(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    path = tmp_path / "model.safetensors"
    safetensors.save_file({"weight": torch.arange(4.0)}, path, {"epoch": "3"})

    checkpoint = read_checkpoint(path)

    assert torch.equal(checkpoint["state_dict"]["weight"], torch.arange(4.0))
    assert checkpoint["meta"] == {"epoch": "3"}


def test_read_of_safetensors_puts_tensors_where_told(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    path = tmp_path / "model.safetensors"
    safetensors.save_file({"weight": torch.arange(4.0)}, path)

    assert read_checkpoint(path, "meta")["state_dict"]["weight"].device.type == "meta"


def test_read_of_huge_safetensors_header_is_no_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "odd.pth"
    path.write_bytes(struct.pack("<Q", 1 << 40) + b"{" + b"0" * 64)

    with pytest.raises(CheckpointError):
        read_checkpoint(path)
