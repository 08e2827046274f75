"""Read the metadata of `torch.distributed.checkpoint` without running code from the file."""

import pickle
from typing import IO, Any

import torch
from torch.distributed.checkpoint import metadata as torch_metadata
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import Metadata

from engine_model.weights._errors import CheckpointError

_NAMES = (
    "BytesStorageMetadata",
    "ChunkStorageMetadata",
    "Metadata",
    "MetadataIndex",
    "StorageMeta",
    "TensorProperties",
    "TensorStorageMetadata",
    "_MEM_FORMAT_ENCODING",
)
_ALLOWED: dict[tuple[str, str], Any] = {
    **{(torch_metadata.__name__, name): getattr(torch_metadata, name) for name in _NAMES},
    (_StorageInfo.__module__, "_StorageInfo"): _StorageInfo,
    ("torch", "Size"): torch.Size,
    ("torch.serialization", "_get_layout"): torch.serialization._get_layout,
}


class _Unpickler(pickle.Unpickler):
    """Unpickle the classes of the metadata alone."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class of the metadata, or a data type.

        Raises:
            UnpicklingError: The file names another one.
        """
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        item = vars(torch).get(name) if module == "torch" else None
        if isinstance(item, torch.dtype | torch.layout):
            return item
        raise pickle.UnpicklingError(f"it names {module}.{name}, which metadata never does")


def read_metadata(file: IO[bytes], name: str) -> Metadata:
    """Return the metadata in a file.

    Args:
        file: The file.
        name: Its path, for the message.

    Raises:
        CheckpointError: It has other content.
    """
    try:
        metadata = _Unpickler(file).load()
    except Exception as error:  # a damaged file may make the reader raise any error
        raise CheckpointError(
            f"{name} cannot be read: {type(error).__name__}: {error}; use another copy or "
            "checkpoint"
        ) from error
    if not isinstance(metadata, Metadata):
        raise CheckpointError(f"{name} is not metadata, but {type(metadata).__name__}")
    return metadata
