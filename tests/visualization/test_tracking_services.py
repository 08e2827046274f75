"""What MLflow, Aim and ClearML keep of a run that a visualizer records in a thread."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engine_config import Config
from engine_visualization import Visualizer
from engine_visualization.backends._notices import prints_to_file, records_to_file
from engine_visualization.backends._run_facts import flat_values, nested_values, written_files
from engine_visualization.backends._run_handle import RunHandle

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the libraries' imports


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A config with a secret, and the files of its run."""
    values = {
        "model": {"type": "Net", "layers": [{"type": "Linear", "size": 3}], "sizes": [1, 2]},
        "api_key": "hidden-key",
        "work_dir": str(tmp_path / "work"),
    }
    return Config(values)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run's logs, with files of this run and of an earlier one."""
    folder = tmp_path / "work/20260131_120000"
    folder.mkdir(parents=True)
    (folder.parent / "old.py").write_text("old = 1\n")
    os.utime(folder.parent / "old.py", (0, 0))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return folder


def recorded(home: Path, config: Config, kind: str, **options: Any) -> Visualizer:
    """Record a run through a visualizer, and return it closed."""
    backend = {"type": kind, **options}
    visualizer = Visualizer("services", vis_backends=[backend], save_dir=home)
    (home.parent / "config.py").write_text(config.pretty_text)
    (home / "run.log").write_text("a line\n")
    visualizer.add_config(config)
    visualizer.add_scalars({"loss": 0.5, "note": "text"}, step=7)
    visualizer.close()
    return visualizer


def lost(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings about failed records."""
    return [line for line in caplog.messages if "the tracking backend" in line]


@pytest.mark.slow
def test_mlflow_keeps_config_tags_and_files_and_continues_a_run(
    home: Path, config: Config, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"exp_name": "digits", "tags": {"team": "a"}, "params": {"fold": 3}}
    with caplog.at_level(logging.WARNING):
        first = recorded(home, config, "MLflowVisBackend", run_name="one", **options)
    backend: Any = first.get_backend("MLflowVisBackend")
    from mlflow import MlflowClient

    client = MlflowClient(backend.tracking_uri)
    (experiment,) = client.search_experiments(filter_string="name = 'digits'")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status, run.data.tags["team"]) == ("one", "FINISHED", "a")
    assert run.data.params == {
        "fold": "3",
        "model.type": "Net",
        "model.layers.0.type": "Linear",
        "model.layers.0.size": "3",
        "model.sizes": "[1, 2]",
        "api_key": "***",
        "work_dir": str(home.parent),
    }
    assert run.data.metrics == {"loss": 0.5}
    assert client.get_metric_history(run.info.run_id, "loss")[0].step == 7
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert files == {"config.py", "run.log"}
    assert "'note' is a str" in caplog.text
    assert not lost(caplog)

    monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
    continue_in_mlflow(client, backend.tracking_uri, home.parent / "later", config)
    assert "keeps the first value of a parameter; changed: model.type" in caplog.text
    assert "no key 'modl' to track; did you mean 'model'?" in caplog.text
    assert not lost(caplog)


def continue_in_mlflow(client: Any, uri: str, folder: Path, config: Config) -> None:
    """Continue the run of ``MLFLOW_RUN_ID`` with another config, and check what MLflow has."""
    changed = Config({**config.to_dict(), "model": {"type": "Other"}})
    options = {"tracking_uri": uri, "tracked_config_keys": ["model", "modl"]}
    again = [{"type": "MLflowVisBackend", **options}]
    second = Visualizer("resumed", vis_backends=again, save_dir=folder)

    second.add_config(changed)
    second.add_scalar("loss", 0.25, step=8)
    second.close()

    run_id = os.environ["MLFLOW_RUN_ID"]
    history = client.get_metric_history(run_id, "loss")
    assert [(one.step, one.value) for one in history] == [(7, 0.5), (8, 0.25)]
    assert client.get_run(run_id).data.params["model.type"] == "Net"


@pytest.mark.slow
def test_aim_keeps_the_config_and_continues_a_run(
    home: Path, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"experiment": "digits", "system_tracking_interval": None}
    first = recorded(home, config, "AimVisBackend", init_kwargs=options)
    backend: Any = first.get_backend("AimVisBackend")
    run = backend.experiment
    assert run.experiment == "digits"
    assert run["config"]["model"]["layers"][0] == {"type": "Linear", "size": 3}
    assert run["config"]["api_key"] == "***"
    assert "hidden-key" not in run["config_text"]
    key = run.hash
    backend.close()

    options = {"repo": backend.save_dir, "run_hash": key, "system_tracking_interval": None}
    again = [{"type": "AimVisBackend", "init_kwargs": options}]
    second = Visualizer("resumed", vis_backends=again, save_dir=home.parent / "later")
    second.add_scalar("loss", 0.25, step=8)
    second.close()

    continued: Any = second.get_backend("AimVisBackend")
    (metric,) = continued.experiment.metrics()
    assert sorted(metric.values.values_list()) == [0.25, 0.5]
    continued.close()
    assert not (home.parent / "later").exists()
    assert not lost(caplog)


@pytest.mark.slow
def test_clearml_keeps_config_and_files_and_patches_nothing(
    home: Path,
    config: Config,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    hurry_clearml: Callable[[pytest.MonkeyPatch], None],
) -> None:
    import torch

    monkeypatch.setenv("CLEARML_OFFLINE_MODE", "1")
    monkeypatch.setenv("CLEARML_CACHE_DIR", str(home.parent / "cache"))
    monkeypatch.setenv("CLEARML_CONFIG_FILE", str(home / "no_such.conf"))
    hurry_clearml(monkeypatch)
    save, options = torch.save, {"auto_resource_monitoring": False}
    (home.parent / "epoch_1.pth").write_bytes(b"weights")

    recorded(home, config, "ClearMLVisBackend", init_kwargs=options)

    assert torch.save is save
    (session,) = (path for path in (home.parent / "cache/offline").iterdir() if path.is_dir())
    text = (session / "task.json").read_text()
    assert '"work/20260131_120000"' in text
    assert "model.layers.0.size" in text
    assert "hidden-key" not in text
    assert {path.name for path in session.rglob("*.pth")} == {"epoch_1.pth"}
    assert {path.name for path in session.rglob("*.py")} == {"config.py"}
    assert '"iter": 7' in (session / "metrics.jsonl").read_text()
    assert not lost(caplog)


def test_notices_of_a_library_go_to_the_log_file(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    library = ModuleType("library")
    exec("def tell(text):\n    print(text)\n", vars(library))
    logger = logging.getLogger("library.start")
    shown: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: shown.append(record.getMessage())  # type: ignore[method-assign]  # of this one
    logger.addHandler(handler)
    logger.setLevel("INFO")
    for _ in range(2):  # each start of a run
        prints_to_file(library, start="Library ")
        records_to_file("library.start")

    with caplog.at_level(logging.INFO, "engine.visualization"):
        library.tell("Library has begun")
        library.tell("the user's text")
        logger.info("creating tables")
        logger.error("no space left")

    assert capsys.readouterr().out == "the user's text\n"
    assert shown == ["no space left"]
    ours = [record for record in caplog.records if record.name == "engine.visualization"]
    assert [record.getMessage() for record in ours] == [
        "Library: Library has begun",
        "library.start: creating tables",
    ]
    assert all(record.__dict__["file_only"] for record in ours)


def test_run_is_started_once_for_all_threads() -> None:
    started: list[int] = []

    def start() -> int:
        time.sleep(0.05)  # long enough for the other threads to ask
        started.append(len(started) + 1)
        return started[-1]

    handle = RunHandle(start)
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: handle.get(), range(4)))

    assert runs == [1, 1, 1, 1]
    assert (handle.take(), handle.take(), handle.get()) == (1, None, 2)


def test_values_of_a_config_become_plain() -> None:
    cfg = {"a": {"b": (1, None), "kind": int}, "c": [[1], {"d": True}], 3: "x"}

    assert nested_values(cfg) == {
        "a": {"b": [1, None], "kind": "<class 'int'>"},
        "c": [[1], {"d": True}],
        "3": "x",
    }
    assert flat_values(cfg, ["a", "c"]) == {
        "a.b": "[1, None]",
        "a.kind": "<class 'int'>",
        "c.0": "[1]",
        "c.1.d": True,
    }
    assert flat_values(object()) == {}


def test_files_of_earlier_runs_are_left_out(tmp_path: Path) -> None:
    logs = tmp_path / "work/20260131"
    written = ("vis_data/scalars.json", "vis_data/.aim/seqs/1.log", "run.log", "old.log")
    for name in (*written, "../epoch_1.pth", "../other/a.log"):
        (logs / name).parent.mkdir(parents=True, exist_ok=True)
        (logs / name).write_text("x")
    os.utime(logs / "old.log", (0, 0))

    found = written_files(
        str(logs / "vis_data"), tmp_path / "work", [".log", ".pth", "json"], time.time() - 60
    )

    names = [path.relative_to(tmp_path / "work").as_posix() for path in found]
    assert names == ["20260131/run.log", "20260131/vis_data/scalars.json", "epoch_1.pth"]


@pytest.fixture(autouse=True)
def _close_visualizers() -> Iterator[None]:
    yield
    for name in ("services", "resumed"):
        Visualizer.release_instance(name)
