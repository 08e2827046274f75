"""What a run writes, as the log analyzers of the field read it."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import LoggerHook
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

CONFIG = """
loader = dict(
    batch_size=1,
    num_workers=0,
    collate_fn=dict(type="default_collate"),
    dataset=dict(type="Blobs"),
    sampler=dict(type="DefaultSampler", shuffle=False))
model = dict(type="Classifier")
train_dataloader = val_dataloader = test_dataloader = loader
val_evaluator = test_evaluator = dict(type="Accuracy")
optim_wrapper = dict(optimizer=dict(type="SGD", lr=8e-4))
val_cfg = test_cfg = dict()
visualizer = dict(type="Visualizer", vis_backends=[dict(type="LocalVisBackend")])
"""
BY_EPOCH = """
train_cfg = dict(by_epoch=True, max_epochs=2, val_interval=1)
default_hooks = dict(
    logger=dict(type="LoggerHook", interval=2),
    checkpoint=dict(type="CheckpointHook", interval=1, save_best="toy/top1", rule="greater"))
"""
BY_ITER = """
train_cfg = dict(type="IterBasedTrainLoop", max_iters=20, val_interval=10)
default_hooks = dict(
    logger=dict(type="LoggerHook", interval=5, log_metric_by_epoch=False),
    checkpoint=dict(type="CheckpointHook", interval=10, by_epoch=False))
log_processor = dict(by_epoch=False)
"""


class Blobs(Dataset[tuple[Tensor, Tensor]]):
    """Ten points of two classes."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return torch.full((2,), float(index)), torch.tensor(index % 2)


class Classifier(BaseModel):
    """Two losses, in the order in which such models return them."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, x: Tensor, label: Tensor, mode: str = "tensor") -> Any:
        scores = self.linear(x)
        if mode != "loss":
            return scores, label
        loss = nn.functional.cross_entropy(scores, label)
        return {"loss_cls": loss, "loss_reg": loss * 2, "acc": scores.sum() * 0 + 50}


class Accuracy(BaseMetric):
    """The share of right answers, and numbers per class."""

    default_prefix = "toy"

    def process(self, data_batch: Any, data_samples: Any) -> None:
        scores, label = data_samples
        self.results.append(float((scores.argmax(1) == label).float().mean()))

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        share = 100 * sum(results) / len(results)
        return {"top1": share, "per_class": torch.tensor([share, 0.0])}


def train(folder: Path, text: str) -> Runner:
    """Train and test by a config file of the field."""
    (folder / "toy_8xb1.py").write_text(CONFIG + text)
    config = Config.fromfile(folder / "toy_8xb1.py")
    config.work_dir = str(folder / "work")
    for key in ("model", "val_evaluator", "test_evaluator"):
        config[key].type = {"model": Classifier}.get(key, Accuracy)
    for key in ("train", "val", "test"):
        config[f"{key}_dataloader"].dataset.type = Blobs
    runner = Runner.from_cfg(config)
    runner.train()
    runner.test()
    return runner


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Runner]]:
    texts = {"epochs": BY_EPOCH, "iterations": BY_ITER}
    yield {name: train(tmp_path_factory.mktemp(name), text) for name, text in texts.items()}
    for logger in list(MMLogger._instance_dict.values()):
        logger.close()
    for kind in (DefaultScope, MMLogger, MessageHub, Visualizer):
        for name in list(kind._instance_dict):
            kind.release_instance(name)


def rows_of(runner: Runner) -> list[dict[str, Any]]:
    path = Path(runner.work_dir, runner.timestamp, "vis_data", f"{runner.timestamp}.json")
    return [json.loads(line) for line in path.read_text().splitlines()]


def by_epoch(rows: list[dict[str, Any]]) -> dict[int, dict[str, list[Any]]]:
    """Return the values of each epoch by name, as curve plotters collect them.

    A validation follows the rows of its epoch, and its names have a slash.
    """
    found: dict[int, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    epoch = 1
    for row in rows:
        epoch = row.get("epoch", epoch)
        for name, value in row.items():
            found[epoch][name.rpartition("/")[2]].append(value)
    return found


def test_curves_by_epoch(runs: dict[str, Runner]) -> None:
    found = by_epoch(rows_of(runs["epochs"]))

    assert sorted(found) == [1, 2]
    for epoch in (1, 2):
        assert [len(found[epoch][name]) for name in ("loss", "loss_cls", "lr", "time")] == [5] * 4
        first = 10 * (epoch - 1)
        assert found[epoch]["iter"] == [first + step for step in (2, 4, 6, 8, 10)]
        assert len(found[epoch]["top1"]) == 1
        assert found[epoch]["lr"] == [8e-4] * 5
        assert sum(found[epoch]["time"]) > 0


def test_curves_by_iteration(runs: dict[str, Runner]) -> None:
    rows = rows_of(runs["iterations"])

    assert [row["step"] for row in rows if "loss" in row] == [5, 10, 15, 20]
    assert [row["iter"] for row in rows if "loss" in row] == [5, 10, 15, 20]
    assert [row["step"] for row in rows if "toy/top1" in row] == [10, 20]
    assert not any("epoch" in row for row in rows)


@pytest.mark.parametrize("name", ["epochs", "iterations"])
def test_rows_have_the_order_that_tables_show(runs: dict[str, Runner], name: str) -> None:
    row = list(rows_of(runs[name])[0])

    assert row[0] == "lr"
    assert row.index("loss") < row.index("loss_cls") < row.index("loss_reg")
    assert row[-1] == "step"
    folder = Path(runs[name].log_dir, "vis_data")
    assert rows_of(runs[name]) == [
        json.loads(line) for line in (folder / "scalars.json").read_text().splitlines()
    ]


def test_text_log_by_regular_expressions(runs: dict[str, Runner]) -> None:
    runner = runs["epochs"]
    path = Path(runner.work_dir, runner.timestamp, f"{runner.timestamp}.log")
    log = path.read_text()

    lines = re.findall(
        r"INFO - Epoch\(train\)\s+\[(\d+)\]\[\s*(\d+)/(\d+)\]\s+lr: (\d\.\d{4}e[+-]\d\d)"
        r"  eta: \S+  time: \d+\.\d{4}  data_time: \d+\.\d{4}(?:  memory: \d+)?"
        r"  loss: (\d+\.\d{4})  loss_cls: (\d+\.\d{4})  loss_reg: (\d+\.\d{4})",
        log,
    )
    assert [(epoch, count) for epoch, count, *_ in lines] == [
        (epoch, str(count)) for epoch in "12" for count in (2, 4, 6, 8, 10)
    ]
    assert {line[2:4] for line in lines} == {("10", "8.0000e-04")}
    for *_, loss, first, second in lines:
        assert float(loss) == pytest.approx(float(first) + float(second), abs=2e-4)
    metrics = re.findall(r"Epoch\(val\) \[(\d+)\]\[10/10\]  toy/top1: (\d+\.\d{4})", log)
    assert [epoch for epoch, _ in metrics] == ["1", "2"]
    within = re.findall(r"Epoch\(val\) \[\d+\]\[[ \d]+/10\]  eta:.*", log)
    assert within
    assert not any("top1" in line for line in within)
    assert "Epoch(train) [1][ 2/10]" in log


def test_test_metrics_are_a_file_of_json(runs: dict[str, Runner]) -> None:
    runner = runs["epochs"]
    found = json.loads(Path(runner.log_dir, f"{runner.timestamp}.json").read_text())

    assert found["toy/per_class"] == [found["toy/top1"], 0.0]


def test_files_have_the_names_of_the_field(runs: dict[str, Runner]) -> None:
    epochs, iterations = (Path(runs[name].work_dir) for name in ("epochs", "iterations"))

    assert {path.name for path in epochs.glob("*.pth")} >= {"epoch_1.pth", "epoch_2.pth"}
    assert len(list(epochs.glob("best_toy_top1_epoch_[12].pth"))) == 1
    assert {path.name for path in iterations.glob("*.pth")} == {"iter_10.pth", "iter_20.pth"}
    assert (epochs / "last_checkpoint").read_text() == str(epochs / "epoch_2.pth")
    dumped = (epochs / "toy_8xb1.py").read_text()
    assert (Path(runs["epochs"].log_dir) / "vis_data" / "config.py").read_text() == dumped
    assert Config.fromfile(epochs / "toy_8xb1.py").optim_wrapper.optimizer.lr == 8e-4


def test_names_of_logger_and_hub_are_those_of_the_run(runs: dict[str, Runner]) -> None:
    for runner in runs.values():
        # The second run of one second has a number behind its name.
        assert re.fullmatch(rf"toy_8xb1_{runner.timestamp}(_1)?", runner.experiment_name)
        assert runner.logger.instance_name == runner.experiment_name
        assert runner.message_hub.instance_name == runner.experiment_name
    last = runs["iterations"]
    assert MMLogger.get_current_instance() is last.logger
    assert MessageHub.get_current_instance() is last.message_hub
    (hook,) = [hook for hook in last.hooks if isinstance(hook, LoggerHook)]
    assert hook.json_log_path == f"{last.timestamp}.json"
