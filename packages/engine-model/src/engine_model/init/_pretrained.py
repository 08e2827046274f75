"""Initialize a module with the weights of a checkpoint."""

import logging

from torch import nn

from engine_model.init._record import is_recording, update_init_info
from engine_model.weights import (
    load_checkpoint,
    load_checkpoint_with_prefix,
    load_state_dict,
    naming_the_checkpoint,
)
from engine_model.weights._read import MapLocation
from engine_registry import WEIGHT_INITIALIZERS

logger = logging.getLogger("engine.model")


@WEIGHT_INITIALIZERS.register_module(name="Pretrained")
class PretrainedInit:
    """Load the weights of a checkpoint.

    `BaseModule.init_weights` runs it after all other initializers, so nothing overwrites the loaded
    weights. Names and shapes that do not fit are logged as a warning. If no weight fits, loading
    raises a `StateDictError`.

    Args:
        checkpoint: The path or address of the checkpoint; see `CheckpointLoader`.
        prefix: The part of the saved model to load, such as ``"backbone."``.
        map_location: The device of the loaded tensors, before they are copied into the module.

    Example:
        >>> import tempfile
        >>> import torch
        >>> from pathlib import Path
        >>> path = Path(tempfile.mkdtemp(), "weights.pth")
        >>> torch.save({"backbone.weight": torch.tensor([[3.0]])}, path)
        >>> linear = nn.Linear(1, 1, bias=False)
        >>> PretrainedInit(str(path), prefix="backbone.")(linear)
        >>> linear.weight.item()
        3.0
    """

    def __init__(
        self,
        checkpoint: str,
        prefix: str | None = None,
        map_location: MapLocation = "cpu",
    ) -> None:
        self.checkpoint = checkpoint
        self.prefix = prefix
        self.map_location = map_location

    def __call__(self, module: nn.Module) -> None:
        """Load the weights into ``module``."""
        if self.prefix is None:
            logger.info("load model from: %s", self.checkpoint)
            load_checkpoint(module, self.checkpoint, map_location=self.map_location, logger=logger)
        else:
            logger.info("load %s in model from: %s", self.prefix, self.checkpoint)
            weights = load_checkpoint_with_prefix(
                self.checkpoint, self.prefix, map_location=self.map_location
            )
            with naming_the_checkpoint(self.checkpoint):
                load_state_dict(module, weights, logger=logger)
        if is_recording(module):
            update_init_info(module, self._get_init_info())

    def describe(self) -> str:
        """Return the line that the init log shows for this initializer."""
        return f"{type(self).__name__}: load from {self.checkpoint}"

    def _get_init_info(self) -> str:
        return self.describe()  # by this name for subclasses
