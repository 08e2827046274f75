"""Stochastic weight averaging: the mean of the weights at the ends of epochs."""

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from engine_dataset import DefaultSampler, ResumableDataLoader
from engine_dist import get_rank
from engine_model import batch_norms, update_batch_norms
from engine_optim import step_of
from engine_registry import HOOKS
from engine_runner._errors import SettingsError
from engine_runner._integer import integer
from engine_runner._limits import LimitedLoader
from engine_runner._loaders import LIMIT, batches_of, length_of, set_sampler_epoch
from engine_runner._protocols import Run
from engine_runner._types import Batch, Outputs
from engine_runner._wrappers import guards_of
from engine_runner.environment import (
    capture_host_states,
    restore_host_states,
    set_random_seed,
)
from engine_runner.hooks._ema import EMAHook
from engine_runner.hooks._interrupt import SaveOnInterrupt


@HOOKS.register_module()
class SWAHook(EMAHook):
    """Average the weights at the ends of epochs (stochastic weight averaging).

    Use it with a learning rate that stays high from ``begin_epoch`` on; averages begin at about
    three quarters of the training. Validation, test and checkpoints use the average, as with
    `EMAHook`. Running statistics of batch normalization do not fit averaged weights. They are
    computed anew before the average is used, with forward passes over the training data. The
    batches are drawn in an order of their own, so the training itself is unaffected.

    The method is from Izmailov et al., "Averaging Weights Leads to Wider Optima and Better
    Generalization", UAI 2018.

    Args:
        begin_epoch: The first epoch to average, from 1; 0 begins at once.
        interval: Epochs, or iterations, from one average to the next.
        by_epoch: Count epochs, rather than iterations.
        begin_iter: The first iteration to average, if not ``by_epoch``.
        update_bn: Compute the statistics of batch normalization anew. Models without such layers
            need no passes.
        bn_batches: How many batches of each rank to read for the statistics; one epoch by default,
            as short as ``num_batch_per_epoch`` makes it.
        strict_load: Raise if the average of a resumed checkpoint does not fit exactly.
        device: The device of the average; by default that of the model.

    Raises:
        ValueError: ``begin_epoch`` is set without ``by_epoch``, ``begin_iter`` with it, or a number
            is not an integer in its range.

    Example:
        >>> hook = SWAHook(begin_epoch=75, interval=5)
        >>> hook.begin_epoch, hook.interval, hook.ema_cfg["type"]
        (75, 5, 'StochasticWeightAverage')
    """

    def __init__(
        self,
        begin_epoch: int = 0,
        interval: int = 1,
        by_epoch: bool = True,
        begin_iter: int = 0,
        update_bn: bool = True,
        bn_batches: int | None = None,
        strict_load: bool = False,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__(
            "StochasticWeightAverage", strict_load, begin_iter, begin_epoch, device=device
        )
        if begin_iter if by_epoch else begin_epoch:
            wrong, right = ("iter", "epoch") if by_epoch else ("epoch", "iter")
            raise ValueError(
                f"begin_{wrong} must be 0 with by_epoch={by_epoch}, got "
                f"{begin_iter if by_epoch else begin_epoch}; set begin_{right}"
            )
        self.interval = integer("interval", interval, at_least=1)
        self.by_epoch = by_epoch
        self.update_bn = update_bn
        self.bn_batches = (
            None if bn_batches is None else integer("bn_batches", bn_batches, at_least=1)
        )
        self._stale = False  # whether the statistics are of other weights

    def before_train(self, runner: Run) -> None:
        """Check that the training has what the hook counts, and data that ends.

        Raises:
            SettingsError: The hook counts epochs, and the training iterations; or the data is a
                stream that may not end, and ``bn_batches`` is not set.
        """
        super().before_train(runner)
        loader: Any = runner.train_dataloader
        stream = isinstance(getattr(loader, "dataset", None), IterableDataset)
        limit = self.bn_batches or getattr(loader, LIMIT, None)
        may_not_end = stream or (_has_own_batches(loader) and length_of(loader) is None)
        endless = may_not_end and not runner.trains_by_epoch
        if endless and limit is None and self._has_own_buffers():
            raise SettingsError(
                "bn_batches of SWAHook must be an integer >= 1 for a stream of data, got None; set "
                "it, or update_bn=False"
            )
        if self.by_epoch and not runner.trains_by_epoch:
            raise SettingsError(
                "by_epoch of SWAHook must be False where train_cfg counts iterations, got True; "
                "set interval and begin_iter to iterations"
            )

    def after_train_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Average every n-th iteration, unless its step was left out for a bad loss."""
        if step_of(guards_of(runner.optim_wrapper)) == "left out":
            return
        if not self.by_epoch and self.every_n_train_iters(
            runner, self.interval, max(self.begin_iter, 1)
        ):
            self._average()

    def after_train_epoch(self, runner: Run) -> None:
        """Average every n-th epoch, if the hook counts epochs."""
        if self.by_epoch and self.every_n_epochs(runner, self.interval, max(self.begin_epoch, 1)):
            self._average()

    def before_save_checkpoint(self, runner: Run, checkpoint: dict[str, Any]) -> None:
        """Save the average, with statistics of its own, and the weights as trained beside it."""
        self._prepare(runner)
        # A process that is asked to stop has no time: the resumed run computes the statistics.
        if not any(isinstance(hook, SaveOnInterrupt) and hook.stops for hook in runner.hooks):
            self._refresh(runner)
        super().before_save_checkpoint(runner, checkpoint)

    def after_resume(self, runner: Run, checkpoint: Any) -> None:
        """Take over the average of a resumed checkpoint."""
        super().after_resume(runner, checkpoint)
        self._stale = True  # it may have been saved without statistics of its own

    def _average(self) -> None:
        self.ema_model.update_parameters(self.src_model)
        self._stale = True

    def _use_average(self, runner: Run) -> None:
        self._refresh(runner)
        super()._use_average(runner)

    def _has_own_buffers(self) -> bool:
        return self.update_bn and bool(batch_norms(self.src_model))

    def _refresh(self, runner: Run) -> None:
        """Compute the statistics of batch normalization for the averaged weights."""
        if not self._stale or self._exchanged or not self.ema_model.updates:
            return
        self._stale = False
        if not self._has_own_buffers():
            return
        runner.logger.info("Compute the statistics of batch normalization for averaged weights.")
        self._swap_ema_parameters()
        try:
            with _own_randomness(runner.seed):
                limit = self.bn_batches or getattr(runner.train_dataloader, LIMIT, None)
                batches = islice(_training_batches(runner), limit)
                update_batch_norms(self.src_model, batches)
        finally:
            self._swap_ema_parameters()


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Draw the same random numbers each time, and set the generators back in the end."""
    former = capture_host_states()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        try:
            set_random_seed(seed + get_rank())
            yield
        finally:
            restore_host_states(former)


def _training_batches(runner: Run) -> Iterator[Any]:
    """Yield the training batches of an epoch, without moving the position of the data loader.

    Raises:
        SettingsError: The data can be read only once.
    """
    loader: Any = runner.train_dataloader
    if isinstance(loader, LimitedLoader):
        loader = loader.loader
    if isinstance(loader, Iterator):
        raise SettingsError(
            "SWAHook needs training data that can be read again, got an iterator; give a "
            "DataLoader, or set update_bn=False"
        )
    batches = batches_of(_again(loader, runner.seed) if isinstance(loader, DataLoader) else loader)
    # A batch sampler of the user's may draw from a sampler that never ends.
    return islice(batches, length_of(loader)) if _has_own_batches(loader) else batches


def _has_own_batches(loader: Any) -> bool:
    """Return whether a loader has a batch sampler of the user's."""
    has_size = getattr(loader, "batch_size", None) is not None
    return getattr(loader, "batch_sampler", None) is not None and not has_size


def _begin_order(loader: DataLoader[Any], seed: int) -> None:
    """Let a copied batch sampler draw the same order whatever the training has drawn from it."""
    set_sampler_epoch(loader, 0)
    for sampler in (loader.batch_sampler, getattr(loader.batch_sampler, "sampler", None)):
        generator = getattr(sampler, "generator", None)
        if isinstance(generator, torch.Generator):
            generator.manual_seed(seed)


def _again(loader: DataLoader[Any], seed: int) -> Iterable[Any]:
    """Return a loader of the same batches in an order of its own.

    Its workers draw the same numbers whatever their number, as in the training.
    """
    options: dict[str, Any] = {
        "collate_fn": loader.collate_fn,
        "num_workers": loader.num_workers,
        "worker_init_fn": loader.worker_init_fn,
        "multiprocessing_context": loader.multiprocessing_context,
        "generator": torch.Generator().manual_seed(seed),
    }
    dataset, size = loader.dataset, loader.batch_size
    if isinstance(dataset, IterableDataset):
        return ResumableDataLoader(dataset, batch_size=size, **options)
    if _has_own_batches(loader):
        own = ResumableDataLoader(
            dataset, batch_sampler=copy.deepcopy(loader.batch_sampler), **options
        )
        _begin_order(own, seed)
        return own
    sampler = DefaultSampler(dataset, shuffle=True, seed=seed)  # type: ignore[arg-type]  # it has a length
    # A last batch of one sample has no variance.
    drops = size is not None and len(sampler) >= size
    return ResumableDataLoader(
        dataset, batch_size=size, sampler=sampler, drop_last=drops, **options
    )
