"""Download weights and load them without running code from the file."""

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

from engine_utils._paths import expand_home
from engine_utils.dl_utils._download import download_file

# The convention of torch.hub: name-<start of the SHA-256>.ext
_HASHED_NAME = re.compile(r"-([a-f0-9]{8,})\.")


class Inert:
    """Hold the data of an object whose class a downloaded file names; the class is not imported.

    Attributes:
        arguments: The arguments that the class would have been called with.
        state: The state that the object would have been restored with.
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
    """Download a file that torch saved, unless it exists already, and load it.

    Code in the file is never run. Tensors and plain values are loaded. Objects of other classes
    become inert placeholders. A zip file that contains one such file is unpacked.

    Args:
        url: The URL of the file.
        model_dir: The folder to save it in; by default ``checkpoints`` in ``torch.hub.get_dir()``.
        map_location: Where tensors are placed, as in ``torch.load``.
        progress: Show a progress bar on the standard error.
        check_hash: Compare the content with the hash in the name, such as
            ``resnet18-5c106cde.pth``: at least eight digits of the SHA-256.
        file_name: The name to save it under; by default the last part of the URL.
        weights_only: Raise an error for objects of other classes instead of replacing them.

    Returns:
        The content of the file, usually a state dict.

    Raises:
        ValueError: ``check_hash`` is set but the name has no hash, or the URL has no file name.
        ConnectionError: The file cannot be downloaded.
        RuntimeError: The content has another hash, or a zip file holds several files.
        pickle.UnpicklingError: The file was not saved by torch, would call functions of the
            system, or holds objects of other classes although ``weights_only`` is set.
    """
    name = file_name or os.path.basename(urlparse(url).path)
    if not name:
        raise ValueError(f"url must end with the name of a file, got {url!r}; pass file_name")
    folder = (
        Path(expand_home(model_dir))
        if model_dir is not None
        else Path(hub.get_dir()) / "checkpoints"
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    prefix = _hash_of(path.name) if check_hash else None
    if not path.exists():
        download_file(url, path, hash_prefix=prefix, progress=progress)
    elif prefix is not None:
        _check_kept(path, prefix)
    if zipfile.is_zipfile(path) and (inner := _sole_member(path)) is not None:
        path = inner
    try:
        return _load(path, map_location, strict=weights_only)
    except Exception as error:  # an arbitrary file may raise any error in the reader
        raise pickle.UnpicklingError(
            f"cannot load {path}, downloaded from {url}; delete it to download it again. "
            f"{type(error).__name__}: {error}"
        ) from error


def _hash_of(name: str) -> str:
    match = _HASHED_NAME.search(name)
    if match is None:
        raise ValueError(
            f"the file name must have a hash for check_hash, as model-5c106cde.pth, got {name!r}"
        )
    return match.group(1)


def _check_kept(path: Path, prefix: str) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(prefix):
        raise RuntimeError(
            f"the SHA-256 of {path} must begin with {prefix}, got {digest[: len(prefix)]}; "
            "delete the file to download it again"
        )


def _sole_member(path: Path) -> Path | None:
    """Unpack a zip file that contains one file; return None if the zip file is a checkpoint."""
    with zipfile.ZipFile(path) as archive:
        members = archive.namelist()
        if any(member.endswith("data.pkl") for member in members):
            return None
        if len(members) != 1:
            raise RuntimeError(f"{path} must hold exactly one file, got {len(members)}")
        # Into a separate folder, so that the unpacked file cannot replace another download.
        return Path(archive.extract(members[0], path.with_name(f"{path.name}.unpacked")))


def _load(path: Path, map_location: Any, *, strict: bool) -> Any:
    # Files of torch before 1.6 are not zip files, and their classes cannot be listed beforehand.
    if strict or not zipfile.is_zipfile(path):
        return torch.load(path, map_location=map_location, weights_only=True)
    foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    # torch.load calls the classes that a file names, so each name is mapped to an inert class.
    stand_ins: list[Any] = [(type(name.rsplit(".")[-1], (Inert,), {}), name) for name in foreign]
    with torch.serialization.safe_globals(stand_ins):
        return torch.load(path, map_location=map_location, weights_only=True)
