"""The tracking backend that records with DVCLive."""

import os
import time
from collections.abc import Mapping, Sequence
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
from engine_visualization.backends._file_end import move_end
from engine_visualization.backends._library import import_library
from engine_visualization.backends._run_facts import nested_values, work_dir_of, written_files
from engine_visualization.backends._run_handle import RunHandle
from engine_visualization.drawing import as_picture, to_image

_FOLDER = "dvclive"
_REPLACED = "dvclive_replaced"


class DVCLiveVisBackend(BaseVisBackend):
    """Record scalars, images, the config and the files of a run with DVCLive.

    The extra ``dvclive`` is required. At the first record DVCLive is imported, and writes to
    ``<save_dir>/dvclive``: a table per scalar, images, ``metrics.json`` and ``params.yaml``. Inside
    a repository of DVC, the end of a run saves an experiment that ``dvc exp show`` lists; set
    ``init_kwargs=dict(save_dvc_exp=False)`` to save none. A resumed training continues its tables,
    which are cut where its checkpoint was saved; ``dvclive_replaced`` has what was cut off.

    A visualizer calls the backend in a thread, so that the training never waits for DVC.

    Args:
        save_dir: Folder of the records.
        artifact_suffix: Ends of the names of the files that `close` tracks in a repository of DVC:
            files of this run in its log folder, and at the top of the config's ``work_dir``.
        init_kwargs: Arguments of `dvclive.Live`. By default its ``dvc.yaml`` is in ``save_dir``.

    Example:
        >>> DVCLiveVisBackend("logs", init_kwargs={"save_dvc_exp": False}).save_dir
        'logs'
    """

    threaded = True
    libraries: ClassVar[Mapping[str, str]] = {"dvclive": "engine-visualization[dvclive]"}

    def __init__(
        self,
        save_dir: str | PathLike[str],
        artifact_suffix: Sequence[str] = (".json", ".py", "yaml"),
        init_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(save_dir)
        self._init_kwargs = dict(init_kwargs or {})
        self._suffixes = tuple(artifact_suffix)
        self._work_dir: Path | None = None
        self._began = time.time() - 1  # clocks of file systems are coarse
        self._continues = False  # the tables of this or an earlier process
        self._live = RunHandle[Any](self._start)

    def _init_env(self) -> None:
        self._live.get()

    @property
    @force_init_env
    def experiment(self) -> Any:
        """The `dvclive.Live`, which the first use starts.

        Raises:
            ImportError: The library is not installed.
        """
        return self._live.get()

    def add_config(self, config: ConfigLike, **kwargs: Any) -> None:
        """Record the values of the config as parameters, and its text as ``config.py``."""
        live = self.experiment
        self._work_dir = work_dir_of(config)
        Path(live.dir, "config.py").write_text(config.pretty_text, encoding="utf-8")
        if values := nested_values(config):
            live.log_params(values)

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Record an image ``(H, W, 3)`` or ``(H, W)``."""
        pixels, live = as_picture(to_image(image)), self.experiment
        # DVC shows the images of one folder by their steps.
        live.log_image(f"{name}/{step}.png", pixels)

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a single number. Other values are skipped, with one warning in the log."""
        self.add_scalars({name: value}, step=step)

    def add_scalars(
        self,
        scalar_dict: Mapping[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Record the numbers of one step; ``file_path`` is unused."""
        live = self.experiment
        for name, value, at in scalars_of(scalar_dict, step):
            number = single_number(self, name, value, "DVCLive")
            if number is not None:
                live.step = at
                live.log_metric(name, number)
        live.make_summary()

    def state_dict(self) -> dict[str, Any]:
        """Return the sizes of the tables in bytes."""
        return {"sizes": {name: file.stat().st_size for name, file in self._tables().items()}}

    def resume(self, state: Mapping[str, Any], save_dir: str) -> None:
        """Continue the tables in ``save_dir``, after the rows that a checkpoint has noted."""
        self.close()
        self._save_dir = save_dir
        self._continues = True
        for name, file in self._tables().items():
            target = Path(save_dir, _REPLACED, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            move_end(file, int(state.get("sizes", {}).get(name, 0)), target)
            if not file.stat().st_size:  # a table that no checkpoint has
                file.unlink()

    def close(self) -> None:
        """Track the files of the run, and end it; the next record continues the tables."""
        live = self._live.take()
        self._env_initialized = False
        if live is not None:
            # Outside of a repository of DVC, each file would only give a warning.
            if getattr(live, "_dvc_repo", None) is not None:
                self._track_files(live)
            live.end()
            self._continues = True

    def _track_files(self, live: Any) -> None:
        for path in written_files(self.save_dir, self._work_dir, self._suffixes, self._began):
            if Path(live.dir) not in path.parents:
                live.log_artifact(str(path), copy=True)

    def _tables(self) -> dict[str, Path]:
        folder = Path(self.save_dir, _FOLDER)
        return {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*.tsv"))}

    def _start(self) -> Any:
        # DVC would send statistics of its use.
        os.environ.setdefault("DVC_NO_ANALYTICS", "1")
        folder = Path(self.save_dir, _FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        own = {"dir": str(folder), "dvcyaml": str(Path(self.save_dir, "dvc.yaml"))}
        settings = {**own, "resume": self._continues, **self._init_kwargs}
        return import_library("dvclive", "dvclive").Live(**settings)
