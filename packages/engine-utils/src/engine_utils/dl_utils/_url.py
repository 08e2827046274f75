"""Weights from the network, loaded without running what they carry."""

import hashlib
import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import hub

_HASHED_NAME = re.compile(r"-([a-f0-9]{8,})\.")  # torch.hub's: name-<start of the SHA-256>.ext


class Inert:
    """Stands for an object of a class that a downloaded file names; it holds data and does nothing.

    Attributes:
        arguments: What the class would have been called with.
        state: What its object would have been filled with.
    """

    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> "Inert":
        made = super().__new__(cls)
        made.arguments, made.state = arguments, None
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state


def load_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = False,
) -> Any:
    """Download a file that torch saved, unless it is there already, and load it.

    No code of the file is ever run: tensors and plain values load as they are, objects of other
    classes as inert stand-ins. A zip file that holds one such file is unpacked.

    Args:
        url: Where it is.
        model_dir: Where to keep it; ``checkpoints`` in `torch.hub.get_dir` by default.
        map_location: Where tensors go, as in `torch.load`.
        progress: Whether to show a progress bar on the standard error.
        check_hash: Whether to hold the content against the hash in the name, such as
            ``resnet18-5c106cde.pth``: at least eight digits of the SHA-256.
        file_name: The name to keep it under; by default the last part of the URL.
        weights_only: Whether to refuse objects of other classes instead of standing in for them.

    Returns:
        What the file holds, usually a state dict.

    Raises:
        ValueError: `check_hash` is set, but the name holds no hash; or the URL names no file.
        ConnectionError: The file cannot be downloaded.
        RuntimeError: The content has another hash, or a zip file holds several files.
        pickle.UnpicklingError: torch did not save the file, it would call functions of the system,
            or `weights_only` is set and it holds objects of other classes.
    """
    name = file_name or os.path.basename(urlparse(url).path)
    if not name:
        raise ValueError(f"the URL {url!r} ends without the name of a file: give file_name")
    folder = Path(model_dir) if model_dir is not None else Path(hub.get_dir()) / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    prefix = _hash_of(path.name) if check_hash else None
    if not path.exists():
        _download(url, path, prefix, progress=progress)
    elif prefix is not None:
        _check_kept(path, prefix)
    if zipfile.is_zipfile(path) and (inner := _sole_member(path)) is not None:
        path = inner
    try:
        return _load(path, map_location, strict=weights_only)
    except Exception as error:  # a file of any kind may make the reader fail in any way
        raise pickle.UnpicklingError(
            f"{path}, which came from {url}, was not loaded; delete it to download it again. "
            f"{type(error).__name__}: {error}"
        ) from error


def _download(url: str, path: Path, prefix: str | None, *, progress: bool) -> None:
    try:
        hub.download_url_to_file(url, str(path), prefix, progress=progress)
    except OSError as error:
        raise ConnectionError(
            f"{url} cannot be downloaded: {error}. Where there is no network, put the file at "
            f"{path}"
        ) from error


def _hash_of(name: str) -> str:
    match = _HASHED_NAME.search(name)
    if match is None:
        raise ValueError(f"check_hash wants a name like model-5c106cde.pth, but it is {name!r}")
    return match.group(1)


def _check_kept(path: Path, prefix: str) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(prefix):
        raise RuntimeError(
            f"{path} has the SHA-256 {digest[: len(prefix)]}…, not the one in its name: delete it "
            "to download it again"
        )


def _sole_member(path: Path) -> Path | None:
    """Unpack a zip file around a checkpoint; None for a checkpoint, which is a zip file too."""
    with zipfile.ZipFile(path) as archive:
        members = archive.namelist()
        if any(member.endswith("data.pkl") for member in members):
            return None
        if len(members) != 1:
            raise RuntimeError(f"{path} must hold exactly one file, but holds {len(members)}")
        # A folder of its own: the file inside must not take the place of another download.
        return Path(archive.extract(members[0], path.with_name(f"{path.name}.unpacked")))


def _load(path: Path, map_location: Any, *, strict: bool) -> Any:
    # Files of torch before 1.6 are no zip files, and their classes cannot be listed beforehand.
    if strict or not zipfile.is_zipfile(path):
        return torch.load(path, map_location=map_location, weights_only=True)
    foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    stand_ins: list[Any] = [(type(name.rsplit(".")[-1], (Inert,), {}), name) for name in foreign]
    with torch.serialization.safe_globals(stand_ins):
        return torch.load(path, map_location=map_location, weights_only=True)
