"""Weights from a real server on the loopback, some of them hostile."""

import functools
import hashlib
import http.server
import os
import pickle
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from engine_utils.dl_utils import load_url


@dataclass(kw_only=True)
class Site:
    """A folder that a server serves, and the requests to it."""

    folder: Path
    address: str = ""
    requests: list[str] = field(default_factory=list)


class Hostile:
    """Makes a folder where its pickle is run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


class Config:
    """An object of a training program, as many checkpoints hold."""

    def __init__(self) -> None:
        self.lr = 0.1


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    made = Site(folder=folder)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            made.requests.append(self.path)

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        made.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def fetch(site: Site, name: str, tmp_path: Path, **arguments: Any) -> Any:
    folder = tmp_path / "kept" / "here"
    return load_url(f"{site.address}/{name}", str(folder), progress=False, **arguments)


def test_state_dict_is_downloaded_once(site: Site, tmp_path: Path) -> None:
    torch.save({"weight": torch.arange(3)}, site.folder / "model.pth")

    first = fetch(site, "model.pth", tmp_path)
    second = fetch(site, "model.pth", tmp_path)

    assert first["weight"].tolist() == second["weight"].tolist() == [0, 1, 2]
    assert site.requests == ["/model.pth"]


def test_default_folder_is_that_of_torch_hub(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    torch.save([1], site.folder / "model.pth")

    load_url(f"{site.address}/model.pth", progress=False, file_name="other.pth")

    assert (tmp_path / "home" / "hub" / "checkpoints" / "other.pth").exists()


def test_location_is_mapped(site: Site, tmp_path: Path) -> None:
    torch.save({"weight": torch.arange(3)}, site.folder / "model.pth")

    loaded = fetch(site, "model.pth", tmp_path, map_location="meta")

    assert loaded["weight"].is_meta


def test_hash_in_the_name_is_checked(site: Site, tmp_path: Path) -> None:
    torch.save([1, 2], site.folder / "model.pth")
    content = (site.folder / "model.pth").read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:8]
    (site.folder / f"good-{digest}.pth").write_bytes(content)
    (site.folder / "bad-0123abcd.pth").write_bytes(content)

    assert fetch(site, f"good-{digest}.pth", tmp_path, check_hash=True) == [1, 2]
    with pytest.raises(RuntimeError, match="invalid hash value"):
        fetch(site, "bad-0123abcd.pth", tmp_path, check_hash=True)
    with pytest.raises(
        ValueError, match=r"must have a hash for check_hash, as model-5c106cde\.pth"
    ):
        fetch(site, "model.pth", tmp_path, check_hash=True)
    kept = tmp_path / "kept" / "here"
    assert not (kept / "bad-0123abcd.pth").exists()

    (kept / f"good-{digest}.pth").write_bytes(b"cut off")
    with pytest.raises(RuntimeError, match=r"must begin with .*; delete the file"):
        fetch(site, f"good-{digest}.pth", tmp_path, check_hash=True)


def test_url_without_a_file_raises(site: Site, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"must end with the name of a file, got .*; pass file_name"
    ):
        fetch(site, "", tmp_path)


def test_zip_around_a_checkpoint_is_unpacked(site: Site, tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, site.folder / "model.pth")
    with zipfile.ZipFile(site.folder / "model.zip", "w") as archive:
        archive.write(site.folder / "model.pth", "model.pth")
    with zipfile.ZipFile(site.folder / "two.zip", "w") as archive:
        archive.writestr("a", "1")
        archive.writestr("b", "2")

    assert fetch(site, "model.zip", tmp_path)["a"].item() == 1
    with pytest.raises(RuntimeError, match="exactly one file, got 2"):
        fetch(site, "two.zip", tmp_path)


def test_zip_does_not_replace_another_download(site: Site, tmp_path: Path) -> None:
    torch.save("good", site.folder / "model.pth")
    torch.save("other", site.folder / "other.pth")
    with zipfile.ZipFile(site.folder / "box.zip", "w") as archive:
        archive.write(site.folder / "other.pth", "model.pth")

    fetch(site, "model.pth", tmp_path)

    assert fetch(site, "box.zip", tmp_path) == "other"
    assert fetch(site, "model.pth", tmp_path) == "good"


@pytest.mark.parametrize("content", [b"", b"not weights"], ids=["empty", "text"])
def test_file_that_torch_did_not_save_is_named(site: Site, tmp_path: Path, content: bytes) -> None:
    (site.folder / "model.pth").write_bytes(content)

    with pytest.raises(
        pickle.UnpicklingError, match=r"cannot load .*model\.pth, downloaded from .*; delete it"
    ):
        fetch(site, "model.pth", tmp_path)


def test_address_that_cannot_be_downloaded_is_named(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match=r"cannot download .*gone\.pth: .*404"):
        fetch(site, "gone.pth", tmp_path)


def test_old_file_format_loads(site: Site, tmp_path: Path) -> None:
    torch.save([torch.ones(2)], site.folder / "old.pth", _use_new_zipfile_serialization=False)

    assert fetch(site, "old.pth", tmp_path)[0].tolist() == [1, 1]


def test_strict_loading_of_other_classes_raises(site: Site, tmp_path: Path) -> None:
    torch.save({"config": Config()}, site.folder / "model.pth")

    with pytest.raises(pickle.UnpicklingError):
        fetch(site, "model.pth", tmp_path, weights_only=True)


def test_objects_of_other_classes_become_inert(site: Site, tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(2), "config": Config()}, site.folder / "model.pth")

    loaded = fetch(site, "model.pth", tmp_path)

    assert loaded["weight"].tolist() == [1, 1]
    assert type(loaded["config"]) is not Config
    assert type(loaded["config"]).__name__ == "Config"
    assert loaded["config"].state == {"lr": 0.1}


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "old"])
@pytest.mark.parametrize("weights_only", [True, False], ids=["strict", "lenient"])
def test_hostile_pickle_runs_nothing(
    site: Site, tmp_path: Path, weights_only: bool, new_format: bool
) -> None:
    trace = tmp_path / "the pickle ran"
    content = {"weight": torch.ones(2), "hostile": Hostile(trace)}
    torch.save(content, site.folder / "model.pth", _use_new_zipfile_serialization=new_format)

    with pytest.raises(pickle.UnpicklingError):
        fetch(site, "model.pth", tmp_path, weights_only=weights_only)
    assert not trace.exists()
