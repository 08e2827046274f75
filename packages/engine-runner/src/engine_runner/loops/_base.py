"""The base of the loops: the data, the counters, and when to validate."""

import math
from abc import ABC, abstractmethod
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any

from engine_runner._by_hand import prepared
from engine_runner._integer import integer
from engine_runner._limits import agreed_limit, limited
from engine_runner._loaders import LIMIT, is_sets, no_batch
from engine_runner._progress import Progress
from engine_runner._protocols import Loop, Run, Stateful
from engine_runner.checkpoint import finish_windows
from engine_runner.loops._endless import EndlessBatches
from engine_runner.loops._intervals import calc_dynamic_intervals
from engine_runner.loops._position import position_of

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


class BaseLoop(ABC):
    """A pass, or many, over the batches of a data loader.

    A training loop of the user's may count ``self._epoch`` and ``self._iter`` itself: the counters
    of the run are those.

    Args:
        runner: The run the loop is part of: the model, the hooks and the counters.
        dataloader: A data loader, or a config that `Runner.build_dataloader` builds.
        num_batch_per_epoch: The most batches of a pass over the data; all by default.

    Raises:
        SettingsError: The data loader has another ``num_batch_per_epoch``.

    Example:
        >>> class Count(BaseLoop):
        ...     def run(self):
        ...         return sum(1 for batch in self.dataloader)
        >>> Count(None, [1, 2, 3]).run()
        3
    """

    _progress: Progress | None = None  # of a training loop, which counts for the run
    _setting = "dataloader"  # the name of the data loader in messages

    def __init__(
        self,
        runner: Run,
        dataloader: "DataLoader[Any] | Mapping[str, Any]",
        *,
        num_batch_per_epoch: int | None = None,
    ) -> None:
        self._runner = runner
        # Built here, as documented: a loop of the user's receives the config, too.
        self.dataloader: Any = _built(self._setting, runner, dataloader, num_batch_per_epoch)

    @property
    def runner(self) -> Run:
        """The run the loop is part of."""
        return self._runner

    def count_for(self, progress: Progress) -> None:
        """Let ``self._epoch`` and ``self._iter`` be the counters of a run, which this trains."""
        self._progress = progress
        for part in vars(self).values():
            if isinstance(part, EndlessBatches):
                part.watch(progress)

    @property
    def _epoch(self) -> int:
        return self._counted("_epoch")

    @_epoch.setter
    def _epoch(self, count: int) -> None:
        self._count("_epoch", count)

    @property
    def _iter(self) -> int:
        return self._counted("_iter")

    @_iter.setter
    def _iter(self, count: int) -> None:
        self._count("_iter", count)

    def _counted(self, name: str) -> int:
        if self._progress is not None:
            return int(getattr(self._progress, name[1:]))
        try:
            return int(vars(self)[name])
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}") from None

    def _count(self, name: str, count: int) -> None:
        if self._progress is not None:
            setattr(self._progress, name[1:], count)
        else:
            vars(self)[name] = count

    @abstractmethod
    def run(self) -> Any:
        """Execute the loop."""


def _built(name: str, runner: Run, dataloader: Any, limit: int | None) -> Any:
    """Return the loader of a config, or several by name, with the limit of the loop."""
    if is_sets(dataloader):
        return {
            part: _built(f"{name} {part!r}", runner, loader, limit)
            for part, loader in dataloader.items()
        }
    if isinstance(dataloader, Mapping):
        if limit is not None:
            limit = agreed_limit(name, dataloader.get(LIMIT), integer(LIMIT, limit, at_least=1))
            dataloader = {**dataloader, LIMIT: limit}
        dataloader = runner.build_dataloader(
            dataloader, seed=runner.seed, diff_rank_seed=runner.diff_rank_seed
        )
    if runner is None:  # the check of a config
        return limited(dataloader, limit)
    seed = None if runner.diff_rank_seed else runner.seed
    trains, world_size = name.startswith("train"), runner.world_size
    is_shared = not trains and dataloader is getattr(runner, "_train_dataloader", None)
    loader = prepared(
        name, dataloader, world_size=world_size, seed=seed, trains=trains, is_shared=is_shared
    )
    return limited(loader, limit)


class TrainLoop(BaseLoop):
    """Count epochs and iterations, and decide when to validate; base of the training loops.

    Args:
        runner: The run.
        dataloader: The training data.
        val_begin: The epoch or iteration from which to validate, from 1.
        val_interval: Epochs or iterations from one validation to the next.
        dynamic_intervals: ``(milestone, interval)`` pairs: from the milestone on, the interval
            takes the place of ``val_interval``.
        num_batch_per_epoch: The most batches of a pass over the data; all by default.
        val_before_train: Validate before the first iteration, too; a resumed run does not.
        val_at_end: Validate at the last epoch or iteration whatever the interval.

    Raises:
        ValueError: An interval is not an integer >= 1, or the milestones are not in order.

    Example:
        >>> class Once(TrainLoop):
        ...     max_epochs, max_iters = 1, 3
        ...     def run(self):
        ...         return list(self.dataloader)
        >>> Once(None, [1, 2, 3], val_interval=2, num_batch_per_epoch=2).run()
        [1, 2]
    """

    def __init__(
        self,
        runner: Run,
        dataloader: "DataLoader[Any] | Mapping[str, Any]",
        val_begin: int = 1,
        val_interval: int = 1,
        dynamic_intervals: list[tuple[int, int]] | None = None,
        *,
        num_batch_per_epoch: int | None = None,
        val_before_train: bool = False,
        val_at_end: bool = True,
    ) -> None:
        super().__init__(runner, dataloader, num_batch_per_epoch=num_batch_per_epoch)
        if runner is not None:  # the check of a config has no run
            self.count_for(runner.progress)
        self.dynamic_milestones, self.dynamic_intervals = calc_dynamic_intervals(
            val_interval, dynamic_intervals
        )
        self.val_begin = integer("val_begin", val_begin, at_least=0)
        self.val_interval = val_interval
        self.val_before_train = val_before_train
        self.val_at_end = val_at_end
        self.stop_training = False
        self.passed_over: Container[tuple[int, int]] = ()  # passes and batches not to train on
        self._position: Any = None

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return self._runner.progress.epoch

    @property
    def iter(self) -> int:
        """Finished iterations."""
        return self._runner.progress.iter

    _setting = "train_dataloader"
    _counts_epochs = True  # what ``val_begin`` and the intervals count, rather than iterations

    @property
    @abstractmethod
    def max_epochs(self) -> int:
        """Epochs to train in all."""

    @property
    @abstractmethod
    def max_iters(self) -> int | float:
        """Iterations to train in all; infinity if that is unknown."""

    @property
    def position(self) -> Stateful:
        """What saves the position in the data: the loader if it can, otherwise a `Replay`.

        Iterating over it yields the batches that are left of the epoch.
        """
        loader: Any = self.dataloader
        # A hook may have exchanged the loader.
        if (
            self._position is None
            or getattr(self._position, "loader", self._position) is not loader
        ):
            self._position = position_of(loader, self._cut)
        position: Stateful = self._position
        return position

    @property
    def _cut(self) -> int | None:
        """The number of batches after which an epoch of data without a length ends."""
        return None

    def _passes_over(self) -> bool:
        """Return whether the batch that was received last is not to be trained on."""
        if not self.passed_over:
            return False
        number = self.epoch, int(getattr(self.position, "batches_consumed", 0)) - 1
        return number in self.passed_over

    def _no_batch(self) -> ValueError:
        return no_batch("train_dataloader", self.dataloader)

    def continue_from_progress(self) -> None:
        """Adjust to the counters of a resumed run; does nothing by default."""

    def validates(self, last: int | float) -> bool:
        """Return whether a training of ``last`` epochs or iterations ever validates."""
        if self.val_before_train:
            return True
        if self.val_at_end and math.isfinite(last):
            return self.val_begin <= last
        ends = self.dynamic_milestones[1:]
        for (start, interval), end in zip(self._intervals, [*ends, math.inf], strict=True):
            final = min(last, end - 1)  # of this interval
            first = -(-max(self.val_begin, start, 1) // interval) * interval
            if first <= final:
                return True
        return False

    @property
    def _intervals(self) -> list[tuple[int, int]]:
        """The intervals, each with the milestone from which it counts."""
        return list(zip(self.dynamic_milestones, self.dynamic_intervals, strict=True))

    def _decide_current_val_interval(self, count: int | None = None) -> None:
        """Set ``val_interval`` to the one of a counter; of the current one by default."""
        if count is None:
            count = self.epoch if self._counts_epochs else self.iter
        # From the start each time, so that a resumed run finds the interval of its counter.
        for milestone, interval in self._intervals:
            if count >= milestone:
                self.val_interval = interval

    def _validate_if_due(self, count: int, last: int) -> None:
        """Validate if the interval is due, or at the last epoch or iteration."""
        self._decide_current_val_interval(count)
        loop = self._runner.val_loop
        due = count % self.val_interval == 0 or (count == last and self.val_at_end)
        if loop is not None and count >= self.val_begin and due:
            self._validate(loop)
            self._runner.progress.validated = count
            # A run that continues a training which has ended here repeats its last validation: one
            # that stopped it stops it again, and the scores of a longer training begin with it.
            if count < last and not self.stop_training:
                self._runner.checkpointer.validated.note(self._runner)

    def _finish_windows(self) -> None:
        """Step with what optimizers have gathered at the end of the training.

        Where the data has a length, the last window of one optimizer is of the right size already.
        How often a model updates each of several is unknown.
        """
        if self.stop_training:
            return  # evaluated already, and perhaps saved
        finish_windows(self._runner.optim_wrapper, self._runner.model)

    def _validate_before_training(self) -> None:
        """Validate before the first iteration, if that is set and not done."""
        progress, loop = self._runner.progress, self._runner.val_loop
        begins = progress.iter == 0 and progress.validated < 0
        if self.val_before_train and begins and loop is not None:
            self._runner.logger.info("Validating before the training")
            self._validate(loop)
            progress.validated = 0

    def _validate(self, loop: Loop) -> None:
        """Validate, and return to training; some optimizers have a mode for each, too."""
        runner = self._runner
        # Schedule-free optimizers keep two sets of weights: evaluations use the averaged one.
        runner.optim_wrapper.eval()
        loop.run()
        runner.model.train()
        runner.optim_wrapper.train()

    def _make_up_for_validation(self, count: int, last: int) -> None:
        """Run the validation before which the resumed run was interrupted."""
        if count >= last > 0:
            self._runner.logger.warning(
                f"nothing is left to train: the run is at {count} of {last}; to train on, "
                "raise max_epochs or max_iters in train_cfg"
            )
        if count > 0 and self._runner.progress.validated < count:
            self._validate_if_due(count, last)


def check_steps(model: Any, *modes: str) -> None:
    """Raise if a model lacks the steps that loops call.

    Args:
        model: The model, in its wrapper.
        *modes: ``"train"``, ``"val"`` or ``"test"``.

    Raises:
        RuntimeError: The model has no ``<mode>_step``.
    """
    for mode in modes:
        if not hasattr(model, f"{mode}_step"):
            raise RuntimeError(
                f"{type(model).__name__} has no {mode}_step, which a {mode} loop calls; derive it "
                "from engine_model.BaseModel or write the method"
            )
