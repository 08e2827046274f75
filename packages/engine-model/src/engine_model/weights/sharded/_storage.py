"""Write and read the shards of a checkpoint in any storage of engine-fileio.

The classes are those that `torch.distributed.checkpoint` calls. Its own ones write to a local disk.
The files have its layout, so its tools read them.
"""

import dataclasses
import json
import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from io import BytesIO
from typing import IO, Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta
from torch.distributed.checkpoint.planner import (
    LoadItemType,
    LoadPlan,
    LoadPlanner,
    ReadItem,
    SavePlan,
    SavePlanner,
    WriteItem,
)
from torch.distributed.checkpoint.storage import StorageReader, StorageWriter, WriteResult
from torch.futures import Future

from engine_model.weights._errors import CheckpointError
from engine_model.weights.sharded._folder import (
    MANIFEST,
    VERSION,
    Folder,
    HashedFile,
    check_file,
    is_own_file,
    summary,
)
from engine_model.weights.sharded._metadata import read_metadata

_METADATA = ".metadata"  # where the tools of torch look for it


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """Where an item is, and the file that it is in."""

    info: _StorageInfo
    file: dict[str, Any]  # its size and checksum


class FolderWriter(StorageWriter):
    """Write each rank's items to one file, then the metadata, and the manifest last.

    The names of the files are new in each save. A folder of an earlier save stays readable until
    the manifest is replaced, and its files are deleted after that.

    Args:
        folder: The folder.
        facts: Further entries of the manifest.
    """

    def __init__(self, folder: Folder, facts: Mapping[str, Any]) -> None:
        self.folder = folder
        self.facts = facts
        self._token = ""
        self._written: list[str] = []

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Begin a save."""
        self._token, self._written = "", []

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the first file creates the folder."""

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """Return the plan."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """Return the plans of all ranks, each with the name of its file."""
        self._token = os.urandom(4).hex()
        return [
            dataclasses.replace(plan, storage_data=f"{self._token}_{rank}.distcp")
            for rank, plan in enumerate(plans)
        ]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Write the items of this rank; a rank without items writes no file."""
        future: Future[list[WriteResult]] = Future()
        name: str = plan.storage_data
        places: list[tuple[WriteItem, _StorageInfo]] = []

        def fill(file: HashedFile) -> None:
            for item in plan.items:
                offset = file.size
                _write_item(planner.resolve_data(item), file)
                places.append((item, _StorageInfo(name, offset, file.size - offset)))

        if plan.items:
            self._written.append(name)
            stored = self.folder.write(name, fill)
            results = [
                WriteResult(item.index, info.length, _Stored(info=info, file=stored))
                for item, info in places
            ]
        else:
            results = []
        future.set_result(results)
        return future

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Write the metadata and the manifest, and delete the files of an earlier save."""
        stored = [result for of_rank in results for result in of_rank]
        metadata.storage_data = {result.index: result.storage_data.info for result in stored}
        metadata.storage_meta = StorageMeta()
        data = pickle.dumps(metadata)
        files = {item.storage_data.info.relative_path: item.storage_data.file for item in stored}
        name = f"{self._token}{_METADATA}"
        self._written.append(name)
        # Two copies: an earlier save keeps its own until the manifest names this one.
        files[name] = self.folder.write(name, lambda file: _write(data, file))
        self.folder.write(_METADATA, lambda file: _write(data, file))
        manifest = {
            "version": VERSION,
            "file": self.folder.path.rstrip("/").rpartition("/")[2],
            "format": "dcp",
            **summary(files),
            **self.facts,
            "metadata": name,
            "files": files,
        }
        text = json.dumps(manifest, indent=2).encode()
        self.folder.write(MANIFEST, lambda file: _write(text, file))
        kept = {MANIFEST, _METADATA, *files}
        with suppress(OSError):  # the checkpoint is complete; some storages have no lists
            names = self.folder.names()
            self.folder.remove(name for name in names if name not in kept and is_own_file(name))

    def discard(self) -> None:
        """Delete what this rank has written, after an error or an interrupt of the save.

        One that came after the manifest was replaced leaves a complete checkpoint, which stays.
        """
        try:
            named = self.folder.manifest()["files"]
        except FileNotFoundError:
            named = {}
        except (CheckpointError, OSError):  # it may name the files; the next save deletes them
            return
        self.folder.remove(name for name in self._written if name not in named)

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Return True: the storage is checked when it is opened."""
        return True


def _write(data: bytes, file: HashedFile) -> None:
    file.write(data)


def _write_item(value: Tensor | BytesIO, file: HashedFile) -> None:
    if isinstance(value, BytesIO):
        file.write(value.getbuffer())
        return
    tensor = value.detach().cpu()
    # torch.save writes the whole memory that a view is part of.
    if tensor.untyped_storage().nbytes() != tensor.numel() * tensor.element_size():
        tensor = tensor.clone()
    torch.save(tensor, file)  # type: ignore[arg-type]  # it calls write and flush only


class FolderReader(StorageReader):
    """Read the items that a rank needs, from the files that have them; each is checked first.

    The plain values of a checkpoint are read first, and then its tensors, some of them from the
    same file. The copy of that file stays until `close`, if it is of another storage.

    Args:
        folder: The folder.

    Attributes:
        manifest: The manifest that it was opened with.

    Raises:
        CheckpointError: The manifest is damaged.
        FileNotFoundError: There is no manifest.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._checked: set[str] = set()
        self.manifest = folder.manifest()
        self._files: dict[str, Any] = self.manifest["files"]
        self._kept: dict[str, IO[bytes]] = {}
        self._copies = ExitStack()

    def close(self) -> None:
        """Delete the copies of files."""
        self._kept.clear()
        self._copies.close()

    @cached_property
    def _metadata(self) -> Metadata:
        name = self.manifest["metadata"]
        with self._open(name) as file:
            return read_metadata(file, self.folder.join(name))

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Do nothing: the folder is given at construction."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Return the metadata."""
        return self._metadata

    def set_up_storage_reader(
        self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any
    ) -> None:
        """Do nothing: the metadata is read when it is needed."""

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """Return the plan."""
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """Return the plans."""
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Read the items of a plan, file by file.

        Raises:
            CheckpointError: A file is damaged, or has other items than the metadata names.
        """
        per_file: dict[str, list[ReadItem]] = {}
        for item in plan.items:
            info = self._info(item)
            per_file.setdefault(info.relative_path, []).append(item)
        for name, items in per_file.items():
            has_values = any(item.type is LoadItemType.BYTE_IO for item in items)
            with self._open(name, keep=has_values and not self.folder.is_local) as file:
                for item in sorted(items, key=lambda item: self._info(item).offset):
                    info = self._info(item)
                    file.seek(info.offset)
                    _read_item(item, BytesIO(file.read(info.length)), planner)
        future: Future[None] = Future()
        future.set_result(None)
        return future

    def _info(self, item: ReadItem) -> _StorageInfo:
        try:
            info: _StorageInfo = self._metadata.storage_data[item.storage_index]
        except KeyError as error:
            raise CheckpointError(
                f"{self.folder.path} is damaged: it lacks a part of {item.storage_index.fqn}"
            ) from error
        return info

    @contextmanager
    def _open(self, name: str, *, keep: bool = False) -> Iterator[IO[bytes]]:
        """Open a file that has the size and checksum of the manifest, and perhaps keep it open."""
        if name not in self._files:
            raise CheckpointError(f"{self.folder.path} is damaged: its manifest has no {name}")
        if name in self._kept:
            yield self._kept[name]
            return
        try:
            with ExitStack() as opened:
                file = opened.enter_context(self.folder.open(name))
                # Each copy from another storage is compared, and a local file once.
                if name not in self._checked or not self.folder.is_local:
                    check_file(file, self.folder.join(name), self._files[name])
                    self._checked.add(name)
                if keep:
                    self._kept[name] = file
                    self._copies.enter_context(opened.pop_all())
                yield file
        except FileNotFoundError as error:
            raise CheckpointError(
                f"{self.folder.path} is damaged: {name} is missing; use another copy or checkpoint"
            ) from error

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Return True: the storage is checked when it is opened."""
        return True


def _read_item(item: ReadItem, data: BytesIO, planner: LoadPlanner) -> None:
    if item.type is LoadItemType.BYTE_IO:
        planner.load_bytes(item, data)
        return
    found: Tensor = torch.load(data, map_location="cpu", weights_only=True)
    for axis, (start, length) in enumerate(zip(item.storage_offsets, item.lengths, strict=True)):
        found = found.narrow(axis, start, length)
    target = planner.resolve_tensor(item).detach()
    target.copy_(found)
    planner.commit_tensor(item, target)
