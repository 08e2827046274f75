"""The functions by which libraries load checkpoints, under the names that they call."""

import logging
from pathlib import Path
from typing import Any

from torch import nn

from engine_model.weights._checkpoint import (
    KeyRules,
    load_checkpoint_with_prefix,
    revise_names,
    weights_in,
)
from engine_model.weights._loader import CheckpointLoader
from engine_model.weights._read import MapLocation
from engine_model.weights._state import load_state_dict


def _load_checkpoint(
    filename: str | Path,
    map_location: MapLocation = None,
    logger: logging.Logger | str | None = None,
    *,
    weights_only: bool = True,
) -> Any:
    """Return the checkpoint at a path or address, as `CheckpointLoader.load_checkpoint` does.

    Args:
        filename: A path or an address.
        map_location: The devices of the tensors, as in `torch.load`.
        logger: The logger of the path.
        weights_only: Whether to read plain data only and run no code; see `read_checkpoint`.

    Raises:
        CheckpointError: The file cannot be read.
        FileNotFoundError: There is no such file.
    """
    return CheckpointLoader.load_checkpoint(
        filename, map_location, logger, weights_only=weights_only
    )


def _load_checkpoint_with_prefix(
    prefix: str,
    filename: str | Path,
    map_location: MapLocation = None,
    *,
    weights_only: bool = True,
) -> dict[str, Any]:
    """Return the weights of one part of a saved model, by their names within that part.

    It is `load_checkpoint_with_prefix` with the prefix first.

    Args:
        prefix: The name of the part, such as ``"backbone"`` or ``"backbone."``.
        filename: A path or an address.
        map_location: The devices of the tensors, as in `torch.load`.
        weights_only: Whether to read plain data only and run no code; see `read_checkpoint`.

    Raises:
        CheckpointError: The checkpoint has no such part.
    """
    return load_checkpoint_with_prefix(filename, prefix, map_location, weights_only=weights_only)


def _load_checkpoint_to_model(
    model: nn.Module,
    checkpoint: dict[str, Any],
    strict: bool = False,
    logger: logging.Logger | str | None = None,
    revise_keys: KeyRules = [(r"^module\.", "")],  # noqa: B006  # documented; never changed
) -> dict[str, Any]:
    """Load the weights of a checkpoint that is read already, and return the checkpoint.

    Args:
        model: The model, or a wrapper of it.
        checkpoint: The checkpoint: its ``state_dict`` or ``model``, or a dict of weights.
        strict: Whether to raise an error if names or shapes differ.
        logger: The logger of a warning about weights that do not fit.
        revise_keys: The rules that rename the weights before they are loaded; see `revise_names`.

    Raises:
        CheckpointError: It has no weights.
        StateDictError: No weight fits, or ``strict`` is true and a name or shape does not fit.
    """
    load_state_dict(model, revise_names(weights_in(checkpoint), revise_keys), strict, logger)
    return checkpoint
