"""Run all tracking backends in the same way, and give them a config."""

import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine_registry import VISBACKENDS
from engine_visualization import BaseVisBackend
from engine_visualization.backends import _registry, _table
from engine_visualization.backends._row import BackendRow

HERE = Path(__file__).parent


class FakeConfig:
    """A config as backends see it: text, and a dump that writes the text."""

    pretty_text = "a = 1\nb = dict(c=[0, 1])\n"

    def dump(self, file: str | None = None) -> str | None:
        if file is None:
            return self.pretty_text
        Path(file).write_text(self.pretty_text)
        return None


@pytest.fixture
def config() -> FakeConfig:
    return FakeConfig()


@pytest.fixture
def blank() -> np.ndarray:
    """A black image."""
    return np.zeros((64, 80, 3), dtype=np.uint8)


@dataclass
class Records:
    """The records of a service at one time.

    Attributes:
        scalars: The last number of each name.
        images: The names of images.
        config: The text of the config.
    """

    scalars: dict[str, float]
    images: set[str]
    config: str


Reader = Callable[[Any, Path], Records]


@dataclass(frozen=True, kw_only=True)
class Tracker:
    """One tracking backend in the contract suite.

    Attributes:
        read: Read what was recorded, given the backend, still open, and its folder.
        options: Arguments of the backend beside ``save_dir``.
        library: The library that is imported at the first record.
        prepare: Called before the first record.
        environment: Environment variables; ``{folder}`` is a folder beside that of the backend.
    """

    read: Reader
    options: Mapping[str, Any] = field(default_factory=dict)
    library: str | None = None
    prepare: Callable[[pytest.MonkeyPatch], None] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


_TRACKERS: dict[str, Tracker] = {}


def _tracker(name: str, **settings: Any) -> Callable[[Reader], Reader]:
    """Add a backend to the contract suite, under the name of its row."""

    def add(read: Reader) -> Reader:
        _TRACKERS[name] = Tracker(read=read, **settings)
        return read

    return add


@_tracker("LocalVisBackend")
def _read_local(_: Any, folder: Path) -> Records:
    scalars: dict[str, float] = {}
    for line in (folder / "scalars.json").read_text().splitlines():
        scalars |= json.loads(line)
    scalars.pop("step")
    images = {file.name.rpartition("_")[0] for file in (folder / "vis_image").iterdir()}
    return Records(scalars, images, (folder / "config.py").read_text())


@_tracker("TensorboardVisBackend", library="tensorboard")
def _read_tensorboard(backend: Any, folder: Path) -> Records:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    backend.experiment.flush()
    events = EventAccumulator(str(folder))
    events.Reload()
    tags = events.Tags()
    text = events.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    return Records(
        {name: events.Scalars(name)[-1].value for name in tags["scalars"]},
        set(tags["images"]),
        "".join(line.removeprefix("    ") for line in text.splitlines(keepends=True)),
    )


# wandb would read the metadata of each installed package.
_QUIET = {"console": "off", "silent": True, "disable_git": True, "x_save_requirements": False}
_OFFLINE = {"mode": "offline", "project": "engine", "settings": _QUIET}


@pytest.fixture(scope="session", name="wandb_offline")
def _wandb_offline() -> Mapping[str, Any]:
    """Arguments of a W&B run without a server."""
    return _OFFLINE


@_tracker(
    "WandbVisBackend",
    library="wandb",
    options={"init_kwargs": _OFFLINE, "define_metric_cfg": {"acc": "max"}},
)
def _read_wandb(backend: Any, folder: Path) -> Records:
    run = backend.experiment.run
    assert list(folder.glob("wandb/offline-run-*/run-*.wandb"))
    scalars, images = {}, set()
    for name, value in dict(run.summary).items():
        if hasattr(value, "keys") and "max" in value.keys():  # noqa: SIM118 - not a mapping
            scalars[name] = value["max"]
        elif hasattr(value, "keys"):
            images.add(name)
        elif not name.startswith("_") and name != "iter":
            scalars[name] = value
    return Records(scalars, images, run.config["config"])


@_tracker("MLflowVisBackend", library="mlflow", environment={"MLFLOW_DISABLE_TELEMETRY": "true"})
def _read_mlflow(backend: Any, folder: Path) -> Records:
    client = sys.modules["mlflow"].MlflowClient(backend.tracking_uri)
    run = client.get_run(backend.run_id)
    images = {
        Path(file.path).name.split("+")[0]
        for file in client.list_artifacts(run.info.run_id, "images")
    }
    (text,) = (folder / "mlflow_artifacts").glob("*/artifacts/config.py")
    return Records(run.data.metrics, images, text.read_text())


@_tracker(
    "AimVisBackend", library="aim", options={"init_kwargs": {"system_tracking_interval": None}}
)
def _read_aim(backend: Any, folder: Path) -> Records:
    run = backend.experiment
    scalars = {metric.name: metric.values.last()[1] for metric in run.metrics()}
    images = {image["name"] for image in run.collect_sequence_info(("images",))["images"]}
    return Records(scalars, images, run["config_text"])


_CLEARML = {
    "HOME": "{folder}",
    "CLEARML_OFFLINE_MODE": "1",
    "CLEARML_CACHE_DIR": "{folder}",
    "CLEARML_CONFIG_FILE": "{folder}/no_such.conf",
}


def hurry_clearml(patch: pytest.MonkeyPatch) -> None:
    """Send events ten times per second: a task waits for the next time when it is closed."""
    from clearml.backend_interface.metrics import reporter

    start = reporter.BackgroundReportService.__init__

    def hurried(self: Any, **arguments: Any) -> None:
        start(self, **arguments | {"flush_frequency": 0.1})

    patch.setattr(reporter.BackgroundReportService, "__init__", hurried)


@pytest.fixture(name="hurry_clearml")
def _hurry_clearml() -> Callable[[pytest.MonkeyPatch], None]:
    return hurry_clearml


@_tracker(
    "ClearMLVisBackend",
    library="clearml",
    prepare=hurry_clearml,
    options={"init_kwargs": {"auto_resource_monitoring": False}},
    environment=_CLEARML,
)
def _read_clearml(backend: Any, _: Path) -> Records:
    task = backend.experiment
    task.flush(wait_for_uploads=True)
    lines = (task.get_offline_mode_folder() / "metrics.jsonl").read_text().splitlines()
    events = [event for line in lines for event in json.loads(line)]
    scalars = {e["metric"]: e["value"] for e in events if e["type"] == "training_stats_scalar"}
    images = {e["metric"] for e in events if e["type"] == "training_debug_image"}
    return Records(scalars, images, task.get_configuration_object("config"))


@_tracker(
    "DVCLiveVisBackend",
    library="dvclive",
    options={"init_kwargs": {"save_dvc_exp": False}},
    environment={"DVC_NO_ANALYTICS": "1"},
)
def _read_dvclive(_: Any, folder: Path) -> Records:
    live = folder / "dvclive"
    scalars = json.loads((live / "metrics.json").read_text())
    scalars.pop("step")
    images = {image.parent.name for image in (live / "plots/images").rglob("*.png")}
    return Records(scalars, images, (live / "config.py").read_text())


@_tracker("NeptuneVisBackend", library="neptune", options={"init_kwargs": {"mode": "offline"}})
def _read_neptune(backend: Any, _: Path) -> Records:
    backend.experiment.wait(disk_only=True)
    scalars, images, config = {}, set(), ""
    for file in sorted(Path(".neptune").rglob("data-*.log"), key=lambda one: one.stat().st_mtime):
        for operation in _json_values(file.read_text()):
            kind, name = operation["obj"]["type"], "/".join(operation["obj"]["path"])
            if kind == "LogFloats":
                scalars[name] = operation["obj"]["values"][-1]["value"]
            elif kind == "LogImages":
                images.add(name)
            elif kind == "UploadFile" and name == "config":
                upload = operation["obj"]["tmp_file_name"]
                config = file.parent.joinpath("upload_path", upload).read_text()
    return Records(scalars, images, config)


def _json_values(text: str) -> Iterator[Any]:
    decoder, place = json.JSONDecoder(), 0
    while (begin := text.find("{", place)) >= 0:
        value, place = decoder.raw_decode(text, begin)
        yield value


@_tracker("ToyVisBackend")
def _read_toy(backend: Any, _: Path) -> Records:
    records = dict(backend.records)
    images = {name for name, value in records.items() if isinstance(value, np.ndarray)}
    config = records.pop("config")
    return Records({n: v for n, v in records.items() if n not in images}, images, config)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendRow]:
    """A new backend, added as ours are: one file and one row."""
    folder = tmp_path_factory.mktemp("source")
    shutil.copy(HERE / "toy_vis_backend.py", folder)
    row = BackendRow("ToyVisBackend", "toy_vis_backend:ToyVisBackend")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setattr(_registry, "ROWS", (*_table.ROWS, row))
        _registry.add_row(row)
        yield row
        VISBACKENDS.module_dict.pop(row.name, None)
        sys.modules.pop("toy_vis_backend", None)


@dataclass
class Recording:
    """The records of one backend after all methods have been called.

    Attributes:
        tracker: How the suite uses the backend.
        backend: The backend, closed twice.
        touched: Whether it wrote to its folder before the first record.
        given: The dict of scalars, after the backend got it.
        records: The records of the service before the backend was closed.
        later: The records after the backend was closed and used again.
    """

    tracker: Tracker
    backend: BaseVisBackend
    touched: bool
    given: dict[str, Any]
    records: Records
    later: Records


@pytest.fixture(scope="module", params=_TRACKERS)
def recording(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Recording]:
    """Run each tracking backend once for all tests, because a service takes seconds to start."""
    name, tracker = request.param, _TRACKERS[request.param]
    if tracker.library is not None and find_spec(tracker.library) is None:
        pytest.skip(f"{tracker.library} is not installed")
    if name == "ToyVisBackend":
        request.getfixturevalue("toy")
    folder = tmp_path_factory.mktemp("records") / "run"
    environment = dict(os.environ)
    beside = tmp_path_factory.mktemp("beside")
    os.environ |= {key: text.format(folder=beside) for key, text in tracker.environment.items()}
    backend = _registry.build_backend({"type": name, "save_dir": str(folder), **tracker.options})
    backend.close()
    touched = folder.exists()
    given = {"loss": torch.tensor([0.5]), "acc": np.float32(0.75)}
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(beside)  # wandb copies the code below the working directory
        warnings.simplefilter("ignore", DeprecationWarning)  # the libraries use old names of others
        if tracker.prepare is not None:
            tracker.prepare(patch)
        _record(backend, given)
        records = tracker.read(backend, folder)
        backend.close()
        backend.close()
        _record(backend, {"again": 1})
        later = tracker.read(backend, folder)
        backend.close()
    yield Recording(tracker, backend, touched, given, records, later)
    if tracker.library == "wandb":
        sys.modules["wandb"].teardown()  # ends the service process of wandb
    os.environ.clear()
    os.environ.update(environment)


def _record(backend: BaseVisBackend, scalars: Mapping[str, Any]) -> None:
    backend.add_config(config=FakeConfig())
    backend.add_graph(model=torch.nn.Linear(2, 2), data_batch=[])
    backend.add_scalar(name="count", value=3, step=1)
    backend.add_scalars(scalar_dict=scalars, step=1, file_path=None)
    backend.add_image(name="demo", image=np.zeros((8, 8, 3), dtype=np.uint8), step=1)


@pytest.fixture
def under_contract() -> set[str]:
    """The names of the rows whose backends the contract suite runs."""
    return set(_TRACKERS)
