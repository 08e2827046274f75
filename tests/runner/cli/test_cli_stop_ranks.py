"""``engine train`` under torchrun: the launcher is asked to stop, or is killed."""

import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    from tests.runner.conftest import Scripts

FORK_RANKS = Path(__file__).parents[2] / "fork_ranks.py"
STUCK = Path(__file__).with_name("stuck_rank.py")

CONFIG = """
_base_ = "cfg.py"
custom_imports = dict(imports=["task", "launched"], allow_failed_imports=False)
train_dataloader = dict(num_workers=1, dataset=dict(slow=0.01))
train_cfg = dict(max_epochs=60)
env_cfg = dict(dist_cfg=dict(backend="gloo"))
custom_hooks = [dict(type="SignalLauncher", number=15)]
"""

HOOK = """
import os
from pathlib import Path
from engine_registry import HOOKS
from engine_runner import Hook


@HOOKS.register_module()
class SignalLauncher(Hook):
    def __init__(self, number):
        self.number = number

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 3:
            Path(f"{runner.rank}.pid").write_text(str(os.getpid()))
        if runner.iter == 5 and runner.is_main:
            os.kill(os.getppid(), self.number)
"""


@pytest.fixture
def launch(project: Path, scripts: "Scripts") -> "Launch":
    (project / "launched.py").write_text(HOOK)
    (project / "ranks.py").write_text(CONFIG)
    return Launch(project, scripts)


class Launch:
    """Run ``engine train`` on two ranks of torchrun."""

    def __init__(self, folder: Path, scripts: "Scripts") -> None:
        self.folder, self.scripts = folder, scripts

    def __call__(self, *options: str) -> subprocess.CompletedProcess[str]:
        given = ["run", "--standalone", "--nproc-per-node=2"]
        command = ["-m", "engine_runner.cli", "train", "ranks.py", "--work-dir", "work"]
        return self.scripts.run(FORK_RANKS, *given, *command, *options, folder=self.folder)


RANK = """
import os, sys
from engine_runner.cli import main

rank, size, launcher, port = sys.argv[1:]
names = {
    "slurm": {"SLURM_PROCID": rank, "SLURM_LOCALID": rank, "SLURM_NTASKS": size,
              "SLURM_NODELIST": "127.0.0.[1-2]", "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"},
    "mpi": {"OMPI_COMM_WORLD_RANK": rank, "OMPI_COMM_WORLD_SIZE": size,
            "OMPI_COMM_WORLD_LOCAL_RANK": rank, "OMPI_COMM_WORLD_LOCAL_SIZE": size,
            "MASTER_ADDR": "127.0.0.1"},
}
os.environ.update(names[launcher], MASTER_PORT=port)
sys.argv = ["engine", "train", "ranks.py", "--launcher", launcher, "--cfg-options",
            "train_cfg.max_epochs=1", "train_dataloader.num_workers=0", "custom_hooks=[]"]
main()
"""


@pytest.mark.parametrize("launcher", ["slurm", "mpi"])
def test_ranks_of_slurm_and_mpi_train_together(launch: Launch, launcher: str) -> None:
    (launch.folder / "rank.py").write_text(RANK)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    commands = [("rank.py", rank, 2, launcher, port) for rank in range(2)]
    ranks = launch.scripts.run_at_once(commands, folder=launch.folder)

    assert [rank.returncode for rank in ranks] == [0, 0], ranks
    saved = torch.load(launch.folder / "work_dirs/ranks/epoch_1.pth", weights_only=True)
    assert (saved["meta"]["world_size"], saved["meta"]["iter"]) == (2, 2)


@pytest.mark.slow
def test_launcher_that_is_asked_to_stop_lets_its_ranks_save(launch: Launch) -> None:
    done = launch()

    # The launcher may pass the signal on while they validate: then the last checkpoint is whole.
    stopped = re.findall(r"stopped by SIGTERM (?:after iteration (\d+)|while vali)", done.stdout)
    assert len(stopped) == 1, done.stdout
    latest = (launch.folder / "work" / "last_checkpoint").read_text().strip()
    saved = torch.load(latest, weights_only=True)
    assert saved["meta"]["iter"] >= 5
    assert stopped[0] in ("", str(saved["meta"]["iter"])), done.stdout
    assert "Error: " not in done.stdout  # of a worker, or of a rank
    assert done.returncode != 0


@pytest.mark.slow
def test_ranks_of_a_killed_launcher_end(launch: Launch) -> None:
    done = launch("--cfg-options", "custom_hooks.0.number=9")

    assert done.returncode == -signal.SIGKILL
    ranks = [int((launch.folder / f"{rank}.pid").read_text()) for rank in range(2)]
    deadline = time.monotonic() + 30
    while any(map(_is_alive, ranks)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_is_alive, ranks)), done.stdout


def test_rank_that_waits_for_a_failed_one_ends(tmp_path: Path, scripts: "Scripts") -> None:
    waiting, failed = scripts.run_ranks(STUCK, tmp_path, folder=tmp_path)

    assert failed.returncode == 0
    assert waiting.returncode == 1, waiting.stdout
    assert "rank 1 died of ZeroDivisionError: bad sample 7; this process ends" in waiting.stdout
    assert "in before_train_iter" in waiting.stdout  # of the traceback


def _is_alive(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"  # a zombie, without a parent to reap it
