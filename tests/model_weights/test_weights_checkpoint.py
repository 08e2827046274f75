"""Load checkpoints by address, rename weights, and save checkpoints."""

import functools
import http.server
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from engine_model.weights import (
    CheckpointError,
    CheckpointLoader,
    StateDictError,
    get_external_models,
    get_mmcls_models,
    load_checkpoint,
    load_checkpoint_with_prefix,
    revise_names,
    save_checkpoint,
    weights_in,
    weights_under,
)


@pytest.fixture
def schemes(monkeypatch: pytest.MonkeyPatch) -> type[CheckpointLoader]:
    monkeypatch.setattr(CheckpointLoader, "_schemes", dict(CheckpointLoader._schemes))
    return CheckpointLoader


@pytest.fixture
def checkpoint(tmp_path: Path) -> tuple[Path, nn.Linear]:
    model = nn.Linear(3, 2)
    path = tmp_path / "epoch_1.pth"
    torch.save({"state_dict": model.state_dict(), "meta": {"epoch": 1}}, path)
    return path, model


class Counting(http.server.SimpleHTTPRequestHandler):
    requests: list[str]

    def log_message(self, format: str, *args: Any) -> None:
        if "GET" in str(args[0]):
            self.requests.append(str(args[0]))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    requests: list[str] = []
    handler = type("Handler", (Counting,), {"requests": requests})
    make = functools.partial(handler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), make) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()
        thread.join()


def test_load_checkpoint_fills_the_model_and_returns_all(
    checkpoint: tuple[Path, nn.Linear],
) -> None:
    path, source = checkpoint
    model = nn.Linear(3, 2)

    loaded = load_checkpoint(model, str(path), map_location="cpu", strict=True)

    assert torch.equal(model.weight, source.weight)
    assert loaded["meta"] == {"epoch": 1}


@pytest.mark.parametrize("key", ["state_dict", "model", None])
def test_load_checkpoint_finds_weights_under_each_known_key(
    key: str | None, tmp_path: Path
) -> None:
    model = nn.Linear(3, 2)
    path = tmp_path / "weights.pth"
    torch.save({key: model.state_dict()} if key else model.state_dict(), path)

    target = nn.Linear(3, 2)
    load_checkpoint(target, path, strict=True)

    assert torch.equal(target.weight, model.weight)


def test_load_checkpoint_strips_module_by_default(tmp_path: Path) -> None:
    model = nn.DataParallel(nn.Linear(3, 2))
    torch.save(model.state_dict(), tmp_path / "ddp.pth")

    load_checkpoint(nn.Linear(3, 2), tmp_path / "ddp.pth", strict=True)


def test_load_checkpoint_renames_by_rules(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    torch.save({f"old.{k}": v for k, v in model.state_dict().items()}, tmp_path / "old.pth")
    target = nn.ModuleList([nn.Linear(3, 2)])

    load_checkpoint(target, tmp_path / "old.pth", strict=True, revise_keys=[(r"^old\.", "0.")])
    load_checkpoint(target, tmp_path / "old.pth", strict=True, revise_keys={"old": "0"})

    assert torch.equal(target.state_dict()["0.weight"], model.weight)


def test_load_checkpoint_strict_raises_and_lists_the_misfits(
    checkpoint: tuple[Path, nn.Linear],
) -> None:
    with pytest.raises(StateDictError, match=r"weight: \(2, 3\) in the weights, \(5, 3\)"):
        load_checkpoint(nn.Linear(3, 5), checkpoint[0], strict=True)


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": [1]}, {1: 2}], ids=repr)
def test_load_checkpoint_without_weights_raises(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "none.pth")

    with pytest.raises(CheckpointError, match="no weights"):
        load_checkpoint(nn.Linear(1, 1), tmp_path / "none.pth")


def test_load_checkpoint_of_a_missing_file_raises_and_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.pth"):
        load_checkpoint(nn.Linear(1, 1), tmp_path / "gone.pth")


def test_load_checkpoint_with_prefix_returns_one_part(tmp_path: Path) -> None:
    model = nn.ModuleDict({"backbone": nn.Linear(2, 2), "head": nn.Linear(2, 1)})
    torch.save({"state_dict": model.state_dict()}, tmp_path / "m.pth")

    part = load_checkpoint_with_prefix(tmp_path / "m.pth", "backbone")

    assert list(part) == ["weight", "bias"]
    with pytest.raises(CheckpointError, match="backbone, head"):
        load_checkpoint_with_prefix(tmp_path / "m.pth", "neck")


def test_weights_under_matches_whole_words() -> None:
    assert list(weights_under({"back.w": 1, "backbone.w": 2}, "back.")) == ["w"]


def test_revise_names_applies_patterns_one_after_another() -> None:
    weights = {"module.a.weight": 1}

    assert revise_names(weights, [(r"^module\.", ""), (r"^a\.", "b.")]) == {"b.weight": 1}


def test_revise_names_that_collide_raise() -> None:
    with pytest.raises(ValueError, match="both become 'w'"):
        revise_names({"a.w": 1, "b.w": 2}, [(r"^[ab]\.", "")])


def test_revise_names_keeps_metadata() -> None:
    weights: Any = nn.Linear(1, 1).state_dict()

    revised: Any = revise_names(weights, [])

    assert revised._metadata == weights._metadata


def test_weights_in_returns_the_dict_itself() -> None:
    weights = {"weight": 1}

    assert weights_in({"state_dict": weights}) is weights


def test_loader_uses_the_longest_prefix(schemes: type[CheckpointLoader]) -> None:
    schemes.register_scheme("store://", lambda filename, map_location: "short")

    @schemes.register_scheme(["store://big/", "store://large/"])
    def load_big(filename: str, map_location: Any = None) -> str:
        return f"{filename} on {map_location}"

    assert schemes.load_checkpoint("store://x", logger="silent") == "short"
    assert schemes.load_checkpoint("store://large/x", "cpu") == "store://large/x on cpu"


def test_loader_keeps_a_scheme_unless_forced(schemes: type[CheckpointLoader]) -> None:
    schemes.register_scheme("store://", lambda filename, map_location: 1)

    with pytest.raises(KeyError, match="force=True"):
        schemes.register_scheme("store://", lambda filename, map_location: 2)
    schemes.register_scheme("store://", lambda filename, map_location: 3, force=True)

    assert schemes.load_checkpoint("store://") == 3


def test_loader_reads_from_storage_backends(checkpoint: tuple[Path, nn.Linear]) -> None:
    loaded = CheckpointLoader.load_checkpoint(f"file://{checkpoint[0]}")

    assert torch.equal(loaded["state_dict"]["weight"], checkpoint[1].weight)


def test_loader_downloads_once_per_address(
    checkpoint: tuple[Path, nn.Linear],
    site: tuple[str, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, requests = site
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    (tmp_path / "other").mkdir()
    torch.save({"other": True}, tmp_path / "other" / "epoch_1.pth")

    for _ in range(2):
        first = CheckpointLoader.load_checkpoint(f"{address}/epoch_1.pth")
        second = CheckpointLoader.load_checkpoint(f"{address}/other/epoch_1.pth")

    assert first["meta"] == {"epoch": 1}
    assert second == {"other": True}
    assert len(requests) == 2


def test_loader_raises_for_unknown_published_names(schemes: type[CheckpointLoader]) -> None:
    assert get_external_models() == {}
    assert get_mmcls_models() == {}
    for address in ("open-mmlab://resnet50", "mmcls://resnet50"):
        with pytest.raises(KeyError, match=r"no published weights .* no installed library"):
            schemes.load_checkpoint(address)


def test_loader_without_torchvision_raises_and_names_the_package() -> None:
    try:
        import torchvision  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match='pip install "torchvision"'):
            CheckpointLoader.load_checkpoint("torchvision://resnet18")
    else:
        with pytest.raises(KeyError, match="did you mean"):
            CheckpointLoader.load_checkpoint("torchvision://resnet1")


@pytest.mark.parametrize("name", ["weights.pth", "folder/weights.pth"])
def test_save_checkpoint_writes_what_load_reads(name: str, tmp_path: Path) -> None:
    content = {"state_dict": nn.Linear(2, 1).state_dict(), "meta": {"iter": 3}}

    save_checkpoint(content, str(tmp_path / name))

    loaded = CheckpointLoader.load_checkpoint(tmp_path / name)
    assert loaded["meta"] == {"iter": 3}
    assert torch.equal(loaded["state_dict"]["bias"], content["state_dict"]["bias"])


def test_save_checkpoint_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    save_checkpoint({"epoch": 1}, path)

    with pytest.raises(Exception, match=r"pickle|lambda"):
        save_checkpoint({"epoch": lambda: None}, path)

    assert CheckpointLoader.load_checkpoint(path) == {"epoch": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["weights.pth"]


def test_save_checkpoint_takes_the_old_name_of_backend_args(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"

    with pytest.warns(DeprecationWarning, match="backend_args"):
        save_checkpoint({}, path, file_client_args={"backend": "local"})
    with pytest.raises(ValueError, match="give one"):
        save_checkpoint({}, path, {"backend": "local"}, {"backend": "local"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_checkpoint({}, path, backend_args={"backend": "local"})


def test_save_checkpoint_in_safetensors_round_trips(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    path = tmp_path / "model.safetensors"

    meta = {"epoch": 2, "name": "m", "dataset_meta": {"classes": ["a"]}, "score": None}
    save_checkpoint({"state_dict": model.state_dict(), "meta": meta}, path)

    target = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    loaded = load_checkpoint(target, path, strict=True)
    assert torch.equal(target.state_dict()["1.weight"], model.state_dict()["0.weight"])
    assert loaded["meta"] == meta
    state: Any = model.state_dict()
    assert loaded["state_dict"]._metadata == state._metadata
    first = path.read_bytes()
    for _ in range(4):  # the library orders the metadata by chance, which would change a hash
        save_checkpoint({"state_dict": model.state_dict(), "meta": meta}, path)
        assert path.read_bytes() == first


def test_save_checkpoint_in_safetensors_raises_for_values_it_cannot_store(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    weights = nn.Linear(1, 1).state_dict()
    path = tmp_path / "model.safetensors"

    with pytest.raises(ValueError, match=r"not optimizer, epoch; .* \.pth"):
        save_checkpoint({"state_dict": weights, "meta": {}, "optimizer": {}, "epoch": 3}, path)
    with pytest.raises(ValueError, match="not extra"):
        save_checkpoint({**weights, "extra": {"a": 1}}, path)
    with pytest.raises(TypeError, match="meta has 'seen', a set"):
        save_checkpoint({"state_dict": weights, "meta": {"seen": {1}}}, path)

    assert list(tmp_path.iterdir()) == []


def test_loader_passes_weights_only_to_loaders_that_take_it(
    schemes: type[CheckpointLoader],
) -> None:
    class Loader:
        def __call__(self, filename: str, map_location: Any, weights_only: bool) -> bool:
            return weights_only

    def with_a_variable(filename: str, map_location: Any) -> str:
        weights_only = f"{filename} has a variable of this name"
        return weights_only.upper()

    schemes.register_scheme("object://", Loader())
    schemes.register_scheme("rest://", lambda filename, **options: options)
    schemes.register_scheme("variable://", with_a_variable)

    assert schemes.load_checkpoint("object://", weights_only=False) is False
    assert schemes.load_checkpoint("rest://") == {"map_location": None, "weights_only": True}
    assert schemes.load_checkpoint("variable://") == "VARIABLE:// HAS A VARIABLE OF THIS NAME"


def test_load_checkpoint_without_a_model_raises_and_names_the_reader(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"got str; to read .* CheckpointLoader"):
        load_checkpoint("weights.pth", nn.Linear(1, 1))  # type: ignore[arg-type]  # wrong on purpose


def test_loader_raises_and_names_the_address_that_it_cannot_download(
    site: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    with pytest.raises(ConnectionError, match=r"cannot download .*gone\.pth: .*404"):
        CheckpointLoader.load_checkpoint(f"{site[0]}/gone.pth")
