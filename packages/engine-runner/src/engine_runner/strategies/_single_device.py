"""One process, one device."""

import logging

from torch import nn

from engine_dist import get_world_size
from engine_model import revert_sync_batchnorm
from engine_registry import STRATEGIES
from engine_runner._errors import SettingsError
from engine_runner.strategies._base import Strategy

_log = logging.getLogger("engine.runner")


@STRATEGIES.register_module()
class SingleDeviceStrategy(Strategy):
    """Train on the one device of this process; `Strategy` documents the arguments.

    Raises:
        SettingsError: There are several processes, which would train a model each.

    Example:
        >>> import torch
        >>> strategy = SingleDeviceStrategy(torch.device("cpu"))
        >>> strategy.prepare(nn.Linear(2, 1)).weight.device
        device(type='cpu')
    """

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model, with ordinary batch normalization in place of synchronized ones.

        `torch.nn.SyncBatchNorm` raises an error on a CPU, and one process has nothing to
        synchronize.
        """
        if get_world_size() > 1:
            raise SettingsError(
                "SingleDeviceStrategy is for one process, got "
                f"{get_world_size()}; use DDPStrategy or FSDPStrategy"
            )
        if any(isinstance(module, nn.SyncBatchNorm) for module in model.modules()):
            _log.info("SyncBatchNorm is replaced by BatchNorm, since this run has one process.")
            model = revert_sync_batchnorm(model)
        return model
