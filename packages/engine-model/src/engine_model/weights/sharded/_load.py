"""Read a checkpoint that is a folder of shards."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine_model.weights._errors import CheckpointError
from engine_model.weights._read import MapLocation, placed
from engine_model.weights.sharded._folder import Folder
from engine_model.weights.sharded._placement import Placement
from engine_model.weights.sharded._split import join, placeholders

# The keys of a checkpoint whose tensors are weights, or have the shapes of weights.
_OF_WEIGHTS = ("state_dict", "ema_state_dict", "optimizer")


def read_sharded(
    path: str | Path,
    map_location: MapLocation = None,
    *,
    weights_only: bool = True,
    placement: Placement | None = None,
    backend_args: Mapping[str, Any] | None = None,
) -> Any:
    """Read a sharded checkpoint; each file that is needed is compared with the manifest.

    The ranks call this or one process does: nothing is exchanged.

    Args:
        path: The path or address of the folder.
        map_location: The devices of whole tensors, as in `torch.load`.
        weights_only: Whether to replace unknown objects by inert ones; see `read_checkpoint`.
        placement: How the model is sharded. Weights and states of the optimizer are then sharded
            in the same way, and each rank reads its shards alone. Without it, tensors are whole.
        backend_args: Arguments of the storage backend.

    Returns:
        The checkpoint.

    Raises:
        CheckpointError: The folder is damaged.
        FileNotFoundError: There is no such folder, or its save was not completed.
    """
    # Imported here, as torch.distributed.checkpoint takes a second.
    from engine_model.weights.sharded._storage import FolderReader

    folder = Folder(path, backend_args)
    while True:
        reader = FolderReader(folder)
        try:
            with closing(reader):
                return _checkpoint(reader, map_location, weights_only, placement)
        except CheckpointError:
            # A save may have replaced the checkpoint meanwhile, and deleted the earlier files.
            if folder.manifest() == reader.manifest:
                raise


def _checkpoint(
    reader: Any, map_location: MapLocation, weights_only: bool, placement: Placement | None
) -> Any:
    """Return the checkpoint that a reader has opened."""
    from engine_model.weights.sharded._plan import VALUES

    try:
        values = _read(reader, {VALUES: None}, weights_only)[VALUES]
        sharded = set(values["sharded"])
        targets: dict[str, Tensor] = {}
        for key, (where, like) in placeholders(values["checkpoint"]).items():
            spread = placement is not None and like.dim() > 0
            if spread and (key in sharded or where[0] in _OF_WEIGHTS):
                targets[key] = placement.empty(like)  # type: ignore[union-attr]  # not None
            else:
                targets[key] = torch.empty(like.shape, dtype=like.dtype)
        tensors = {
            key: tensor if hasattr(tensor, "full_tensor") else placed(tensor, map_location)
            for key, tensor in _read(reader, targets, weights_only).items()
        }
        return join(values["checkpoint"], tensors)
    except (CheckpointError, OSError):
        raise
    except Exception as error:  # a folder of another program may make the reader raise any error
        raise CheckpointError(
            f"{reader.folder.path} cannot be read: {type(error).__name__}: {error}"
        ) from error


def _read(reader: Any, state: dict[str, Any], weights_only: bool) -> dict[str, Any]:
    """Return the state with its tensors filled, and its values read."""
    from engine_model.weights.sharded._plan import LoadPlanner

    # The steps of `torch.distributed.checkpoint.load`, without its warning that no other rank
    # takes part.
    planner = LoadPlanner(weights_only=weights_only)
    planner.set_up_planner(state, reader.read_metadata(), True)
    plan = planner.create_local_plan()
    reader.read_data(planner.finish_plan(planner.create_global_plan([plan])[0]), planner)
    found: dict[str, Any] = planner.state_dict
    return found
