"""The tracking backend that records to Neptune."""

from collections.abc import Mapping
from os import PathLike
from typing import Any, ClassVar
from uuid import uuid4

import numpy as np

from engine_visualization.backends._base import (
    BaseVisBackend,
    ConfigLike,
    force_init_env,
    scalars_of,
    single_number,
)
from engine_visualization.backends._library import import_library
from engine_visualization.backends._run_facts import flat_values
from engine_visualization.backends._run_handle import RunHandle
from engine_visualization.backends._run_id import keep_run_id, kept_run_id
from engine_visualization.drawing import to_image

# Neptune would read the source files and the repository, and capture what the training prints.
_QUIET = {
    "capture_stdout": False,
    "capture_stderr": False,
    "capture_hardware_metrics": False,
    "capture_traceback": False,
    "source_files": [],
}


class NeptuneVisBackend(BaseVisBackend):
    """Record scalars, images and the config of a run to Neptune.

    The extra ``neptune`` is required. At the first record Neptune is imported and a run is started.
    ``init_kwargs={"mode": "offline"}`` keeps the run below ``.neptune`` in the current folder, from
    where ``neptune sync`` uploads it. A resumed training continues its run; Neptune leaves out the
    values of steps that it has already.

    A visualizer calls the backend in a thread, so that the training never waits for the server.

    Args:
        save_dir: Folder in which the id of the run is kept.
        init_kwargs: Arguments of `neptune.init_run`, such as ``project``, ``api_token``, ``mode``
            and ``with_id`` (a run to continue). Output and hardware are not captured by default.

    Example:
        >>> NeptuneVisBackend("logs", init_kwargs={"mode": "offline"}).save_dir
        'logs'
    """

    threaded = True
    write_delay = 10.0
    libraries: ClassVar[Mapping[str, str]] = {"neptune": "engine-visualization[neptune]"}
    secrets: ClassVar[tuple[str, ...]] = ("api_token",)

    def __init__(
        self,
        save_dir: str | PathLike[str] | None = None,
        init_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__("." if save_dir is None else save_dir)
        self._init_kwargs = {**_QUIET, **(init_kwargs or {})}
        # Neptune joins the parts of a run by such an id, of offline runs, too.
        self._id: str = self._init_kwargs.pop("custom_run_id", None) or uuid4().hex
        self._run = RunHandle[Any](self._start)

    def _init_env(self) -> None:
        self._run.get()

    @property
    @force_init_env
    def experiment(self) -> Any:
        """The `neptune.Run`, which the first use starts.

        Raises:
            ImportError: The library is not installed.
        """
        return self._run.get()

    def add_config(self, config: ConfigLike, **kwargs: Any) -> None:
        """Record the text of the config as the file ``config``, and its values as parameters."""
        content = import_library("neptune", "neptune.types").File.from_content
        self.experiment["config"].upload(content(config.pretty_text, extension="py"))
        for name, value in flat_values(config).items():
            self.experiment[f"parameters/{name.replace('.', '/')}"] = str(value)

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Record an image ``(H, W, 3)`` or ``(H, W)``."""
        pixels = to_image(image) / 255  # Neptune takes floats from 0 to 1
        picture = import_library("neptune", "neptune.types").File.as_image(pixels)
        self.experiment[name].append(picture, step=step)

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a single number. Other values are skipped, with one warning in the log."""
        number = single_number(self, name, value, "Neptune")
        if number is not None:
            self.experiment[name].append(number, step=step)

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
        """Return the id of the run."""
        return {"run_id": self._id}

    def resume(self, state: Mapping[str, Any], save_dir: str) -> None:
        """Continue the run of an earlier process."""
        self._save_dir = save_dir
        self._id = state.get("run_id") or kept_run_id(save_dir, "neptune") or self._id

    def close(self) -> None:
        """Write pending records and end the run; the next record continues it."""
        run = self._run.take()
        self._env_initialized = False
        if run is not None:
            run.stop()

    def _start(self) -> Any:
        named = {} if "with_id" in self._init_kwargs else {"custom_run_id": self._id}
        run = import_library("neptune", "neptune").init_run(**named, **self._init_kwargs)
        keep_run_id(self.save_dir, "neptune", self._id)
        return run
