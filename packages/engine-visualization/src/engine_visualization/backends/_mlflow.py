"""The tracking backend that records to MLflow."""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from engine_visualization.backends._base import (
    BaseVisBackend,
    ConfigLike,
    force_init_env,
    single_number,
)
from engine_visualization.backends._library import import_library
from engine_visualization.backends._notices import records_to_file
from engine_visualization.backends._run_facts import flat_values, work_dir_of, written_files
from engine_visualization.backends._run_handle import RunHandle
from engine_visualization.backends._run_id import keep_run_id, kept_run_id
from engine_visualization.drawing import to_image

_logger = logging.getLogger("engine.visualization")

_EXPERIMENT = "engine"
_BATCH = 100  # the most parameters that MLflow takes in one call
_LONGEST = 500  # characters of a parameter; some servers take no more
_STORE = "mlflow.db"
_ARTIFACTS = "mlflow_artifacts"


class MLflowVisBackend(BaseVisBackend):
    """Record scalars, images, the config and the files of a run to MLflow.

    The extra ``mlflow`` is required. At the first record MLflow is imported and a run is started.
    Without ``tracking_uri`` the run is stored in a database below ``save_dir``, which
    ``mlflow ui --backend-store-uri sqlite:///<save_dir>/mlflow.db`` shows. A resumed training
    continues its run. MLflow cannot replace a value, so a value at a step that the run has already
    is left out. To continue another run, set MLflow's environment variable ``MLFLOW_RUN_ID``.

    A visualizer calls the backend in a thread, so that the training never waits for the server.

    Args:
        save_dir: Folder for the local files.
        exp_name: Name of the experiment, ``"engine"`` by default.
        run_name: Name of the run. By default MLflow chooses it.
        tags: Tags of the run.
        params: Parameters of the run, beside those of the config.
        tracking_uri: Address of the server or of the store.
        artifact_suffix: Ends of the names of the files that `close` uploads: files of this run in
            its log folder, and at the top of the config's ``work_dir``.
        tracked_config_keys: The top-level keys of the config to record as parameters; all by
            default.
        artifact_location: Where a new experiment stores its files. By default the server decides.
        close_timeout: Time limit in seconds for the pending records and uploads at the end.

    Example:
        >>> MLflowVisBackend("logs", exp_name="digits").save_dir
        'logs'
    """

    threaded = True
    libraries: ClassVar[Mapping[str, str]] = {"mlflow": "engine-visualization[mlflow]"}

    def __init__(
        self,
        save_dir: str | PathLike[str],
        exp_name: str | None = None,
        run_name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        tracking_uri: str | None = None,
        artifact_suffix: Sequence[str] = (".json", ".log", ".py", "yaml"),
        tracked_config_keys: Sequence[str] | None = None,
        artifact_location: str | None = None,
        *,
        close_timeout: float = 60.0,
    ) -> None:
        super().__init__(save_dir)
        self._experiment_name = exp_name or _EXPERIMENT
        self._run_name = run_name
        self._tags = dict(tags or {})
        self._params = dict(params or {})
        self._tracking_uri = tracking_uri
        self._suffixes = tuple(artifact_suffix)
        self._tracked = tracked_config_keys
        self._artifacts = artifact_location
        self.close_timeout = close_timeout
        self._work_dir: Path | None = None
        self._began = time.time() - 1  # clocks of file systems are coarse
        self._recorded: dict[str, str] = {}
        self._run_id: str | None = None  # of the last run, which the next record continues
        self._resumes = False  # a run of an earlier process
        self._recorded_steps: dict[str, dict[int, float]] = {}  # by metric, before the resume
        self._differing: set[str] = set()  # the metrics that were logged as different
        self._run = RunHandle[tuple[Any, str]](self._start)

    @property
    def tracking_uri(self) -> str:
        """The address of the server or store."""
        if self._tracking_uri is not None:
            return self._tracking_uri
        return f"sqlite:///{Path(self.save_dir).absolute() / _STORE}"

    def _init_env(self) -> None:
        self._run.get()

    @force_init_env
    def _opened(self) -> tuple[Any, str]:
        """Return the client and the id of the run, which the first use starts."""
        return self._run.get()

    @property
    def run_id(self) -> str:
        """The id of the run in MLflow; the first use starts it."""
        return self._opened()[1]

    @property
    def experiment(self) -> Any:
        """The module ``mlflow``, in which the run is the active one of this thread.

        Raises:
            ImportError: The library is not installed.
        """
        _, run_id = self._opened()
        mlflow = import_library("mlflow", "mlflow")
        mlflow.set_tracking_uri(self.tracking_uri)
        if mlflow.active_run() is None:
            mlflow.start_run(run_id=run_id)
        return mlflow

    def add_config(self, config: ConfigLike, **kwargs: Any) -> None:
        """Record the text of the config as ``config.py``, and its values as parameters."""
        client, run_id = self._opened()
        client.log_text(run_id, config.pretty_text, "config.py")
        self._work_dir = work_dir_of(config)
        self._log_params(client, run_id, flat_values(config, self._tracked))

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Record an image ``(H, W, 3)`` or ``(H, W)``."""
        pixels = to_image(image)
        client, run_id = self._opened()
        client.log_image(run_id, pixels, key=name, step=step)

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
        client, run_id = self._opened()
        metric = import_library("mlflow", "mlflow.entities").Metric
        at, now = int(scalar_dict.get("step", step)), int(time.time() * 1000)
        metrics = []
        for name, value in scalar_dict.items():
            number = None if name == "step" else single_number(self, name, value, "MLflow")
            if number is not None and not self._has(client, run_id, name, at, number):
                metrics.append(metric(name, number, now, at))
        client.log_batch(run_id, metrics=metrics)

    def state_dict(self) -> dict[str, Any]:
        """Return the id of the run, if it has begun."""
        return {"run_id": self._run_id}

    def resume(self, state: Mapping[str, Any], save_dir: str) -> None:
        """Continue the run of an earlier process."""
        self._save_dir = save_dir
        run_id = state.get("run_id") or kept_run_id(save_dir, "mlflow")
        if run_id and not os.environ.get("MLFLOW_RUN_ID"):
            self._run_id, self._resumes = run_id, True
            self._recorded_steps = {}  # a run that rolls back has recorded more by now

    def _has(self, client: Any, run_id: str, name: str, step: int, value: float) -> bool:
        """Return whether an earlier process has recorded a metric at a step."""
        if not self._resumes:
            return False
        if name not in self._recorded_steps:
            history = client.get_metric_history(run_id, name)
            self._recorded_steps[name] = {one.step: one.value for one in history}
        earlier = self._recorded_steps[name].get(step)
        if earlier is None:
            return False
        if earlier != value and not name.endswith("time") and name not in self._differing:
            self._differing.add(name)
            _logger.warning(
                "MLflow keeps the first value of a metric at a step; %r had %s at step %d before "
                "the resume, and has %s now",
                *(name, earlier, step, value),
            )
        return True

    def close(self) -> None:
        """Upload the files of the run and end it; the next record continues the run."""
        run = self._run.take()
        self._env_initialized = False
        if run is not None:
            client, run_id = run
            for path in written_files(self.save_dir, self._work_dir, self._suffixes, self._began):
                if _ARTIFACTS not in path.parts:
                    client.log_artifact(run_id, str(path))
            client.set_terminated(run_id)

    def _start(self) -> tuple[Any, str]:
        mlflow = import_library("mlflow", "mlflow")
        if "MLFLOW_LOGGING_LEVEL" not in os.environ:
            records_to_file("mlflow.store.db.utils")  # how it creates the tables of the store
        os.makedirs(self.save_dir, exist_ok=True)
        client = mlflow.MlflowClient(self.tracking_uri)
        earlier = self._run_id or os.environ.get("MLFLOW_RUN_ID")
        if earlier:
            client.update_run(earlier, status="RUNNING")
            self._run_id = earlier
            return client, earlier
        run = client.create_run(self._experiment_id(client), run_name=self._run_name)
        for name, value in self._tags.items():
            client.set_tag(run.info.run_id, name, value)
        self._log_params(client, run.info.run_id, self._params)
        self._run_id = str(run.info.run_id)
        keep_run_id(self.save_dir, "mlflow", self._run_id)
        return client, self._run_id

    def _experiment_id(self, client: Any) -> str:
        found = client.get_experiment_by_name(self._experiment_name)
        if found is not None:
            return str(found.experiment_id)
        place = self._artifacts
        if place is None and self._tracking_uri is None:  # else in the current folder
            place = (Path(self.save_dir).absolute() / _ARTIFACTS).as_uri()
        return str(client.create_experiment(self._experiment_name, artifact_location=place))

    def _log_params(self, client: Any, run_id: str, values: Mapping[str, Any]) -> None:
        """Record parameters that are new; MLflow raises for one whose value has changed."""
        param = import_library("mlflow", "mlflow.entities").Param
        if not self._recorded:  # of a run that is continued
            self._recorded = dict(client.get_run(run_id).data.params)
        texts = {name: str(value)[:_LONGEST] for name, value in values.items()}
        new = {name: text for name, text in texts.items() if name not in self._recorded}
        changed = [name for name in texts if self._recorded.get(name, texts[name]) != texts[name]]
        if changed:
            _logger.warning(
                "MLflow keeps the first value of a parameter; changed: %s", ", ".join(changed)
            )
        for batch in _batches(new):
            client.log_batch(run_id, params=[param(name, text) for name, text in batch])
        self._recorded |= new


def _batches(values: Mapping[str, str]) -> Iterator[list[tuple[str, str]]]:
    items = iter(values.items())
    return iter(lambda: list(islice(items, _BATCH)), [])
