"""What a run is, and how far it has come."""

from pathlib import Path
from typing import Any

from engine_dist import get_rank, get_world_size, is_distributed
from engine_logging import MessageHub, MMLogger
from engine_runner._log_processor import LogProcessor
from engine_runner._progress import Progress
from engine_runner._settings import Settings
from engine_runner._types import Model
from engine_runner.hooks import HookList
from engine_runner.strategies import Strategy
from engine_visualization import Visualizer


class Identity:
    """Names, folders, ranks, seed and counters of a run."""

    # settled at construction
    _settings: Settings
    cfg: Any
    model: Model
    strategy: Strategy
    logger: MMLogger
    message_hub: MessageHub
    visualizer: Visualizer
    log_processor: LogProcessor
    progress: Progress
    _hooks: HookList
    _log_dir: Path
    _experiment_name: str
    _seed: int

    # ---- what the run is -------------------------------------------------------------------

    @property
    def experiment_name(self) -> str:
        """Name of the run: the config's or the given one, and the time at which it started."""
        return self._experiment_name

    @property
    def timestamp(self) -> str:
        """Name of the run's log folder: when it started."""
        return self._log_dir.name

    @property
    def work_dir(self) -> str:
        """Absolute path of the folder of checkpoints, and of the log folders of all its runs."""
        return str(self._log_dir.parent)

    @property
    def log_dir(self) -> str:
        """Absolute path of the folder of this run's logs."""
        return str(self._log_dir)

    @property
    def model_name(self) -> str:
        """Class name of the model inside its wrapper."""
        return type(self.strategy.unwrap(self.model)).__name__

    @property
    def launcher(self) -> str:
        """How the processes were started."""
        return self._settings.launcher

    @property
    def distributed(self) -> bool:
        """Whether there is a process group."""
        return is_distributed()

    @property
    def rank(self) -> int:
        """Rank of this process."""
        return get_rank()

    @property
    def world_size(self) -> int:
        """Number of processes."""
        return get_world_size()

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files of the run."""
        return get_rank() == 0

    @property
    def seed(self) -> int:
        """The seed of the run, equal on all ranks."""
        return self._seed

    @property
    def deterministic(self) -> bool:
        """Whether only deterministic algorithms are used."""
        return bool(self._settings.randomness.get("deterministic", False))

    @property
    def diff_rank_seed(self) -> bool:
        """Whether each rank's generators start differently."""
        return bool(self._settings.randomness.get("diff_rank_seed", False))

    # ---- where the run is ------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """Finished training epochs."""
        return self.progress.epoch

    @property
    def iter(self) -> int:
        """Finished training iterations."""
        return self.progress.iter
