"""A training with all trackers, which is killed and resumed, as each service has recorded it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.visualization.wandb_file import wandb_records, wandb_rows

if TYPE_CHECKING:
    from conftest import Scripts

SCRIPT = Path(__file__).with_name("tracked_script.py")
Points = list[tuple[int, float]]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of the libraries
]


class Tracked(NamedTuple):
    """Folders of a training that was killed and resumed, and the lines of one that was not."""

    records: Path
    sessions: Path
    expected: list[dict[str, Any]]
    outputs: list[str]


def lines(folder: Path) -> list[dict[str, Any]]:
    (file,) = folder.glob("work/*/vis_data/scalars.json")
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def tracked(scripts: "Scripts", tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    folder = tmp_path_factory.mktemp("tracked")
    sessions = folder / "clearml"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("CLEARML_OFFLINE_MODE", "1")
        patch.setenv("CLEARML_CACHE_DIR", str(sessions))
        patch.setenv("CLEARML_CONFIG_FILE", str(folder / "no_such.conf"))
        whole = scripts.run(SCRIPT, folder / "whole", "alone", folder=folder)
        killed = scripts.run(SCRIPT, folder / "parts", "kill", folder=folder)
        resumed = scripts.run(SCRIPT, folder / "parts", "resume", folder=folder)
    assert (whole.returncode, killed.returncode, resumed.returncode) == (0, -9, 0), resumed.stdout
    (records,) = (file.parent for file in folder.glob("parts/work/*/vis_data/scalars.json"))
    return Tracked(records, sessions, lines(folder / "whole"), [killed.stdout, resumed.stdout])


def expected(tracked: Tracked, name: str) -> Points:
    return [(line["step"], line[name]) for line in tracked.expected if name in line]


def local_points(tracked: Tracked, name: str) -> Points:
    found = map(json.loads, (tracked.records / "scalars.json").read_text().splitlines())
    return [(line["step"], line[name]) for line in found if name in line]


def tensorboard_points(tracked: Tracked, name: str) -> Points:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tracked.records)).Reload().Scalars(name)
    return [(one.step, one.value) for one in events]


def mlflow_points(tracked: Tracked, name: str) -> Points:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tracked.records / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'engine'")
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, name)
    return sorted((one.step, one.value) for one in history)


def aim_points(tracked: Tracked, name: str) -> Points:
    from aim import Repo, Run  # type: ignore[attr-defined]  # it exports without __all__

    repo = Repo.from_path(str(tracked.records))
    (key,) = repo.list_all_runs()
    # Not read only: that needs an index, which `aim up` makes.
    run = Run(key, repo=repo, system_tracking_interval=None, capture_terminal_logs=False)
    (metric,) = (one for one in run.metrics() if one.name == name)
    steps, (values, *_) = metric.data.items_list()
    run.close()
    return sorted(zip(steps, values, strict=True))


def clearml_points(tracked: Tracked, name: str) -> Points:
    """Read the only session, in the order of its events; a server keeps the last of a step."""
    files = list(tracked.sessions.glob("offline/offline-*/metrics.jsonl"))
    events = [event for file in files for one in file.open() for event in json.loads(one)]
    return sorted({e["iter"]: e["value"] for e in events if e.get("metric") == name}.items())


def wandb_points(tracked: Tracked, name: str) -> Points:
    return [(row["iter"], row[name]) for row in wandb_rows(tracked.records) if name in row]


READERS = {
    "local": local_points,
    "tensorboard": tensorboard_points,
    "wandb": wandb_points,
    "mlflow": mlflow_points,
    "aim": aim_points,
    "clearml": clearml_points,
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_killed_and_resumed_training_has_each_loss_once_at_its_iteration(
    tracked: Tracked, read: Callable[[Tracked, str], Points]
) -> None:
    found = read(tracked, "loss")

    assert [step for step, _ in found] == list(range(1, 13))
    values = [value for _, value in expected(tracked, "loss")]
    assert [value for _, value in found] == pytest.approx(values, rel=1e-6)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_metrics_of_validations_are_at_their_epochs_and_in_wandb_at_their_iterations(
    tracked: Tracked, read: Callable[[Tracked, str], Points]
) -> None:
    found = read(tracked, "error")

    steps = [4, 8, 12] if read is wandb_points else [1, 2, 3]
    assert [step for step, _ in found] == steps
    values = [value for _, value in expected(tracked, "error")]
    assert [value for _, value in found] == pytest.approx(values, rel=1e-6)


def test_trackers_write_neither_warnings_nor_notices_over_the_log(tracked: Tracked) -> None:
    for output in tracked.outputs:
        assert "tracking backend" not in output
        assert not [text for text in output.splitlines() if text.startswith(("wandb", "ClearML"))]
        assert not [text for text in output.splitlines() if "mlflow" in text or "alembic" in text]


def test_config_of_the_resumed_training_is_in_each_service(tracked: Tracked) -> None:
    (text,) = tracked.records.glob("mlflow_artifacts/*/artifacts/config.py")
    assert "class" not in text.read_text()
    assert "type='Slope'" in text.read_text()
    assert "type='Slope'" in (tracked.records / "config.py").read_text()


def test_x_axis_of_wandb_is_the_iteration(tracked: Tracked) -> None:
    files = sorted(tracked.records.glob("wandb/offline-run-*/run-*.wandb"))
    definitions = [
        (record.metric.glob_name or record.metric.name, record.metric.step_metric)
        for record in wandb_records(files[-1])
        if record.HasField("metric")
    ]

    assert ("*", "iter") in definitions


def test_stuck_tracker_lets_a_training_save_and_end_on_sigterm(
    scripts: "Scripts", tmp_path: Path
) -> None:
    """Its server is a real socket, which accepts and never answers."""
    ended = scripts.run(SCRIPT, tmp_path / "stuck", "alone", "stuck", folder=tmp_path)

    assert ended.returncode == 143, ended.stdout
    assert (tmp_path / "stuck/work/interrupted.pth").is_file()
    assert [line["step"] for line in lines(tmp_path / "stuck") if "loss" in line] == [*range(1, 9)]
    assert ended.stdout.count("the tracking backend 'Stuck'") == 1
    assert "was not closed within 0.5 s" in ended.stdout
    assert "remove it from vis_backends" in ended.stdout
