"""Options of the W&B backend, each as the offline file of a run has it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.visualization.wandb_file import wandb_records, wandb_rows

from engine_config import Config
from engine_visualization import WandbVisBackend

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of the library
wandb = pytest.importorskip("wandb")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, wandb_offline: Mapping[str, Any]) -> Path:
    """The folder of a run with all options."""
    place = tmp_path_factory.mktemp("wandb_options")
    (place / "train.py").write_text("epochs = 3\n")
    backend = WandbVisBackend(
        place,
        init_kwargs={**wandb_offline, "name": "given", "tags": ["a"]},
        define_metric_cfg=[
            {"name": "acc", "summary": "max"},
            {"name": "speed", "step_metric": "epoch"},
        ],
        commit=False,
        log_code_name="code",
        watch_kwargs={"log": "all", "log_freq": 1},
    )
    model = torch.nn.Linear(2, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)  # wandb copies the code below it
        backend.add_config(Config({"a": {"b": 1}}))
        backend.add_graph(model, [])
        model(torch.ones(1, 2)).sum().backward()
        backend.add_scalar("acc", torch.tensor([0.75]), step=10)
        backend.add_scalars({"loss": 0.5, "step": 10, "speed": np.float32(2)}, step=7)
        backend.add_image("pets/cat", np.zeros((8, 8, 3), dtype=np.uint8), step=10)
        backend.experiment.log({}, commit=True)
        backend.close()
        wandb.teardown()
    return place


def test_commit_false_collects_records_into_one_step(folder: Path) -> None:
    (row,) = [row for row in wandb_rows(folder) if "acc" in row]
    assert (row["acc"], row["loss"], row["speed"], row["iter"]) == (0.75, 0.5, 2, 10)
    assert row["pets/cat/_type"] == "image-file"


def test_metrics_are_defined_as_given_and_by_iteration(folder: Path) -> None:
    found = {}
    for record in (one for file in files(folder) for one in wandb_records(file)):
        if record.HasField("metric"):
            metric = record.metric
            found[metric.glob_name or metric.name] = (metric.step_metric, metric.summary.max)
    assert found["*"] == ("iter", False)
    assert found["acc"] == ("iter", True)
    assert found["speed"] == ("epoch", False)


def test_config_name_tags_and_code_are_recorded(folder: Path) -> None:
    records = [one for file in files(folder) for one in wandb_records(file)]
    runs = [one.run for one in records if one.HasField("run")]
    assert (runs[0].display_name, list(runs[0].tags)) == ("given", ["a"])
    text = "".join(str(one) for one in records)
    assert "a = dict(b=1)" in text
    configs = [item for one in records if one.HasField("config") for item in one.config.update]
    values = {item.key: json.loads(item.value_json) for item in configs if item.key}
    assert values["a"] == {"b": 1}
    assert any(one.HasField("artifact") and one.artifact.type == "code" for one in records)
    assert [one.artifact.name for one in records if one.HasField("artifact")] == ["code"]


def test_gradients_and_parameters_are_watched(folder: Path) -> None:
    (row,) = [row for row in wandb_rows(folder) if "acc" in row]
    # W&B numbers the models of a process, as in "gradients/graph_2weight".
    names = ["/".join(name.split("/")[:2]) for name in row]
    watched = {name.split("/")[0] for name in names if name.endswith("weight")}
    assert watched == {"gradients", "parameters"}


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))
