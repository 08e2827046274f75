"""The tracking backend that records to ClearML."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from engine_visualization.backends._base import (
    BaseVisBackend,
    ConfigLike,
    force_init_env,
    scalars_of,
    single_number,
)
from engine_visualization.backends._library import import_library
from engine_visualization.backends._notices import prints_to_file, records_to_file
from engine_visualization.backends._run_facts import flat_values, work_dir_of, written_files
from engine_visualization.backends._run_handle import RunHandle
from engine_visualization.backends._run_id import keep_run_id, kept_run_id
from engine_visualization.drawing import to_image

# ClearML would patch torch.save, the standard output and others while the training runs, and write
# to the last task of the same name.
_QUIET = {
    "auto_connect_arg_parser": False,
    "auto_connect_frameworks": False,
    "auto_connect_streams": False,
    "reuse_last_task_id": False,
}

# They warn of a machine without a GPU, and of a folder that is not in a repository.
_logger = logging.getLogger("engine.visualization")
_SEARCHES = ("clearml.resource_monitor", "clearml.Repository Detection")


class ClearMLVisBackend(BaseVisBackend):
    """Record scalars, images, the config and the files of a run to ClearML.

    The extra ``clearml`` is required. At the first record ClearML is imported and a task is
    started. Without a server, ``clearml.Task.set_offline(True)`` or ``CLEARML_OFFLINE_MODE=1``
    keeps the task in a local folder, which `clearml.Task.import_offline_session` uploads. A resumed
    training continues its task, on a server or in that folder. The server replaces the value of an
    iteration that the task has already.

    A visualizer calls the backend in a thread, so that the training never waits for the server.

    Args:
        save_dir: Folder for the local files; the name of the task is that of its run.
        init_kwargs: Arguments of `clearml.Task.init`, such as ``project_name`` (``"engine"`` by
            default), ``task_name``, or ``continue_last_task`` (the id of a task, to continue it).
            By default ClearML patches neither libraries nor the standard output, and starts a new
            task.
        artifact_suffix: Ends of the names of the files that `close` uploads: files of this run in
            its log folder, and at the top of the config's ``work_dir``.
        close_timeout: Time limit in seconds for the pending records and uploads at the end.

    Example:
        >>> ClearMLVisBackend("logs", init_kwargs={"project_name": "digits"}).save_dir
        'logs'
    """

    threaded = True
    write_delay = 30.0
    libraries: ClassVar[Mapping[str, str]] = {"clearml": "engine-visualization[clearml]"}

    def __init__(
        self,
        save_dir: str | PathLike[str] | None = None,
        init_kwargs: Mapping[str, Any] | None = None,
        artifact_suffix: Sequence[str] = (".py", ".pth"),
        *,
        close_timeout: float = 60.0,
    ) -> None:
        super().__init__("." if save_dir is None else save_dir)
        names = {"project_name": "engine", "task_name": _run_name(self.save_dir)}
        self._init_kwargs = {**_QUIET, **names, **(init_kwargs or {})}
        self._suffixes = tuple(artifact_suffix)
        self.close_timeout = close_timeout
        self._work_dir: Path | None = None
        self._began = time.time() - 1  # clocks of file systems are coarse
        self._task_id: str | None = None
        self._task = RunHandle[Any](self._start)

    def _init_env(self) -> None:
        self._task.get()

    @property
    @force_init_env
    def experiment(self) -> Any:
        """The `clearml.Task`, which the first use starts.

        Raises:
            ImportError: The library is not installed.
        """
        return self._task.get()

    def add_config(self, config: ConfigLike, **kwargs: Any) -> None:
        """Record the text of the config, and its values as parameters of the task."""
        task = self.experiment
        self._work_dir = work_dir_of(config)
        task.set_configuration_object("config", config_text=config.pretty_text)
        if values := flat_values(config):
            task.set_parameters(values)

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Record an image ``(H, W, 3)`` or ``(H, W)``."""
        pixels = to_image(image)
        logger = self.experiment.get_logger()
        logger.report_image(title=name, series=name, iteration=step, image=pixels)

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a single number. Other values are skipped, with one warning in the log."""
        number = single_number(self, name, value, "ClearML")
        if number is not None:
            logger = self.experiment.get_logger()
            logger.report_scalar(title=name, series=name, value=number, iteration=step)

    def add_scalars(
        self,
        scalar_dict: Mapping[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Record the numbers of one step; ``file_path`` is unused."""
        for name, value, at in scalars_of(scalar_dict, step):
            self.add_scalar(name, value, at)

    def state_dict(self) -> dict[str, Any]:
        """Return the id of the task, if it has begun."""
        return {"task_id": self._task_id or self._init_kwargs.get("continue_last_task")}

    def resume(self, state: Mapping[str, Any], save_dir: str) -> None:
        """Continue the task of an earlier process."""
        self._save_dir = save_dir
        task_id = state.get("task_id") or kept_run_id(save_dir, "clearml")
        if task_id:
            self._init_kwargs.setdefault("continue_last_task", task_id)

    def close(self) -> None:
        """Upload the files of the run and end the task.

        The next record continues the task.
        """
        task = self._task.take()
        self._env_initialized = False
        if task is not None:
            for path in written_files(self.save_dir, self._work_dir, self._suffixes, self._began):
                # Waiting, because at the exit of the process a pool starts no more uploads.
                task.upload_artifact(path.name, str(path), wait_on_upload=True)
            self._init_kwargs["continue_last_task"] = task.id
            task.close()

    def _start(self) -> Any:
        kind = import_library("clearml", "clearml").Task
        # ClearML would report from a process that it forks, and a process that is forked while a
        # thread holds a lock (of an import, of the data loader) waits for that lock forever, and
        # the exit for the process.
        kind._report_subprocess_enabled = False
        _notices_to_file()
        self._leave_out_a_lost_session(kind)
        task = kind.init(**self._init_kwargs)
        self._task_id = str(task.id)
        keep_run_id(self.save_dir, "clearml", self._task_id)
        _leave_forks_alone()
        # A continued task would add its last step to ours, which count from the start already.
        task.set_initial_iteration(0)
        return task

    def _leave_out_a_lost_session(self, kind: Any) -> None:
        """Begin a new task if the one to continue is an offline session that is not at hand."""
        earlier = self._init_kwargs.get("continue_last_task")
        if not isinstance(earlier, str) or not earlier.startswith("offline-"):
            return
        sessions = import_library("clearml", "clearml.config").get_offline_dir()
        if kind.is_offline() and Path(sessions, earlier).is_dir():
            return
        del self._init_kwargs["continue_last_task"]
        _logger.warning(
            "a new ClearML task begins, as the one to continue is the offline session %s, and %s; "
            "Task.import_offline_session(..., previous_task_id=...) joins them",
            Path(sessions, earlier),
            "it does not exist here" if kind.is_offline() else "this process is online",
        )


def _notices_to_file() -> None:
    """Write where the task is, and what ClearML cannot find out, to the log file."""
    if "CLEARML_LOG_LEVEL" not in os.environ:
        records_to_file(*_SEARCHES, below=logging.ERROR)
        modules = [import_library("clearml", f"clearml.{name}") for name in ("task", "logger")]
        prints_to_file(*modules, start="ClearML ")


def _leave_forks_alone() -> None:
    """Stop ClearML from starting its threads in each worker of a data loader."""
    with suppress(ImportError):  # of a version that has no such patch
        import_library("clearml", "clearml.binding.environ_bind").PatchOsFork.patch_fork(None)


def _run_name(save_dir: str) -> str:
    """Return the name of a run's folder, such as ``"digits/20260131_120000"``."""
    parts = Path(save_dir).absolute().parts
    parts = parts[:-1] if parts[-1] == "vis_data" else parts
    return "/".join(parts[-2:]).strip("/") or "run"
