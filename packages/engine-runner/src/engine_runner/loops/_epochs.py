"""Train by epochs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine_dataset import InfiniteSampler
from engine_registry import LOOPS
from engine_runner._errors import SettingsError
from engine_runner._integer import integer
from engine_runner._protocols import Run
from engine_runner._types import Batch, Model
from engine_runner.loops._base import TrainLoop

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


@LOOPS.register_module()
class EpochBasedTrainLoop(TrainLoop):
    """Train for a number of epochs.

    Args:
        runner: The run.
        dataloader: The training data, or its config.
        max_epochs: Epochs to train in all.
        val_begin: The epoch from which to validate, from 1.
        val_interval: Epochs from one validation to the next; the last epoch is always validated.
        dynamic_intervals: ``(epoch, interval)`` pairs that change ``val_interval`` on the way.

    Raises:
        ValueError: ``max_epochs`` is not an integer >= 0, or an interval is not positive.
        SettingsError: The data has no end.

    Example:
        >>> EpochBasedTrainLoop(None, [0, 1, 2], max_epochs=2).max_iters
        6
    """

    def __init__(
        self,
        runner: Run,
        dataloader: "DataLoader[Any] | Mapping[str, Any]",
        max_epochs: int,
        val_begin: int = 1,
        val_interval: int = 1,
        dynamic_intervals: list[tuple[int, int]] | None = None,
    ) -> None:
        super().__init__(runner, dataloader, val_begin, val_interval, dynamic_intervals)
        if isinstance(getattr(self.dataloader, "sampler", None), InfiniteSampler):
            raise SettingsError(
                "an epoch of InfiniteSampler never ends: train with by_epoch=False and max_iters, "
                "or use DefaultSampler"
            )
        self._max_epochs = integer("max_epochs", max_epochs, at_least=0)
        self._max_iters = self._max_epochs * len(self.dataloader)

    @property
    def max_epochs(self) -> int:
        """Epochs to train in all."""
        return self._max_epochs

    @property
    def max_iters(self) -> int:
        """Iterations to train in all."""
        return self._max_iters

    def continue_from_progress(self) -> None:
        """Count from a resumed run whose epochs had another length.

        The length differs where the batch size or the number of ranks has changed.
        """
        size = len(self.dataloader)
        # With the same length, ``iter`` equals the batches of all epochs so far. Otherwise the
        # total is that of the past iterations and of the batches that are left.
        done = self.epoch * size + self._consumed_of_this_epoch()
        if self.iter != done:
            self._max_iters = self.iter + self._max_epochs * size - done

    def _consumed_of_this_epoch(self) -> int:
        """Return the batches of the epoch that a resumed data loader skips."""
        sampler = getattr(self.dataloader, "sampler", None)
        # A checkpoint at the end of an epoch has the position of that epoch, and the counter of
        # the next one: its batches are counted already.
        if getattr(sampler, "epoch", self.epoch) != self.epoch:
            return 0
        return int(getattr(self.dataloader, "batches_consumed", 0))

    def run(self) -> Model:
        """Train, and return the model.

        The points at which hooks act::

            before_train
                before_train_epoch
                    before_train_iter
                    after_train_iter
                after_train_epoch
                (validation)
            after_train
        """
        runner = self._runner
        runner.call_hook("before_train")
        self._make_up_for_validation(self.epoch, self._max_epochs)
        while self.epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate_if_due(self.epoch, self._max_epochs)
        runner.call_hook("after_train")
        return runner.model

    def run_epoch(self) -> None:
        """Train on each batch once; a resumed epoch continues at its next batch."""
        runner = self._runner
        runner.call_hook("before_train_epoch")
        runner.model.train()
        runner.optim_wrapper.train()
        # A loader saved after its last batch has consumed all of them, and starts at 0 again.
        start = getattr(self.dataloader, "batches_consumed", 0)
        for idx, data_batch in enumerate(self.dataloader, start % max(1, len(self.dataloader))):
            self.run_iter(idx, data_batch)
        runner.call_hook("after_train_epoch")
        runner.progress.epoch += 1

    def run_iter(self, idx: int, data_batch: Batch) -> None:
        """Train on one batch: forward, backward, update.

        Args:
            idx: Index of the batch in the epoch, from 0.
            data_batch: The batch as the data loader yields it.
        """
        runner = self._runner
        runner.call_hook("before_train_iter", batch_idx=idx, data_batch=data_batch)
        outputs = runner.model.train_step(data_batch, optim_wrapper=runner.optim_wrapper)
        runner.call_hook("after_train_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs)
        # After the hooks, as documented: in them ``runner.iter`` is the index of this iteration.
        runner.progress.iter += 1
