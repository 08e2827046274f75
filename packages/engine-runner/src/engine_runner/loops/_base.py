"""The base of the loops: the data, the counters, and when to validate."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine_runner._integer import integer
from engine_runner._loaders import no_batch
from engine_runner._protocols import Loop, Run, Stateful
from engine_runner.loops._replay import Replay

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


class BaseLoop(ABC):
    """A pass, or many, over the batches of a data loader.

    Args:
        runner: The run the loop is part of: the model, the hooks and the counters.
        dataloader: A data loader, or a config that `Runner.build_dataloader` builds.

    Example:
        >>> class Count(BaseLoop):
        ...     def run(self):
        ...         return sum(1 for batch in self.dataloader)
        >>> Count(None, [1, 2, 3]).run()
        3
    """

    def __init__(self, runner: Run, dataloader: "DataLoader[Any] | Mapping[str, Any]") -> None:
        self._runner = runner
        self.dataloader: DataLoader[Any]
        # Built here, as documented: a loop of the user's receives the config, too.
        if isinstance(dataloader, Mapping):
            self.dataloader = runner.build_dataloader(
                dataloader, seed=runner.seed, diff_rank_seed=runner.diff_rank_seed
            )
        else:
            self.dataloader = dataloader

    @property
    def runner(self) -> Run:
        """The run the loop is part of."""
        return self._runner

    @abstractmethod
    def run(self) -> Any:
        """Execute the loop."""


class TrainLoop(BaseLoop):
    """Count epochs and iterations, and decide when to validate; base of the training loops.

    Args:
        runner: The run.
        dataloader: The training data.
        val_begin: The epoch or iteration from which to validate, from 1.
        val_interval: Epochs or iterations from one validation to the next.
        dynamic_intervals: ``(milestone, interval)`` pairs: from the milestone on, the interval
            takes the place of ``val_interval``.

    Raises:
        ValueError: An interval is not an integer >= 1, or the milestones are not in order.

    Example:
        >>> class Once(TrainLoop):
        ...     max_epochs, max_iters = 1, 3
        ...     def run(self):
        ...         return list(self.dataloader)
        >>> Once(None, [1, 2, 3], val_interval=2).run()
        [1, 2, 3]
    """

    def __init__(
        self,
        runner: Run,
        dataloader: "DataLoader[Any] | Mapping[str, Any]",
        val_begin: int = 1,
        val_interval: int = 1,
        dynamic_intervals: list[tuple[int, int]] | None = None,
    ) -> None:
        super().__init__(runner, dataloader)
        milestones = [milestone for milestone, _ in dynamic_intervals or ()]
        if milestones != sorted(milestones):
            raise ValueError(f"dynamic_intervals must be ordered by milestone, got {milestones}")
        self._intervals = [(0, val_interval), *(dynamic_intervals or ())]
        for _, interval in self._intervals:
            integer("a validation interval", interval, at_least=1)
        self.val_begin = integer("val_begin", val_begin, at_least=0)
        self.val_interval = val_interval
        self.stop_training = False
        self._replay: Replay | None = None

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return self._runner.progress.epoch

    @property
    def iter(self) -> int:
        """Finished iterations."""
        return self._runner.progress.iter

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

        Iterating over it yields the batches that are left of the pass.
        """
        loader: Any = self.dataloader
        if hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict"):
            stateful: Stateful = loader
            return stateful
        # A hook may have exchanged the loader.
        if self._replay is None or self._replay.loader is not loader:
            self._replay = Replay(loader)
        return self._replay

    def _no_batch(self) -> ValueError:
        return no_batch("train_dataloader", self.dataloader)

    def continue_from_progress(self) -> None:
        """Adjust to the counters of a resumed run; does nothing by default."""

    def _validate_if_due(self, count: int, last: int) -> None:
        """Validate if the interval is due, or at the last epoch or iteration."""
        # From the start each time, so that a resumed run finds the interval of its counter.
        for milestone, interval in self._intervals:
            if count >= milestone:
                self.val_interval = interval
        loop = self._runner.val_loop
        due = count % self.val_interval == 0 or count == last
        if loop is not None and count >= self.val_begin and due:
            self._validate(loop)
            self._runner.progress.validated = count

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
