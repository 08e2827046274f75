"""Records of a run that is killed and resumed: none is lost, and none comes twice."""

import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from engine_config import Config
from engine_visualization import BaseVisBackend, Visualizer
from engine_visualization.backends import WandbVisBackend

Points = list[tuple[int, float]]


def attempt(folder: Path, config: dict[str, Any], number: int, resumed: Any = None) -> Visualizer:
    """Return the visualizer of an attempt, which continues in the folder of the first one."""
    visualizer = Visualizer(
        f"attempt {number}", vis_backends=[config], save_dir=folder / f"attempt_{number}"
    )
    visualizer.add_config(Config({"number": 1}))
    if resumed is not None:
        visualizer.resume(resumed, str(folder / "attempt_1" / "vis_data"))
    return visualizer


def record(visualizer: Visualizer, steps: range) -> None:
    for step in steps:
        visualizer.add_scalars({"loss": step / 4}, step=step)


def local_points(backend: Any) -> Points:
    lines = Path(backend.save_dir, "scalars.json").read_text().splitlines()
    return [(line["step"], line["loss"]) for line in map(json.loads, lines)]


def tensorboard_points(backend: Any) -> Points:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return [(one.step, one.value) for one in EventAccumulator(backend.save_dir).Reload().Scalars(
        "loss"
    )]  # fmt: skip


def mlflow_points(backend: Any) -> Points:
    from mlflow import MlflowClient

    client = MlflowClient(backend.tracking_uri)
    (experiment,) = client.search_experiments(filter_string="name = 'engine'")
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "loss")
    return [(one.step, one.value) for one in history]


def aim_points(backend: Any) -> Points:
    (metric,) = (one for one in backend.experiment.metrics() if one.name == "loss")
    steps, (values, *_) = metric.data.items_list()
    backend.close()
    return sorted(zip(steps, values, strict=True))


def clearml_points(backend: Any) -> Points:
    """Read the only session; a server replaces the earlier value of an iteration."""
    (session,) = Path(os.environ["CLEARML_CACHE_DIR"]).glob("offline/offline-*/metrics.jsonl")
    events = [event for line in session.read_text().splitlines() for event in json.loads(line)]
    return sorted({one["iter"]: one["value"] for one in events if "value" in one}.items())


BACKENDS = [
    pytest.param({"type": "LocalVisBackend"}, local_points, id="local"),
    pytest.param({"type": "TensorboardVisBackend"}, tensorboard_points, id="tensorboard"),
    pytest.param({"type": "MLflowVisBackend"}, mlflow_points, id="mlflow", marks=pytest.mark.slow),
    pytest.param(
        {"type": "AimVisBackend", "init_kwargs": {"system_tracking_interval": None}},
        aim_points,
        id="aim",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        {"type": "ClearMLVisBackend", "init_kwargs": {"auto_resource_monitoring": False}},
        clearml_points,
        id="clearml",
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize(("config", "points"), BACKENDS)
@pytest.mark.filterwarnings("ignore")  # of the libraries
def test_killed_attempts_leave_each_point_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hurry_clearml: Callable[[pytest.MonkeyPatch], None],
    config: dict[str, Any],
    points: Callable[[Any], Points],
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    if config["type"] == "ClearMLVisBackend":
        monkeypatch.setenv("CLEARML_OFFLINE_MODE", "1")
        monkeypatch.setenv("CLEARML_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.setenv("CLEARML_CONFIG_FILE", str(tmp_path / "no_such.conf"))
        hurry_clearml(monkeypatch)
    first = attempt(tmp_path, config, 1)
    record(first, range(1, 4))
    state = json.loads(json.dumps(first.state_dict()))  # a checkpoint after step 3
    record(first, range(4, 6))  # and killed after step 5
    first.close()
    second = attempt(tmp_path, config, 2, state)
    record(second, range(4, 8))  # killed before its first checkpoint
    second.close()
    third = attempt(tmp_path, config, 3, state)
    record(third, range(4, 6))
    later = third.state_dict()
    record(third, range(6, 8))
    third.close()
    fourth = attempt(tmp_path, config, 4, later)
    record(fourth, range(6, 10))
    fourth.close()

    (backend,) = (recorder.backend for recorder in fourth._recorders.values())
    assert points(backend) == [(step, step / 4) for step in range(1, 10)]


def test_slow_backend_gets_the_records_before_a_rollback_first(tmp_path: Path) -> None:
    class Slow(BaseVisBackend):
        threaded = True
        goes_on = threading.Event()
        calls: ClassVar[list[Any]] = []

        def add_scalars(
            self, scalar_dict: Any, step: int = 0, file_path: str | None = None, **kwargs: Any
        ) -> None:
            assert self.goes_on.wait(10)
            self.calls.append(step)

        def resume(self, state: Any, save_dir: str) -> None:
            self.calls.append(f"back to {state['records']}")

    visualizer = Visualizer("slow", vis_backends=[Slow(tmp_path)], save_dir=tmp_path)
    record(visualizer, range(1, 3))
    saved = visualizer.state_dict()
    record(visualizer, range(3, 5))

    visualizer.resume(saved, str(tmp_path))
    record(visualizer, range(3, 6))
    Slow.goes_on.set()
    visualizer.close()

    assert Slow.calls == [1, 2, 3, 4, "back to 2", 3, 4, 5]


@pytest.mark.slow
def test_wandb_has_each_step_once_where_a_run_goes_back_or_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wandb_offline: Mapping[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)  # wandb copies the code below it
    backend = WandbVisBackend(tmp_path, init_kwargs=wandb_offline)
    for step in range(1, 6):
        backend.add_scalar("loss", step / 4, step)

    backend.resume({**backend.state_dict(), "records": 3}, str(tmp_path))
    for step in range(4, 8):
        backend.add_scalar("loss", step / 4, step)

    wandb = backend.experiment
    assert wandb.run.step == 7
    backend.close()
    resumed = WandbVisBackend(tmp_path / "new", init_kwargs=wandb_offline)
    resumed.resume({**backend.state_dict(), "records": 3}, str(tmp_path))
    for step in range(4, 6):
        resumed.add_scalar("loss", step / 4, step)

    assert wandb.run.step == 5  # offline, the points come again, at the same steps
    resumed.close()
    # offline-run-<start>-<id>, and a number where two started in one second
    names = [path.name.split("-")[3] for path in tmp_path.glob("wandb/offline-run-*")]
    assert names == [backend.state_dict()["id"]] * 2
    wandb.teardown()


def test_replaced_lines_are_kept_in_another_file(tmp_path: Path) -> None:
    config = {"type": "LocalVisBackend"}
    first = attempt(tmp_path, config, 1)
    record(first, range(1, 3))
    state = first.state_dict()
    first.add_scalars({"loss": 9.0}, step=3, file_path="own.json")
    first.close()

    record(attempt(tmp_path, config, 2, state), range(3, 4))

    folder = tmp_path / "attempt_1" / "vis_data"
    assert json.loads((folder / "scalars_replaced.json").read_text()) == {"loss": 9.0, "step": 3}
    assert not (tmp_path / "attempt_2" / "vis_data" / "scalars.json").exists()


def test_file_of_a_resumed_process_is_in_its_own_folder(tmp_path: Path) -> None:
    config = {"type": "LocalVisBackend"}
    first = attempt(tmp_path, config, 1)
    first.add_scalars({"loss": 1.0}, step=1, file_path="first.json")
    state = first.state_dict()
    first.close()

    second = attempt(tmp_path, config, 2, state)
    second.add_scalars({"loss": 2.0}, step=2, file_path="second.json")
    at_2 = second.state_dict()
    second.add_scalars({"loss": 9.0}, step=3, file_path="second.json")
    second.resume(at_2, str(tmp_path / "attempt_1" / "vis_data"))  # as after a bad loss
    second.add_scalars({"loss": 3.0}, step=3, file_path="second.json")
    second.close()

    def steps(*parts: str) -> list[int]:
        lines = tmp_path.joinpath(*parts).read_text().splitlines()
        return [json.loads(line)["step"] for line in lines]

    assert steps("attempt_1", "vis_data", "scalars.json") == [1, 2, 3]
    assert steps("attempt_1", "vis_data", "first.json") == [1]
    assert steps("attempt_2", "vis_data", "second.json") == [2, 3]


@pytest.mark.parametrize("folder", ["own", "elsewhere"])
def test_backend_with_a_folder_of_its_own_continues_there_alone(
    tmp_path: Path, folder: str
) -> None:
    own = {"type": "LocalVisBackend", "save_dir": str(tmp_path / "own")}
    first = attempt(tmp_path, own, 1)
    record(first, range(1, 3))
    state = first.state_dict()
    record(first, range(3, 4))
    first.close()

    second = attempt(tmp_path, {**own, "save_dir": str(tmp_path / folder)}, 2, state)
    record(second, range(3, 5))

    expected = [3, 4] if folder == "elsewhere" else [1, 2, 3, 4]
    (backend,) = (recorder.backend for recorder in second._recorders.values())
    assert [step for step, _ in local_points(backend)] == expected


def test_state_names_no_file_outside_of_the_folder(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("precious")
    visualizer = attempt(tmp_path, {"type": "LocalVisBackend"}, 1)
    state = visualizer.state_dict()
    state["backends"]["LocalVisBackend"]["sizes"] = {"../../other.json": 0, str(other): 0}

    attempt(tmp_path, {"type": "LocalVisBackend"}, 2, state)

    assert other.read_text() == "precious"


def test_backend_without_a_state_begins_anew(tmp_path: Path) -> None:
    class Steps(BaseVisBackend):
        seen: list[int]

        def add_scalars(
            self, scalar_dict: Any, step: int = 0, file_path: str | None = None, **kwargs: Any
        ) -> None:
            self.seen.append(step)

    backend = Steps(tmp_path)
    backend.seen = []
    visualizer = Visualizer("steps", vis_backends=[backend])

    visualizer.resume(visualizer.state_dict(), None)
    record(visualizer, range(1, 3))

    assert backend.seen == [1, 2]
