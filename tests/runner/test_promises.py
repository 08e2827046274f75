"""Promises of the tutorials that no other file holds."""

import json
import re
import runpy
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import multiprocessing

from engine_runner import Hook, Runner

if TYPE_CHECKING:
    from conftest import Scripts

MakeRunner = Callable[..., Runner]
Train = Callable[..., str]

EXAMPLE = Path(__file__).parents[2] / "examples" / "train.py"
FORK_RANKS = Path(__file__).parents[1] / "fork_ranks.py"
RATES = """
_base_ = "cfg.py"
auto_scale_lr = dict(enable=False, base_batch_size=4)
"""
OWN = """
_base_ = "cfg.py"
custom_imports = dict(imports=["task", "own"], allow_failed_imports=False)
runner_type = "SayingRunner"
work_dir = "of_the_config"
"""
OWN_RUNNER = """
from engine_registry import RUNNERS
from engine_runner import Runner


@RUNNERS.register_module(force=True)
class SayingRunner(Runner):
    def setup_env(self, env_cfg):
        print("a runner of my own")
        super().setup_env(env_cfg)
"""


def _log(runner: Runner) -> str:
    return Path(runner.log_dir, f"{runner.timestamp}.log").read_text()


@pytest.fixture
def train(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Train:
    """Return a function that runs the example script in this process, and returns its output."""
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(project)
    for name in ("LOCAL_RANK", "RANK"):
        monkeypatch.delenv(name, raising=False)
    for name in ("task", "own"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    def run(*arguments: str) -> str:
        monkeypatch.setenv("LOCAL_RANK", "0")  # restored at the end; the script sets a default
        monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *arguments])
        runpy.run_path(str(EXAMPLE), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_log_begins_with_the_environment_of_the_system(make_runner: MakeRunner) -> None:
    log = _log(make_runner())

    block = re.search(r"\n-{20,}\nSystem environment:\n(.*?)\n-{20,}\n", log, re.DOTALL)
    assert block is not None
    names = re.findall(r"^    (.+?): ", block[1], re.M)
    documented = ["sys.platform", "Python", "CUDA available", "numpy_random_seed"]
    assert names[:4] == documented


@pytest.fixture
def _start_method() -> Iterator[None]:
    before = multiprocessing.get_start_method(allow_none=True)
    yield
    multiprocessing.set_start_method(before, force=True)


@pytest.mark.usefixtures("_start_method")
@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_start_method_of_workers_is_that_of_the_config(
    make_runner: MakeRunner, method: str
) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("this system has no such method")
    make_runner(env_cfg={"mp_cfg": {"mp_start_method": method}})

    assert multiprocessing.get_start_method() == method


def test_test_alone_takes_the_weights_that_load_from_names(
    settings: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    given = settings()
    Runner(**given).train()
    test = {
        "test_dataloader": given["val_dataloader"],
        "test_cfg": {},
        "test_evaluator": given["val_evaluator"],
    }
    model = given["model"]
    expected = {name: value.clone() for name, value in model.state_dict().items()}
    torch.nn.init.zeros_(model.linear.weight)

    same_folder = Runner(**settings(model=model, **test))
    same_folder.test()  # without load_from: the folder's checkpoints are not looked for
    assert model.linear.weight.item() == 0

    other = tmp_path / "other"
    checkpoint = f"{given['work_dir']}/epoch_3.pth"
    Runner(**settings(model=model, work_dir=str(other), load_from=checkpoint, **test)).test()
    assert all(torch.equal(model.state_dict()[name], expected[name]) for name in expected)


def test_state_of_the_schedules_is_right_in_a_checkpoint(make_runner: MakeRunner) -> None:
    class Rates(Hook):
        priority = "LOWEST"

        def before_train_epoch(self, runner: Any) -> None:
            self.rate = runner.optim_wrapper.get_lr()["lr"]

    seen = Rates()
    runner = make_runner(
        train_cfg={"by_epoch": True, "max_epochs": 2},
        param_scheduler={"type": "ExponentialLR", "gamma": 0.5},
        custom_hooks=[seen],
    )
    runner.train()

    saved = torch.load(f"{runner.work_dir}/epoch_1.pth", weights_only=True)
    [group] = saved["optimizer"]["param_groups"]
    assert [group["lr"]] == seen.rate == [0.05]  # that of the epoch after it


def test_example_trains_into_a_folder_named_after_the_config(train: Train, project: Path) -> None:
    train("cfg.py", "--cfg-options", "train_cfg.max_epochs=1")
    train("cfg.py", "--resume", "--cfg-options", "train_cfg.max_epochs=2", "randomness.seed=0")

    names = {file.name for file in (project / "work_dirs" / "cfg").glob("*.pth")}
    assert names == {"epoch_1.pth", "epoch_2.pth"}
    logs = sorted((project / "work_dirs" / "cfg").glob("*/*.log"))
    assert "resumed epoch: 1, iter: 4" in logs[-1].read_text()


def test_example_builds_the_runner_of_the_config_in_its_folder(train: Train, project: Path) -> None:
    (project / "own.py").write_text(OWN_RUNNER)
    (project / "own_cfg.py").write_text(OWN)
    short = ("--cfg-options", "train_cfg.max_epochs=1")

    assert "a runner of my own" in train("own_cfg.py", *short)
    train("own_cfg.py", "--work-dir", "of_the_command_line", *short)

    for folder in ("of_the_config", "of_the_command_line"):
        assert (project / folder / "epoch_1.pth").is_file()


def test_example_scales_learning_rates(train: Train, project: Path) -> None:
    with pytest.raises(RuntimeError, match='Can not find "auto_scale_lr" or'):
        train("cfg.py", "--auto-scale-lr")
    (project / "rates.py").write_text(RATES)

    train("rates.py", "--auto-scale-lr", "--cfg-options", "train_cfg.max_epochs=1")

    [scalars] = project.glob("work_dirs/rates/*/vis_data/scalars.json")
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    assert {row["lr"] for row in rows if "lr" in row} == {0.2}  # a batch of 8 in place of 4


def test_example_trains_in_mixed_precision(train: Train, project: Path) -> None:
    train("cfg.py", "--amp", "--cfg-options", "train_cfg.max_epochs=1", "env_cfg.device=cpu")

    saved = torch.load(project / "work_dirs" / "cfg" / "epoch_1.pth", weights_only=True)
    assert "loss_scaler" in saved["optimizer"]


@pytest.mark.slow
def test_launch_utility_of_torch_trains_the_example_on_two_machines(
    project: Path, scripts: "Scripts"
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    commands = [
        (
            *(FORK_RANKS, "launch", "--nnodes", "2", "--node_rank", number, "--nproc_per_node=1"),
            *("--master_addr", "127.0.0.1", "--master_port", port),
            *(EXAMPLE, "cfg.py", "--launcher", "pytorch", "--work-dir", "work"),
            *("--cfg-options", "train_cfg.max_epochs=1"),
        )
        for number in range(2)
    ]
    machines = scripts.run_at_once(commands, folder=project)

    assert [machine.returncode for machine in machines] == [0, 0], machines
    saved = torch.load(project / "work" / "epoch_1.pth", weights_only=True)
    assert saved["meta"]["world_size"] == 2
    assert saved["meta"]["iter"] == 2  # 32 points, 8 on each of two ranks


def test_launcher_of_the_example_is_one_of_the_documented(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        train("cfg.py", "--launcher", "other")

    assert re.search("none.*pytorch.*slurm.*mpi", capsys.readouterr().err)
