"""The folder of a run is its own, and a start that fails leaves nothing."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    from tests.runner.conftest import Command

FAILING = {
    "config": ("train", "modl = 1"),
    "import": ("train", "custom_imports = dict(imports=['no_such_module'])"),
    "model": ("train", "model = dict(type='Line', bias=1 // 1, _delete_=True, out='x')"),
    "model-raises": ("train", "model = dict(type='RaisesWhenBuilt', _delete_=True)"),
    "no-cuda": ("train", "env_cfg = dict(device='cuda:99')"),
    "dataset": ("train", "train_dataloader = dict(dataset=dict(type='MissingFile'))"),
    "first-iteration": ("train", "model = dict(type='RaisesInForward', _delete_=True)"),
    "resume": ("train", "resume = True\nload_from = 'damaged.pth'"),
    "hook": ("train", "custom_hooks = [dict(type='RaisesBeforeRun')]"),
    "test-dataset": ("test", "test_dataloader = dict(dataset=dict(type='MissingFile'))"),
    "test-weights": ("test", "model = dict(type='Other', _delete_=True)"),
    "test-forward": ("test", "model = dict(type='RaisesInForward', _delete_=True)"),
}

PARTS = """

@MODELS.register_module()
class RaisesWhenBuilt(Line):
    def __init__(self):
        super().__init__()
        raise RuntimeError("cannot be built")


@MODELS.register_module()
class RaisesInForward(Line):
    def forward(self, x, y, mode="tensor"):
        raise RuntimeError("cannot be computed")


@MODELS.register_module()
class Other(Line):
    def __init__(self):
        super().__init__()
        self.more = torch.nn.Linear(2, 2)


@DATASETS.register_module()
class MissingFile(Points):
    def __init__(self):
        open("no_such_file.txt")


@HOOKS.register_module()
class RaisesBeforeRun(Hook):
    def before_run(self, runner):
        raise RuntimeError("cannot begin")
"""

TRACKER = """
import time
from pathlib import Path

from engine_registry import VISBACKENDS
from engine_visualization import BaseVisBackend, Visualizer


@VISBACKENDS.register_module()
class SlowTracker(BaseVisBackend):
    threaded = True

    def add_scalar(self, name, value, step=0, **kwargs):
        self.add_config(None)

    def add_config(self, config, **kwargs):
        time.sleep(0.2)
        Path(self.save_dir).mkdir(exist_ok=True)
        (Path(self.save_dir) / "records").write_text("a record")

    def close(self):
        there = Path(self.save_dir).parent.is_dir()
        Path("closed.txt").write_text(f"the folder is there: {there}")


@MODELS.register_module()
class RecordsAndRaises(Line):
    def __init__(self):
        super().__init__()
        Visualizer.get_current_instance().add_scalar("size", 1)
        raise RuntimeError("cannot be built")
"""


def files(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder and of those in it, without caches; a folder has no bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts
    }


@pytest.fixture
def failing(project: Path) -> Path:
    """Return the project with parts that fail, and two checkpoints."""
    (project / "task.py").write_text((project / "task.py").read_text() + PARTS)
    (project / "damaged.pth").write_bytes(b"damaged")
    weights = {"linear.weight": torch.ones(1, 1), "linear.bias": torch.ones(1)}
    torch.save({"state_dict": weights}, project / "weights.pth")
    return project


@pytest.mark.parametrize("work_dir", ["new/folder", "existing"])
@pytest.mark.parametrize("name", FAILING)
def test_failed_start_leaves_no_folder_and_no_file(
    failing: Path, command: "Command", name: str, work_dir: str
) -> None:
    kind, change = FAILING[name]
    (failing / "fails.py").write_text(f'_base_ = "cfg.py"\n{change}\n')
    (failing / "existing").mkdir()
    for kept in ("fails.py", "epoch_1.pth", "notes.txt", ".engine-run.lock"):
        (failing / "existing" / kept).write_text("kept")
    before = files(failing)

    arguments = ["weights.pth"] if kind == "test" else []
    done = command(kind, "fails.py", *arguments, "--work-dir", work_dir, code=1)

    after = files(failing)
    lock = "existing/.engine-run.lock"  # locked and written to, but never deleted
    assert after.pop(lock)
    assert before.pop(lock)
    assert after == before
    assert done.stderr.strip()


@pytest.mark.parametrize("model", ["RecordsAndRaises", "RaisesInForward"])
def test_failed_start_closes_its_trackers_before_the_folder_is_removed(
    failing: Path, command: "Command", model: str
) -> None:
    (failing / "task.py").write_text((failing / "task.py").read_text() + TRACKER)
    (failing / "fails.py").write_text(
        f'_base_ = "cfg.py"\nmodel = dict(type="{model}")\n'
        'visualizer = dict(type="Visualizer", vis_backends=[dict(type="SlowTracker")])\n'
    )

    done = command("train", "fails.py", "--work-dir", "work", code=1)

    assert "tracking backend" not in done.stdout + done.stderr  # it lost no record
    assert (failing / "closed.txt").read_text() == "the folder is there: True"
    assert not (failing / "work").exists()


def test_training_that_began_keeps_its_folder(failing: Path, command: "Command") -> None:
    late = '_base_ = "cfg.py"\ncustom_hooks = [dict(type="Send", number=2, point="train", at=3)]\n'
    (failing / "late.py").write_text(late)

    command("train", "late.py", "--work-dir", "work", code=130)

    assert list((failing / "work").glob("*/*.log"))


def test_failed_start_of_a_resumed_training_leaves_no_log_folder(
    failing: Path, command: "Command"
) -> None:
    command("train", "cfg.py", "--epochs", "1")
    before = files(failing / "work_dirs")
    fails = "custom_hooks=[dict(type='RaisesBeforeRun')]"

    command("train", "cfg.py", "--epochs", "2", "--resume", "--cfg-options", fails, code=1)

    after = files(failing / "work_dirs")
    assert set(after) == set(before)
    assert after["cfg/cfg.py"] == before["cfg/cfg.py"]


@pytest.mark.parametrize("first", ["train", "test"])
def test_configs_of_one_name_do_not_share_the_default_folder(
    failing: Path, command: "Command", first: str
) -> None:
    for name in ("a", "b"):
        (failing / name).mkdir()
        (failing / name / "same.py").write_text(
            '_base_ = "../cfg.py"\ntrain_cfg = dict(max_epochs=1)\n'
        )
    arguments = ["weights.pth"] if first == "test" else []
    command(first, "a/same.py", *arguments)
    before = files(failing / "work_dirs")

    error = command("train", "b/same.py", code=2).stderr

    assert "a/same.py, another config of the same name" in error
    assert "--work-dir work_dirs/b_same" in error
    assert files(failing / "work_dirs") == before
    command("train", "b/same.py", "--work-dir", "work_dirs/b_same")
    command(first, "a/same.py", *arguments)  # its own folder is still its own


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--resume", "gone.pth"], 2, "Error: --resume: no checkpoint file gone.pth"),
        (
            ["--cfg-options", "load_from=gone.pth"],
            1,
            "Error: --cfg-options: load_from: no checkpoint file gone.pth",
        ),
        (
            ["--cfg-options", "model.type=RaisesWhenBuilt", "model.out=1"],
            1,
            "RaisesWhenBuilt has no argument 'out'",
        ),
        (
            ["--cfg-options", "model.type=RaisesWhenBuilt"],
            1,
            "Error: --cfg-options model.type=RaisesWhenBuilt: model: cannot build",
        ),
    ],
    ids=["resume", "load_from", "key", "model"],
)
def test_mistake_of_an_option_names_the_option_and_leaves_no_folder(
    command: "Command", project: Path, arguments: list[str], code: int, words: str
) -> None:
    with (project / "task.py").open("a") as task:
        task.write(PARTS)

    error = command("train", "cfg.py", *arguments, code=code).stderr

    assert words in error
    assert not (project / "work_dirs").exists()
