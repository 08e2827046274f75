"""A model, data and a metric that are small enough to follow by hand."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from engine_evaluator import BaseMetric
from engine_logging import MessageHub, MMLogger
from engine_model import BaseModel
from engine_runner import Runner
from engine_runner.cli import main
from engine_visualization import Visualizer

RANK_CASES = (
    "rank_cases.py",
    "strategies/strategy_cases.py",
    "strategies/strategy_run_cases.py",
    "hooks/bad_loss_cases.py",
    "hooks/ema_cases.py",
    "hooks/measure_cases.py",
    "hooks/stop_cases.py",
    "loops/loop_cases.py",
    "checkpoint/resume_cases.py",
    "checkpoint/signal_resume_cases.py",
    "checkpoint/storage_cases.py",
    "checkpoint/zero_cases.py",
)


TASK = """
import os
import torch
from engine_evaluator import BaseMetric
from engine_model import BaseModel
from engine_registry import DATASETS, HOOKS, METRICS, MODELS
from engine_runner import Hook


@DATASETS.register_module()
class Points(torch.utils.data.Dataset):
    def __init__(self, size=32, slow=0.0):
        self.x, self.slow = torch.linspace(-1, 1, size)[:, None], slow

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        if self.slow:
            import time
            time.sleep(self.slow)
        return self.x[index], 3 * self.x[index] + 1


@MODELS.register_module()
class Line(BaseModel):
    def __init__(self, bias=True):
        super().__init__()
        self.linear = torch.nn.Linear(1, 1, bias=bias)

    def forward(self, x, y, mode="tensor"):
        out = self.linear(x)
        return {"loss": (out - y).square().mean()} if mode == "loss" else (out, y)


@METRICS.register_module()
class MeanError(BaseMetric):
    def process(self, data_batch, data_samples):
        out, y = data_samples
        self.results += (out - y).abs().flatten().tolist()

    def compute_metrics(self, results):
        return {"error": sum(results) / len(results)}


@HOOKS.register_module()
class Send(Hook):
    def __init__(self, number, point, at, group=False):
        self.number, self.point, self.at, self.group = number, point, at, group

    def _reached(self, point, count):
        if (point, count) == (self.point, self.at):
            os.kill(0 if self.group else os.getpid(), self.number)

    def before_run(self, runner):
        if self.group:
            os.setsid()  # the signal is for this process and its workers

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self._reached("train", runner.iter + 1)

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        self._reached("val", batch_idx + 1)

    def before_save_checkpoint(self, runner, checkpoint):
        self._reached("save", checkpoint["progress"]["epoch"])
"""

CONFIG = """
custom_imports = dict(imports=["task"], allow_failed_imports=False)
model = dict(type="Line")
train_dataloader = dict(
    dataset=dict(type="Points"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    batch_size=8,
)
val_dataloader = dict(
    dataset=dict(type="Points"),
    sampler=dict(type="DefaultSampler", shuffle=False),
    collate_fn=dict(type="default_collate"),
    batch_size=8,
)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1))
train_cfg = dict(by_epoch=True, max_epochs=3)
val_cfg = dict()
test_cfg = dict()
val_evaluator = dict(type="MeanError")
test_evaluator = val_evaluator
randomness = dict(seed=0)
"""


class Scripts(Protocol):
    """The fixture ``scripts`` of the conftest.py above, as far as these tests use it."""

    def run(
        self, script: str | Path, *arguments: object, folder: Path
    ) -> subprocess.CompletedProcess[str]: ...
    def run_ranks(
        self, script: str | Path, *arguments: object, folder: Path
    ) -> list[subprocess.CompletedProcess[str]]: ...
    def run_at_once(
        self, commands: Sequence[tuple[object, ...]], *, folder: Path
    ) -> list[subprocess.CompletedProcess[str]]: ...


class Line(Dataset[tuple[Tensor, Tensor]]):
    """Points of the line y = 3x + 1; remembers in which order they were asked for."""

    metainfo: ClassVar[dict[str, str]] = {"name": "line"}

    def __init__(self, size: int = 12) -> None:
        self.x = torch.linspace(-1, 1, size)[:, None]
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        self.asked.append(index)
        return self.x[index], 3 * self.x[index] + 1


class Regressor(BaseModel):
    """A linear layer behind dropout, so that a step depends on random numbers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.dropout = nn.Dropout(0.2)
        self.linear = nn.Linear(1, 1)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        predicted = self.linear(self.dropout(x))
        if mode == "loss":
            return {"loss": (predicted - y).square().mean()}
        return (predicted, y) if mode == "predict" else predicted


class MeanError(BaseMetric):
    """Mean absolute error."""

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        predicted, y = data_samples
        self.results += (predicted - y).abs().flatten().tolist()

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"error": sum(results) / len(results)}


@pytest.fixture(autouse=True)
def _close_named_instances() -> Iterator[None]:
    yield
    for logger in list(MMLogger._instance_dict.values()):
        logger.close()
    for kind in (MessageHub, Visualizer):
        for name in list(kind._instance_dict):
            kind.release_instance(name)


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return the arguments of a run that trains 3 epochs of 4 batches, and validates."""

    def arguments(**changes: Any) -> dict[str, Any]:
        loader = {
            "dataset": Line(),
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "collate_fn": {"type": "default_collate"},
            "batch_size": 3,
        }
        val = {**loader, "sampler": {"type": "DefaultSampler", "shuffle": False}}
        base: dict[str, Any] = {
            "model": Regressor(),
            "work_dir": str(tmp_path / "work"),
            "train_dataloader": loader,
            "train_cfg": {"by_epoch": True, "max_epochs": 3},
            "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}},
            "param_scheduler": {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False},
            "val_dataloader": val,
            "val_cfg": {},
            "val_evaluator": MeanError(),
            "randomness": {"seed": 3},
        }
        return {**base, **changes}

    return arguments


@pytest.fixture
def make_runner(settings: Callable[..., dict[str, Any]]) -> Callable[..., Runner]:
    """Return a function that builds such a run, with changes."""
    return lambda **changes: Runner(**settings(**changes))


@pytest.fixture(scope="session")
def rank_results(
    tmp_path_factory: pytest.TempPathFactory, scripts: Scripts
) -> dict[str, list[dict[str, Any]]]:
    """Run the cases of all files in two processes; return the results by file and rank."""
    # The workers of pytest-xdist share one run: the first that needs it holds the lock meanwhile.
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "runner_ranks"
    folder.mkdir(exist_ok=True)
    failed, files = folder / "failed", [folder / f"{rank}.json" for rank in range(2)]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not failed.exists() and not all(file.exists() for file in files):
            here = Path(__file__).parent
            cases = [here / name for name in RANK_CASES]
            done = scripts.run_ranks(here / "run_ranks.py", folder, *cases, folder=folder)
            if any(one.returncode for one in done):
                failed.write_text("\n".join(f"{one.returncode}\n{one.stdout}" for one in done))
    if failed.exists():
        pytest.fail(f"a process of the ranks failed: {failed.read_text()[-8000:]}")
    ranks = [json.loads(file.read_text()) for file in files]
    names = [Path(case).name for case in RANK_CASES]
    return {name: [results[name] for results in ranks] for name in names}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with a config and the module it imports."""
    (tmp_path / "task.py").write_text(TASK)
    (tmp_path / "cfg.py").write_text(CONFIG)
    (tmp_path / "send.py").write_text(
        '_base_ = "cfg.py"\ncustom_hooks = [dict(type="Send", number=15, point="train", at=6)]\n'
    )
    return tmp_path


class Done(NamedTuple):
    """What a command printed."""

    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def command(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Return a function that runs the command in this process, where nothing needs another."""

    monkeypatch.delitem(sys.modules, "task", raising=False)  # each project has its own

    def run(*arguments: str, code: int = 0) -> Done:
        monkeypatch.chdir(project)
        monkeypatch.setattr(sys, "argv", ["engine", *arguments])
        with pytest.raises(SystemExit) as exit_:
            main()
        done = Done(*capsys.readouterr())
        assert exit_.value.code == code, done
        return done

    return run


@pytest.fixture
def run_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[[str, str], tuple[int, str]]:
    """Return a function that runs a command on `check_base.py` with a change from line 2 on.

    It returns the exit code and what was printed.
    """
    here = Path(__file__).parent / "parts"
    monkeypatch.syspath_prepend(here)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "check_task", raising=False)  # its parts are registered anew

    def run(command: str, change: str) -> tuple[int, str]:
        Path("case.py").write_text(f"_base_ = {str(here / 'check_base.py')!r}\n{change}\n")
        monkeypatch.setattr(sys, "argv", ["engine", command, "case.py"])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = "".join(capfd.readouterr())
        return int(str(ended.value.code)), printed

    return run
