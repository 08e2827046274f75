"""The facts that identify a run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from engine_dist import get_rank, get_world_size, is_distributed
from engine_fileio import local_path, uri_of
from engine_runner.environment._folders import (
    create_log_dir,
    experiment_name,
    missing_folders,
    remove_log_dir,
)
from engine_runner.environment._seeds import set_random_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """The facts that identify a run: names, folders, ranks and seed.

    Attributes:
        experiment_name: The name of the run, unique in this process.
        log_folder: The folder of this run's logs, ``work_dir/<timestamp>``; absolute.
        launcher: How the processes were started.
        rank: The rank of this process.
        world_size: The number of processes.
        distributed: Whether there is a process group.
        seed: The seed of the run, equal on all ranks.
        seed_is_given: Whether the settings have the seed. Otherwise each start draws one.
        created_folders: The folders around the log folder that this run has created, from the
            innermost out.
        deterministic: Whether only deterministic algorithms are used.
        diff_rank_seed: Whether each rank's generators start differently.

    Example:
        >>> folder = Path("/runs/digits/20260102_030405")
        >>> info = RunInfo(experiment_name="digits", log_folder=folder)
        >>> info.timestamp, info.work_dir
        ('20260102_030405', '/runs/digits')
    """

    experiment_name: str
    log_folder: Path
    launcher: str = "none"
    rank: int = 0
    world_size: int = 1
    distributed: bool = False
    seed: int = 0
    seed_is_given: bool = False
    created_folders: tuple[Path, ...] = ()
    deterministic: bool = False
    diff_rank_seed: bool = False

    @classmethod
    def begin(
        cls,
        work_dir: str | Path,
        *,
        launcher: str,
        name: str | None,
        config_file: str | None,
        timestamp: str | None = None,
    ) -> Self:
        """Create the log folder of a new run, and return its facts. All ranks must call this.

        Args:
            work_dir: The folder of the checkpoints.
            launcher: How the processes were started.
            name: The name of the experiment, if it has one.
            config_file: The file whose name is taken otherwise.
            timestamp: When the run started; now by default.
        """
        around = Path(local_path(uri_of(work_dir))).absolute()
        created = missing_folders(around)
        folder = create_log_dir(around, timestamp)
        return cls(
            experiment_name=experiment_name(name, config_file, folder.name),
            log_folder=folder,
            launcher=launcher,
            rank=get_rank(),
            world_size=get_world_size(),
            distributed=is_distributed(),
            created_folders=created,
        )

    @contextmanager
    def removed_on_error(self) -> Iterator[None]:
        """Remove the log folder, and those created around it, if the block raises.

        The error is the caller's to show: a run that was never built has nothing else to log.
        """
        try:
            yield
        except BaseException:
            if self.is_main:
                remove_log_dir(self.log_folder, self.created_folders)
            raise

    def seeded(self, seed: int | None, *, deterministic: bool, diff_rank_seed: bool) -> Self:
        """Seed every generator of this process, and return the facts with the seed."""
        return replace(
            self,
            seed=set_random_seed(seed, deterministic, diff_rank_seed),
            seed_is_given=seed is not None,
            deterministic=deterministic,
            diff_rank_seed=diff_rank_seed,
        )

    def stated_by(self, attributes: Mapping[str, Any]) -> Self:
        """Return the facts with those that an override of `Runner.set_randomness` has set.

        Args:
            attributes: The attributes of the runner, perhaps with ``_seed``.
        """
        names = ("seed", "deterministic", "diff_rank_seed")
        stated = {name: attributes[f"_{name}"] for name in names if f"_{name}" in attributes}
        return replace(self, **stated)

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files of the run."""
        return self.rank == 0

    @property
    def log_dir(self) -> str:
        """The folder of this run's logs."""
        return str(self.log_folder)

    @property
    def work_dir(self) -> str:
        """The folder of the checkpoints, and of the log folders of all runs."""
        return str(self.log_folder.parent)

    @property
    def timestamp(self) -> str:
        """The name of the log folder: when the run started."""
        return self.log_folder.name

    @property
    def log_file(self) -> str:
        """The log file of rank 0."""
        return str(self.log_folder / f"{self.timestamp}.log")


def begin_info(run: Any) -> RunInfo:
    """Begin a run, and return its facts; all ranks must call this, with the process group up.

    Args:
        run: The runner, whose settings name the run. An override of its ``setup_env`` may have
            set ``_timestamp``.

    Raises:
        RuntimeError: The process group is not up.
    """
    settings = run._settings
    if settings.launcher != "none" and not is_distributed():
        raise RuntimeError(
            "setup_env must start the process group before it reads facts of the run; in "
            f"{type(run).__name__}.setup_env, call super().setup_env(env_cfg) or init_dist first"
        )
    return RunInfo.begin(
        settings.work_dir,
        launcher=settings.launcher,
        name=settings.experiment_name,
        config_file=run.cfg.filename,
        timestamp=vars(run).get("_timestamp"),
    )
