"""Train by iterations."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from engine_registry import LOOPS
from engine_runner._integer import integer
from engine_runner._protocols import Run
from engine_runner._types import Batch, Model
from engine_runner.loops._base import TrainLoop
from engine_runner.loops._endless import EndlessBatches

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


@LOOPS.register_module()
class IterBasedTrainLoop(TrainLoop):
    """Train for a number of iterations, over and over the data.

    To the hooks the whole training is one epoch; ``runner.epoch`` counts the passes over the data.

    Args:
        runner: The run.
        dataloader: The training data, or its config.
        max_iters: Iterations to train in all.
        val_begin: The iteration from which to validate, from 1.
        val_interval: Iterations from one validation to the next; the last one validates, too.
        dynamic_intervals: ``(iteration, interval)`` pairs that change ``val_interval`` on the way.
        num_batch_per_epoch: The most batches of a pass over the data; all by default.
        val_before_train: Validate before the first iteration, too; a resumed run does not.
        val_at_end: Validate at the last iteration whatever the interval.

    Attributes:
        dataloader_iterator: The batches of the training, pass after pass. A loop of the user's
            that has a `run` of its own takes them with ``next``.

    Raises:
        ValueError: ``max_iters`` is not an integer >= 0, an interval is not positive, or the data
            loader yields nothing.

    Example:
        >>> IterBasedTrainLoop(None, [0, 1, 2], max_iters=100).max_iters
        100
    """

    _counts_epochs = False

    def __init__(
        self,
        runner: Run,
        dataloader: "DataLoader[Any] | Mapping[str, Any]",
        max_iters: int,
        val_begin: int = 1,
        val_interval: int = 1000,
        dynamic_intervals: list[tuple[int, int]] | None = None,
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
        self._max_epochs = 1
        self._max_iters = integer("max_iters", max_iters, at_least=0)

    @property
    def max_epochs(self) -> int:
        """One: the whole training is an epoch."""
        return self._max_epochs

    @cached_property
    def dataloader_iterator(self) -> Iterator[Batch]:
        """The batches of the training, pass after pass."""
        return self._endless_batches()

    @property
    def max_iters(self) -> int:
        """Iterations to train in all."""
        return self._max_iters

    def run(self) -> Model:
        """Train, and return the model.

        The points at which hooks act::

            before_train
                before_train_epoch
                    (validation, with val_before_train)
                    before_train_iter
                    after_train_iter
                    (validation)
                after_train_epoch
            after_train
        """
        runner = self._runner
        runner.call_hook("before_train")
        runner.call_hook("before_train_epoch")
        self._validate_before_training()
        self._make_up_for_validation(self.iter, self._max_iters)
        runner.model.train()
        runner.optim_wrapper.train()
        self.dataloader_iterator = self._endless_batches()  # anew, if a run follows another
        while self.iter < self._max_iters and not self.stop_training:
            data_batch = next(self.dataloader_iterator)
            if self._passes_over():
                continue
            self.run_iter(data_batch)
            self._validate_if_due(self.iter, self._max_iters)
        runner.call_hook("after_train_epoch")
        runner.call_hook("after_train")
        return runner.model

    def run_iter(self, data_batch: Batch) -> None:
        """Train on one batch: forward, backward, update.

        Args:
            data_batch: The batch as the data loader yields it.
        """
        runner = self._runner
        idx = runner.progress.iter
        runner.call_hook("before_train_iter", batch_idx=idx, data_batch=data_batch)
        outputs = runner.model.train_step(data_batch, optim_wrapper=runner.optim_wrapper)
        if idx + 1 == self._max_iters:
            self._finish_windows()
        runner.call_hook("after_train_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs)
        runner.progress.iter += 1

    def _endless_batches(self) -> Iterator[Batch]:
        """Return the batches without end; ``runner.epoch`` counts the passes."""
        progress = self._runner.progress
        return EndlessBatches(self.dataloader, position=self.position, progress=progress)
