"""Publish checkpoints: copies with chosen keys, named with their checksum."""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from logging import Logger
from pathlib import PurePath
from typing import Any

from engine_dist import broadcast_object_list, is_main_process
from engine_fileio import join_path, put
from engine_model.weights import CheckpointError, CheckpointLoader, write_checkpoint
from engine_runner.checkpoint._manifest import Manifest, write_manifest
from engine_utils import did_you_mean

_PUBLISHED = re.compile(r"-[0-9a-f]{8}\.(pth|pt)$")


def is_published(name: str) -> bool:
    """Return whether `publish` may have written a file of this name.

    Example:
        >>> is_published("epoch_3-0a1b2c3d.pth"), is_published("epoch_3.pth")
        (True, False)
    """
    return _PUBLISHED.search(name) is not None


def published_keys(keys: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the keys that a user has set, which may be a single one.

    Raises:
        ValueError: There is none, or one is not a string.
    """
    if keys is None:
        return ()
    found = (keys,) if isinstance(keys, str) else tuple(keys) if isinstance(keys, Iterable) else ()
    if not found or not all(isinstance(key, str) and key for key in found):
        raise ValueError(
            "published_keys must be a key of the checkpoint or several, such as "
            f"['meta', 'state_dict'], got {keys!r}"
        )
    return found


def warn_of_missing_keys(
    keys: Sequence[str], checkpoint: Mapping[str, Any], logger: Logger
) -> None:
    """Warn of keys that are to be published and that a checkpoint does not have."""
    for key in keys:
        if key not in checkpoint:
            logger.warning(
                f"published_keys names {key!r}, which the checkpoint does not have"
                f"{did_you_mean(key, checkpoint)}; it has {', '.join(map(repr, checkpoint))}"
            )


def publish(
    folder: str,
    filename: str,
    keys: Sequence[str],
    *,
    backend_args: Mapping[str, Any] | None = None,
) -> tuple[str, str]:
    """Copy some keys of a checkpoint to a file beside it. All ranks must call this.

    The copy is named ``<checkpoint>-<hash>.pth``, with the first eight hex digits of its SHA-256,
    which `torch.hub.load_state_dict_from_url` compares. To publish a checkpoint again writes the
    same file.

    Args:
        folder: The folder of the checkpoint, in any storage of engine-fileio.
        filename: The name of the checkpoint.
        keys: The keys at the top level of the checkpoint to copy.
        backend_args: Arguments of the storage backend.

    Returns:
        The name of the copy, and why there is none; one of them is empty. Equal on all ranks.
    """
    result = [("", "")]
    if is_main_process():
        path = join_path(folder, filename, backend_args=backend_args)
        try:
            copy, buffer = _copy(path, keys, backend_args), io.BytesIO()
            write_checkpoint(copy, buffer)
            manifest = Manifest.of(copy, path, buffer)
            name = f"{PurePath(filename).stem}-{manifest.sha256[:8]}.pth"
            target = join_path(folder, name, backend_args=backend_args)
            put(buffer.getbuffer(), target, backend_args=dict(backend_args or {}) or None)
            write_manifest(target, replace(manifest, file=name), backend_args)
            result[0] = (name, "")
        # Whatever is wrong with the storage or the file: the other ranks wait for this one.
        except (OSError, CheckpointError, RuntimeError, ValueError, ImportError) as error:
            result[0] = ("", str(error))
    broadcast_object_list(result)
    return result[0]


def _copy(path: str, keys: Sequence[str], backend_args: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return some keys of a checkpoint.

    Raises:
        CheckpointError: The checkpoint is missing or damaged, or has none of the keys.
    """
    checkpoint = CheckpointLoader.load_checkpoint(
        path, map_location="cpu", backend_args=backend_args
    )
    # The rest is freed before the copy is made: the optimizer is larger than the weights.
    copy = {key: value for key, value in checkpoint.items() if key in keys}
    if not copy:
        raise CheckpointError(f"{path} has none of the keys {', '.join(map(repr, keys))}")
    return copy
