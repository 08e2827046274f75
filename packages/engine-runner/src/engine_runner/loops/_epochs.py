"""Train by epochs."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from engine_registry import LOOPS
from engine_runner._errors import SettingsError
from engine_runner._integer import integer
from engine_runner._loaders import is_endless, length_of, set_sampler_epoch
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
        val_interval: Epochs from one validation to the next; the last epoch is validated, too.
        dynamic_intervals: ``(epoch, interval)`` pairs that change ``val_interval`` on the way.
        epoch_length: The number of batches per epoch of data that has no length, such as an
            `IterableDataset`. It determines ``max_iters``, which schedules and the log use. Data
            that has more batches, or no end, continues in the next epoch. An epoch of data that
            ends before is logged.
        num_batch_per_epoch: The most batches of an epoch; all by default.
        val_before_train: Validate before the first epoch, too; a resumed run does not.
        val_at_end: Validate the last epoch whatever the interval.

    Raises:
        ValueError: ``max_epochs`` is not an integer >= 0, or an interval is not positive.
        SettingsError: The data has no end, ``epoch_length`` is given for data with a length, or an
            epoch has no batch.

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
        epoch_length: int | None = None,
        *,
        num_batch_per_epoch: int | None = None,
        val_before_train: bool = False,
        val_at_end: bool = True,
    ) -> None:
        super().__init__(
            runner,
            dataloader,
            val_begin,
            val_interval,
            dynamic_intervals,
            num_batch_per_epoch=num_batch_per_epoch,
            val_before_train=val_before_train,
            val_at_end=val_at_end,
        )
        if is_endless(self.dataloader) and (epoch_length is None or length_of(self.dataloader)):
            kind = type(getattr(self.dataloader, "sampler", None) or self.dataloader).__name__
            raise SettingsError(
                f"an epoch of {kind} never ends: train with by_epoch=False and max_iters, "
                "or use DefaultSampler, or set num_batch_per_epoch"
            )
        self._max_epochs = integer("max_epochs", max_epochs, at_least=0)
        if isinstance(self.dataloader, Iterator) and epoch_length is None and max_epochs > 1:
            raise SettingsError(
                f"train_dataloader must have batches for {max_epochs} epochs, got a "
                f"{type(self.dataloader).__name__}: an iterator cannot begin again, so its second "
                "epoch would be empty; give an iterable that can, such as a list or a DataLoader, "
                "or set epoch_length to divide the iterator into epochs"
            )
        self._epoch_length = self._length(epoch_length)
        self._max_iters: int | float = math.inf
        if self._epoch_length is not None:
            self._max_iters = self._max_epochs * self._epoch_length

    @property
    def max_epochs(self) -> int:
        """Epochs to train in all."""
        return self._max_epochs

    @property
    def max_iters(self) -> int | float:
        """Iterations to train in all; infinity for data without a length."""
        return self._max_iters

    @property
    def epoch_length(self) -> int | None:
        """The number of batches per epoch; None for data without a length."""
        return self._epoch_length

    def _length(self, declared: int | None) -> int | None:
        """Return the number of batches per epoch, or None if the data has no length."""
        known = length_of(self.dataloader)
        self._is_declared = known is None and declared is not None
        if declared is None:
            return known
        declared = integer("epoch_length", declared, at_least=1)
        # The check of a config has no data.
        if known is not None and known != declared and self._runner is not None:
            raise SettingsError(
                f"epoch_length must be left out for data with a length, got {declared}; the data "
                f"loader has {known} batches"
            )
        return declared

    @property
    def _cut(self) -> int | None:
        return self._epoch_length if self._is_declared else None

    def continue_from_progress(self) -> None:
        """Count from a resumed run whose epochs had another length.

        The length differs where the batch size or the number of ranks has changed.
        """
        size = self._epoch_length
        if size is None:
            return
        # With the same length, ``iter`` equals the batches of all epochs so far. Otherwise the
        # total is that of the past iterations and of the batches that are left.
        done = self.epoch * size + self._consumed_of_this_epoch()
        if self.iter != done:
            self._max_iters = self.iter + self._max_epochs * size - done

    def _consumed_of_this_epoch(self) -> int:
        """Return the batches of the epoch that a resumed data loader skips."""
        # A checkpoint at the end of an epoch has the position of that epoch, and the counter of
        # the next one: its batches are counted already. The loader then returns 0.
        set_sampler_epoch(self.dataloader, self.epoch)
        return int(getattr(self.position, "batches_consumed", 0))

    def run(self) -> Model:
        """Train, and return the model.

        The points at which hooks act::

            before_train
                (validation, with val_before_train)
                before_train_epoch
                    before_train_iter
                    after_train_iter
                after_train_epoch
                (validation)
            after_train
        """
        runner = self._runner
        runner.call_hook("before_train")
        if self._epoch_length is None:
            runner.logger.info(
                "train_dataloader has no length, and an epoch ends with the data; for data without "
                "an end, set epoch_length in train_cfg, or train with by_epoch=False"
            )
        self._validate_before_training()
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
        position: Any = self.position
        before = runner.progress.iter
        start: int = getattr(position, "batches_consumed", 0)
        for idx, data_batch in enumerate(position, start):
            if self._passes_over():
                before -= 1
                self._max_iters -= 1
            else:
                self.run_iter(idx, data_batch)
        trained = start + runner.progress.iter - before
        if trained == 0:
            raise self._no_batch()
        if self.epoch + 1 == self._max_epochs:
            self._finish_windows()  # of data without a length, whose last iteration is unknown
        runner.call_hook("after_train_epoch")
        runner.progress.epoch += 1
        # A resumed epoch may have batches of another size.
        is_cut = start == 0 and trained < (self._epoch_length or 0)
        if (self._is_declared and trained != self._epoch_length) or is_cut:
            name = "epoch_length" if self._is_declared else "the length of train_dataloader"
            runner.logger.warning(
                f"epoch {runner.progress.epoch} has {trained} batches, but {name} is "
                f"{self._epoch_length}; schedules and eta assume {name}"
            )

    def run_iter(self, idx: int, data_batch: Batch) -> None:
        """Train on one batch: forward, backward, update.

        Args:
            idx: Index of the batch in the epoch, from 0.
            data_batch: The batch as the data loader yields it.
        """
        runner = self._runner
        runner.call_hook("before_train_iter", batch_idx=idx, data_batch=data_batch)
        outputs = runner.model.train_step(data_batch, optim_wrapper=runner.optim_wrapper)
        if runner.progress.iter + 1 == self._max_iters:
            self._finish_windows()
        runner.call_hook("after_train_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs)
        # After the hooks, as documented: in them ``runner.iter`` is the index of this iteration.
        runner.progress.iter += 1
