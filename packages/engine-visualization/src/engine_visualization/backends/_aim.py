"""The tracking backend that records to Aim."""

import os
from collections.abc import Mapping
from os import PathLike
from typing import Any, ClassVar

import numpy as np

from engine_utils import expand_home
from engine_visualization.backends._base import (
    BaseVisBackend,
    ConfigLike,
    force_init_env,
    scalars_of,
    single_number,
)
from engine_visualization.backends._library import import_library
from engine_visualization.backends._run_facts import nested_values
from engine_visualization.backends._run_handle import RunHandle
from engine_visualization.backends._run_id import keep_run_id, kept_run_id
from engine_visualization.drawing import as_picture, to_image


class AimVisBackend(BaseVisBackend):
    """Record scalars, images and the config of a run to Aim.

    The extra ``aim`` is required. At the first record Aim is imported and a run is started, in a
    repository in ``save_dir`` that ``aim up --repo <save_dir>`` shows. A resumed training continues
    its run; Aim replaces the value of a step that the run has already.

    A visualizer calls the backend in a thread, so that the training never waits for the disk or a
    server.

    Args:
        save_dir: Folder of the repository; ``None`` for that of Aim.
        init_kwargs: Arguments of `aim.Run`, such as ``experiment``, ``repo`` (the folder or address
            of a repository) or ``run_hash`` (the run of an earlier process, to continue it). The
            texts of the terminal are captured with ``capture_terminal_logs=True`` only.

    Example:
        >>> AimVisBackend("logs", init_kwargs={"experiment": "digits"}).save_dir
        'logs'
    """

    threaded = True
    write_delay = 10.0
    libraries: ClassVar[Mapping[str, str]] = {"aim": "engine-visualization[aim]"}

    def __init__(
        self,
        save_dir: str | PathLike[str] | None = None,
        init_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__("." if save_dir is None else save_dir)
        self._init_kwargs: dict[str, Any] = {"capture_terminal_logs": False}
        given = init_kwargs or {}
        self._is_in_save_dir = save_dir is not None and "repo" not in given
        if save_dir is not None:
            self._init_kwargs["repo"] = self.save_dir
        self._init_kwargs |= given
        if isinstance(repo := self._init_kwargs.get("repo"), str):
            self._init_kwargs["repo"] = expand_home(repo)
        self._hash: str | None = None
        self._run = RunHandle[Any](self._start)

    def _init_env(self) -> None:
        self._run.get()

    @property
    @force_init_env
    def experiment(self) -> Any:
        """The `aim.Run`, which the first use starts.

        Raises:
            ImportError: The library is not installed.
        """
        return self._run.get()

    def add_config(self, config: ConfigLike, **kwargs: Any) -> None:
        """Record the values of the config as ``config``, and its text as ``config_text``."""
        run = self.experiment
        run["config"] = nested_values(config)
        run["config_text"] = config.pretty_text

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Record an image ``(H, W, 3)`` or ``(H, W)``."""
        pixels = as_picture(to_image(image))
        run = self.experiment
        run.track(import_library("aim", "aim").Image(pixels), name=name, step=step)

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a single number. Other values are skipped, with one warning in the log."""
        number = single_number(self, name, value, "Aim")
        if number is not None:
            self.experiment.track(number, name=name, step=step)

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
        """Return the hash of the run, if it has begun."""
        return {"run_hash": self._hash or self._init_kwargs.get("run_hash")}

    def resume(self, state: Mapping[str, Any], save_dir: str) -> None:
        """Continue the run of an earlier process."""
        self._save_dir = save_dir
        if self._is_in_save_dir:
            self._init_kwargs["repo"] = save_dir
        run_hash = state.get("run_hash") or kept_run_id(save_dir, "aim")
        if run_hash:
            self._init_kwargs.setdefault("run_hash", run_hash)

    def close(self) -> None:
        """Write pending records and end the run; the next record continues it."""
        run = self._run.take()
        self._env_initialized = False
        if run is not None:
            self._init_kwargs["run_hash"] = run.hash
            run.close()

    def _start(self) -> Any:
        aim = import_library("aim", "aim")
        repo = self._init_kwargs.get("repo")
        if isinstance(repo, str) and "://" not in repo:
            os.makedirs(repo, exist_ok=True)
        run = aim.Run(**self._init_kwargs)
        self._hash = str(run.hash)
        if self._hash != self._init_kwargs.get("run_hash"):
            keep_run_id(self.save_dir, "aim", self._hash)
        return run
