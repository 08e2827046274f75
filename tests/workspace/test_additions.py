"""An addition takes as many files as ARCHITECTURE.md counts, and works.

Each test adds something small to a copy of the package that it belongs to, and uses it there.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Scripts
    from tests.workspace.conftest import Package

RUNNER = "src/engine_runner"
BASE = "from engine_visualization.backends._base import"

TOY_HOOK = '''
from engine_registry import HOOKS
from engine_runner._hook import Hook


@HOOKS.register_module()
class ToyHook(Hook):
    """Print the number of each epoch."""

    def after_train_epoch(self, runner):
        print("epoch", runner.epoch + 1)
'''

TOY_STRATEGY = '''
from engine_registry import STRATEGIES
from engine_runner.strategies._single_device import SingleDeviceStrategy


@STRATEGIES.register_module()
class ToyStrategy(SingleDeviceStrategy):
    """Print the name of the model."""

    def wrap(self, model):
        print("wrap", type(model).__name__)
        return super().wrap(model)
'''

TOY_SCHEDULE = """
from engine_optim.schedulers._base import INF, Schedulable, Value, _ParamScheduler
from engine_optim.schedulers._declare import LRSchedulerMixin, MomentumSchedulerMixin, schedule


@schedule
class ToyParamScheduler(_ParamScheduler):
    optimizer: Schedulable
    param_name: str
    share: float = 0.5
    begin: float = 0
    end: float = INF
    last_step: int = -1
    by_epoch: bool = True
    verbose: bool = False

    def _get_value(self) -> list[Value]:
        return [base * self.share**self.last_step for base in self.base_values]


@schedule
class ToyLR(LRSchedulerMixin, ToyParamScheduler): ...


@schedule
class ToyMomentum(MomentumSchedulerMixin, ToyParamScheduler): ...
"""

TOY_COMMAND = '''
import click


@click.command()
@click.argument("name")
def greet(name: str) -> None:
    """Print a greeting."""
    click.echo(f"hello {name}")
'''

TRAIN = """
import torch
from torch.utils.data import DataLoader, TensorDataset

from engine_model import BaseModel
from engine_runner import Runner

class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(1, 1)

    def forward(self, x, mode="tensor"):
        return {"loss": self.linear(x).square().mean()}

def train(**settings):
    runner = Runner(
        Model(),
        "work",
        train_dataloader=DataLoader(TensorDataset(torch.ones(2, 1))),
        train_cfg={"by_epoch": True, "max_epochs": 2},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}},
        **settings,
    )
    runner.train()
    return runner
"""

USE_THE_SCHEDULE = """
import torch
from engine_optim import ToyLR, ToyMomentum, ToyParamScheduler
from engine_registry import PARAM_SCHEDULERS

optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=8.0, momentum=0.5)
config = {"type": "ToyLR", "optimizer": optimizer, "share": 0.5}
scheduler = PARAM_SCHEDULERS.build(config)
optimizer.step()
scheduler.step()
print(optimizer.param_groups[0]["lr"])
"""

RUN_THE_COMMAND = """
from engine_runner.cli import main

sys.argv = ["engine", "greet", "you"]
main()
"""

USE_THE_PART = """
from engine_config import Config
from engine_runner.parts import check_config

print(train(recorder={"type": "ToyRecorder"}).recorder)
misspelled = {"type": "ToyRecordr"}
config = Config({"model": {"type": "Model"}, "work_dir": "work", "recorder": misspelled})
for problem in check_config(config, Runner):
    print(problem.key_path, problem.message)
"""

TOY_RECORDER = """
from engine_registry import HOOKS

@HOOKS.register_module()
class ToyRecorder:
    def __repr__(self):
        return "a recorder"
"""

USE_THE_STORAGE_BACKEND = """
import engine_fileio

engine_fileio.put(b"data", "toy://folder/file")
assert engine_fileio.get("toy://folder/file") == b"data"
assert "ToyBackend" in engine_fileio.__all__
try:
    engine_fileio.ToyBackend().connect()
except ImportError as error:
    print(error)
"""

USE_THE_TRACKING_BACKEND = """
from pathlib import Path
import engine_visualization

backends = [{"type": "ToyVisBackend"}]
engine_visualization.Visualizer(vis_backends=backends, save_dir="run").add_scalar("loss", 1.0)
assert [file.read_text() for file in Path("run").rglob("names")] == ["loss"]
assert "ToyVisBackend" in engine_visualization.__all__
try:
    engine_visualization.ToyVisBackend("run").connect()
except ImportError as error:
    print(error)
"""


class Copy:
    """A copy of a package, whose files are counted as they are added and changed."""

    def __init__(self, package: "Package", folder: Path, scripts: "Scripts") -> None:
        self.folder = shutil.copytree(package.folder, folder / package.name)
        self.touched: set[str] = set()
        self._source = self.folder / "src"
        self._scripts = scripts

    def add(self, file: str, text: str) -> None:
        """Add a file."""
        assert not (self.folder / file).exists()
        (self.folder / file).write_text(text)
        self.touched.add(file)

    def insert(self, file: str, text: str, *, before: str) -> None:
        """Insert a text before a line that occurs once."""
        content = (self.folder / file).read_text()
        assert content.count(before) == 1, f"{before!r} in {file}"
        (self.folder / file).write_text(content.replace(before, text + before))
        self.touched.add(file)

    def run(self, code: str) -> str:
        """Return what the code prints in a process that imports the copy."""
        script = self.folder.parent / "use.py"
        script.write_text(f"import sys\nsys.path.insert(0, {str(self._source)!r})\n{code}")
        done = self._scripts.run(script, folder=self.folder.parent)
        assert done.returncode == 0, done.stdout
        return done.stdout


def export(copy: Copy, room: str, module: str, name: str) -> None:
    """Export a name of a module from a room of the runner."""
    init = f"{RUNNER}/{room}/__init__.py"
    line = f"from engine_runner.{room}.{module} import {name}\n"
    copy.insert(init, line, before="\n__all__ = [")
    copy.insert(init, f'    "{name}",\n', before="]\n")


@pytest.fixture
def copy_of(
    packages: "tuple[Package, ...]", tmp_path: Path, scripts: "Scripts"
) -> Callable[[str], Copy]:
    """Return a function that copies a package, by its short name."""
    return lambda short: Copy(
        next(package for package in packages if package.short == short), tmp_path, scripts
    )


@pytest.fixture
def stated_places(root: Path) -> Callable[[str], int]:
    """Return a function from an addition to the files that ARCHITECTURE.md counts for it."""
    lines = (root / "ARCHITECTURE.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]

    def places(addition: str) -> int:
        header = next(row for row in rows if "places" in row)
        row = next(row for row in rows if re.fullmatch(rf"(an? )?{addition}", row[0], re.I))
        return int(row[header.index("places")])

    return places


def test_hook_of_ours_takes_the_stated_places(
    copy_of: Callable[[str], Copy], stated_places: Callable[[str], int]
) -> None:
    runner = copy_of("runner")

    runner.add(f"{RUNNER}/hooks/_toy.py", TOY_HOOK)
    export(runner, "hooks", "_toy", "ToyHook")

    printed = runner.run(f"{TRAIN}\ntrain(custom_hooks=[{{'type': 'ToyHook'}}])")
    assert re.findall(r"^epoch \d$", printed, re.M) == ["epoch 1", "epoch 2"]
    assert len(runner.touched) == stated_places("hook of ours")


def test_hook_of_a_user_takes_the_stated_places(
    copy_of: Callable[[str], Copy], stated_places: Callable[[str], int], tmp_path: Path
) -> None:
    (tmp_path / "my_hooks.py").write_text(TOY_HOOK)

    printed = copy_of("runner").run(
        f"{TRAIN}\nimport my_hooks\ntrain(custom_hooks=[{{'type': 'ToyHook'}}])"
    )

    assert "epoch 2" in printed
    assert len(list(tmp_path.glob("my_*"))) == stated_places("hook of yours")


def test_strategy_takes_the_stated_places(
    copy_of: Callable[[str], Copy], stated_places: Callable[[str], int]
) -> None:
    runner = copy_of("runner")

    runner.add(f"{RUNNER}/strategies/_toy.py", TOY_STRATEGY)
    export(runner, "strategies", "_toy", "ToyStrategy")

    assert "wrap Model" in runner.run(f"{TRAIN}\ntrain(strategy='ToyStrategy')")
    assert len(runner.touched) == stated_places("strategy")


def test_schedule_takes_the_stated_places(
    copy_of: Callable[[str], Copy], stated_places: Callable[[str], int]
) -> None:
    optim = copy_of("optim")
    names = "ToyLR, ToyMomentum, ToyParamScheduler"
    exports = "".join(f'    "{name}",\n' for name in names.split(", "))

    optim.add("src/engine_optim/schedulers/_toy.py", TOY_SCHEDULE)
    for room, home in (("schedulers/", "schedulers._toy"), ("", "schedulers")):
        init = f"src/engine_optim/{room}__init__.py"
        optim.insert(init, f"from engine_optim.{home} import {names}\n", before="\n__all__ = [")
        optim.insert(init, exports, before="]\n" if room else '    "build_optim_wrapper",\n')

    assert optim.run(USE_THE_SCHEDULE) == "4.0\n"
    assert len(optim.touched) == stated_places("schedule")


def test_command_takes_the_stated_places(
    copy_of: Callable[[str], Copy], stated_places: Callable[[str], int]
) -> None:
    runner = copy_of("runner")

    runner.add(f"{RUNNER}/cli/_greet.py", TOY_COMMAND)
    runner.insert(
        f"{RUNNER}/cli/_app.py",
        '    "greet": CommandRow(f"{_CLI}._greet:greet", "Print a greeting."),\n',
        before='    "test": CommandRow(',
    )

    assert runner.run(RUN_THE_COMMAND) == "hello you\n"
    assert len(runner.touched) == stated_places("command")


def test_part_takes_the_stated_places(
    copy_of: Callable[[str], Copy], stated_places: Callable[[str], int]
) -> None:
    runner = copy_of("runner")

    runner.insert(
        f"{RUNNER}/_settings.py",
        "    recorder: Any = setting(None, registries=(HOOKS,))\n",
        before="    train_cfg: Any = setting(\n",
    )
    runner.insert(
        f"{RUNNER}/runner.py",
        "        recorder: Any = None,\n",
        before="        strategy: Strategy | Mapping[str, Any] | str | None = None,\n",
    )
    runner.insert(
        f"{RUNNER}/runner.py",
        '    recorder = LazyPart("recorder", "build_recorder", "The recorder.", optional=True)\n'
        "    build_recorder = staticmethod(HOOKS.build)\n",
        before='    train_loop = LazyPart("train_cfg", ',
    )

    runner.insert(f"{RUNNER}/runner.py", "HOOKS, ", before="DefaultScope\n")

    printed = runner.run(f"{TOY_RECORDER}\n{TRAIN}\n{USE_THE_PART}")
    assert "a recorder" in printed
    assert "did you mean 'ToyRecorder'" in printed
    assert len(runner.touched) == stated_places("part of a run")


def test_storage_backend_takes_the_stated_places(
    copy_of: Callable[[str], Copy], stated_places: Callable[[str], int], root: Path
) -> None:
    fileio = copy_of("fileio")
    room = "src/engine_fileio/backends"

    fileio.add(f"{room}/_toy.py", (root / "tests/fileio/toy_backend.py").read_text())
    fileio.insert(
        f"{room}/_table.py",
        '    BackendRow("toy", f"{_HERE}._toy:ToyBackend", ("toy",)),\n',
        before='    BackendRow("fsspec", ',
    )
    fileio.insert(
        f"{room}/_table.py",
        "    from engine_fileio.backends._toy import ToyBackend as ToyBackend\n",
        before="    from engine_fileio.backends._s3 import",
    )
    fileio.insert("pyproject.toml", 'toy = ["toy>=1.0"]\n', before="all = [")

    assert "engine-fileio[toy]" in fileio.run(USE_THE_STORAGE_BACKEND)
    assert len(fileio.touched) == stated_places("storage backend")


def test_tracking_backend_takes_the_stated_places(
    copy_of: Callable[[str], Copy], stated_places: Callable[[str], int], root: Path
) -> None:
    visualization = copy_of("visualization")
    room = "src/engine_visualization/backends"

    toy = (root / "tests/visualization/toy_vis_backend.py").read_text()
    # The package itself imports the base from its own file, where a user imports it from the top.
    toy = re.sub(r"from engine_visualization(\.backends)? import", BASE, toy)
    visualization.add(f"{room}/_toy.py", toy)
    visualization.insert(
        f"{room}/_table.py",
        '    BackendRow("ToyVisBackend", f"{_HERE}._toy:ToyVisBackend"),\n',
        before='    BackendRow("WandbVisBackend", ',
    )
    visualization.insert(
        f"{room}/_table.py",
        "    from engine_visualization.backends._toy import ToyVisBackend as ToyVisBackend\n",
        before="    from engine_visualization.backends._wandb import",
    )
    visualization.insert("pyproject.toml", 'toy = ["toy>=1.0"]\n', before="all = [")

    assert "engine-visualization[toy]" in visualization.run(USE_THE_TRACKING_BACKEND)
    assert len(visualization.touched) == stated_places("tracking backend")
