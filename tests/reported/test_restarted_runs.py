"""A training that torchrun restarts resumes what it has saved, and nothing older."""

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine_fileio import get_file_backend

if TYPE_CHECKING:
    from conftest import Scripts

FORK_RANKS = Path(__file__).parents[1] / "fork_ranks.py"

TASK = """
import os
import torch
from engine_model import BaseModel
from engine_registry import DATASETS, HOOKS, MODELS
from engine_runner import Hook


@DATASETS.register_module()
class Ramp(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return {"x": torch.ones(1) * index / 8}


@MODELS.register_module()
class Scale(BaseModel):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(1, 1)

    def forward(self, x, mode="tensor"):
        return {"loss": (self.linear(x) - 3 * x).square().mean()}


@HOOKS.register_module()
class FailOnce(Hook):
    priority = "VERY_LOW"

    def before_train_epoch(self, runner):
        print(f"rank {runner.rank}: epoch {runner.epoch}, seed {runner.seed}\\n", end="")
        first = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
        if first and runner.rank == 1 and runner.epoch == 2:
            raise ValueError("bad sample 7")
"""

CONFIG = """
custom_imports = dict(imports=["task"], allow_failed_imports=False)
model = dict(type="Scale")
train_dataloader = dict(
    dataset=dict(type="Ramp"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    batch_size=2,
)
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1))
train_cfg = dict(by_epoch=True, max_epochs=4)
env_cfg = dict(dist_cfg=dict(backend="gloo"))
"""


def launch(scripts: "Scripts", folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``engine train`` on two ranks, with one restart."""
    given = ["run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    command = ["-m", "engine_runner.cli", "train", "cfg.py"]
    return scripts.run(FORK_RANKS, *given, *command, folder=folder)


@pytest.mark.slow
def test_restarted_training_resumes_its_own_checkpoint(tmp_path: Path, scripts: "Scripts") -> None:
    (tmp_path / "task.py").write_text(TASK)
    (tmp_path / "cfg.py").write_text(CONFIG + 'custom_hooks = [dict(type="FailOnce")]\n')
    # The checkpoint of an older run: a restart must not continue it.
    work_dir = tmp_path / "work_dirs" / "cfg"
    work_dir.mkdir(parents=True)
    (work_dir / "epoch_9.pth").write_bytes(b"of an older run")
    (work_dir / "last_checkpoint").write_text(str(work_dir / "epoch_9.pth"))

    done = launch(scripts, tmp_path)

    assert done.returncode == 0, done.stdout
    starts = re.findall(r"rank 0: epoch (\d), seed (\d+)", done.stdout)
    assert [epoch for epoch, _ in starts] in (["0", "1", "2", "2", "3"], ["0", "1", "2", "3"])
    assert len({seed for _, seed in starts}) == 1
    assert "ValueError: bad sample 7" in done.stdout
    assert "it resumes what it has saved" in done.stdout
    assert "epoch_2.pth" in done.stdout
    assert (work_dir / "epoch_4.pth").is_file()


@pytest.mark.slow
def test_restart_before_the_first_checkpoint_begins_anew(
    tmp_path: Path, scripts: "Scripts"
) -> None:
    (tmp_path / "task.py").write_text(TASK.replace("runner.epoch == 2", "runner.epoch == 0"))
    (tmp_path / "cfg.py").write_text(CONFIG + 'custom_hooks = [dict(type="FailOnce")]\n')
    work_dir = tmp_path / "work_dirs" / "cfg"
    work_dir.mkdir(parents=True)
    (work_dir / "last_checkpoint").write_text(str(work_dir / "epoch_9.pth"))

    done = launch(scripts, tmp_path)

    assert done.returncode == 0, done.stdout
    assert "esume" not in re.sub(r"(?m)^.*overwrites those.*$|^ *resume = .*$", "", done.stdout)
    assert re.findall(r"rank 0: epoch (\d)", done.stdout)[-4:] == ["0", "1", "2", "3"]


@pytest.mark.slow
def test_restart_that_lost_the_work_dir_resumes_from_the_storage_of_the_checkpoints(
    tmp_path: Path, scripts: "Scripts", s3_options: dict[str, str], bucket: str
) -> None:
    # As on another machine, with an older run's checkpoint of the same name in the storage.
    end = "            raise ValueError"
    failing = TASK.replace(end, f'            shutil.rmtree("work_dirs")\n{end}')
    (tmp_path / "task.py").write_text(f"import shutil\n{failing}")
    place = {"out_dir": f"s3://{bucket}/runs", "backend_args": s3_options}
    hook = {"type": "CheckpointHook", "interval": 1, **place}
    (tmp_path / "cfg.py").write_text(
        f'{CONFIG}custom_hooks = [dict(type="FailOnce")]\n'
        f"default_hooks = dict(checkpoint=dict({hook!r}))\n"
    )
    backend = get_file_backend(str(place["out_dir"]), backend_args=s3_options)
    backend.put(b"of an older run", f"s3://{bucket}/runs/cfg/epoch_2.pth")
    backend.put(b"epoch_2.pth", f"s3://{bucket}/runs/cfg/last_checkpoint")

    done = launch(scripts, tmp_path)

    assert done.returncode == 0, done.stdout
    assert "it resumes what it has saved" in done.stdout
    assert re.findall(r"rank 0: epoch (\d)", done.stdout)[-2:] == ["2", "3"]
    assert backend.get_text(f"s3://{bucket}/runs/cfg/last_checkpoint") == "epoch_4.pth"
