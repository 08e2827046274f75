"""Release unused memory of the accelerator."""

import torch

from engine_registry import HOOKS
from engine_runner._hook import Hook
from engine_runner._protocols import Run
from engine_runner._types import Batch, Outputs


@HOOKS.register_module()
class EmptyCacheHook(Hook):
    """Release the memory that PyTorch has cached on the accelerator and does not use.

    Other processes may then use it. A training does not get faster: PyTorch requests the memory
    again. Without an accelerator nothing happens.

    Args:
        before_epoch: Release it before each epoch of training, validation and test.
        after_epoch: Release it after each of them.
        after_iter: Release it after each iteration, which waits for the device.

    Raises:
        ValueError: No argument is true, so that the hook never acts.

    Example:
        >>> EmptyCacheHook(after_epoch=False, after_iter=True).get_triggered_stages()
        ['after_train_iter', 'after_val_iter', 'after_test_iter']
    """

    priority = "NORMAL"

    def __init__(
        self, before_epoch: bool = False, after_epoch: bool = True, after_iter: bool = False
    ) -> None:
        if not (before_epoch or after_epoch or after_iter):
            raise ValueError(
                "one of before_epoch, after_epoch and after_iter must be True, got False for all "
                "of them; or remove EmptyCacheHook"
            )
        self._times = {
            "_before_epoch": before_epoch,
            "_after_epoch": after_epoch,
            "_after_iter": after_iter,
        }

    def _overrides(self, method: str) -> bool:
        # A point that is not chosen costs nothing.
        return self._times.get(method, True) and super()._overrides(method)

    def _before_epoch(self, runner: Run, mode: str = "train") -> None:
        _empty()

    def _after_epoch(self, runner: Run, mode: str = "train") -> None:
        _empty()

    def _after_iter(
        self,
        runner: Run,
        batch_idx: int,
        data_batch: Batch = None,
        outputs: Outputs = None,
        mode: str = "train",
    ) -> None:
        _empty()


def _empty() -> None:
    # `torch.accelerator.memory` is newer than the oldest PyTorch that Engine runs on.
    for device in (torch.cuda, torch.xpu):
        if device.is_available():
            device.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
