"""The command line as a user meets it: in this process, or in one of its own that gets signals."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import torch

from engine_runner import cli
from engine_runner.cli import main

if TYPE_CHECKING:
    from tests.runner.conftest import Scripts

COMMAND = Path(cli.__file__).with_name("__main__.py")

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


def test_engine_is_a_command() -> None:
    [command] = entry_points(group="console_scripts", name="engine")

    assert command.load() is main


def test_help_shows_commands_and_examples(command: Command) -> None:
    text = command("--help").stdout

    assert all(command in text for command in ("train", "test", "config", "check", "env"))
    assert "engine train config.py --resume" in text


def test_train_test_and_resume(project: Path, command: Command) -> None:
    trained = command("train", "cfg.py", "--cfg-options", "train_cfg.max_epochs=2")
    work = project / "work_dirs" / "cfg"
    assert (work / "epoch_2.pth").is_file()
    assert "curves.png" in trained.stdout
    assert "\r" not in trained.stdout  # no progress bar in a pipe

    tested = command("test", "cfg.py", "work_dirs/cfg/epoch_2.pth").stdout
    validated = re.findall(r"Epoch\(val\) \[2\]\[4/4\]  error: (\d\.\d{4})", trained.stdout)
    assert f"{float(re.findall(r'^error: (.*)$', tested, re.M)[0]):.4f}" == validated[0]

    resumed = command("train", "cfg.py", "--resume").stdout
    assert "resumed epoch: 2, iter: 8" in resumed
    assert (work / "epoch_3.pth").is_file()


def _sent(project: Path, scripts: "Scripts", code: int, *options: str) -> str:
    """Train in a process that sends itself a signal, and return what it printed."""
    command = ("train", "send.py", "--work-dir", "work", "--cfg-options", *options)
    done = scripts.run(COMMAND, *command, folder=project)
    assert done.returncode == code, done.stdout
    return done.stdout


def _resumed(command: Command) -> str:
    return command("train", "cfg.py", "--work-dir", "work", "--resume").stdout


def test_interrupted_training_saves_and_resumes(
    project: Path, command: Command, scripts: "Scripts"
) -> None:
    printed = _sent(project, scripts, 128 + signal.SIGTERM, "custom_hooks.0.at=6")
    assert "stopped by SIGTERM after iteration 6" in printed

    assert "iter: 6" in _resumed(command)
    assert (project / "work" / "epoch_3.pth").is_file()


def test_ctrl_c_exits_with_130(project: Path, scripts: "Scripts") -> None:
    printed = _sent(project, scripts, 130, "custom_hooks.0.number=2")

    assert "stopped by SIGINT after iteration 6" in printed
    assert "Traceback" not in printed


def test_signal_to_the_whole_process_group_saves_although_workers_end(
    project: Path, scripts: "Scripts"
) -> None:
    slow = ("train_dataloader.dataset.slow=0.05", "train_dataloader.num_workers=1")
    printed = _sent(project, scripts, 128 + signal.SIGTERM, "custom_hooks.0.group=True", *slow)

    assert printed.count("finishing this iteration") == 1
    [stopped_at] = map(int, re.findall(r"after iteration (\d+)", printed))
    saved = torch.load(project / "work" / "interrupted.pth", weights_only=True)
    assert saved["meta"]["iter"] == stopped_at >= 5


def test_signal_in_a_validation_exits_where_nothing_is_lost(
    project: Path, scripts: "Scripts"
) -> None:
    options = ("custom_hooks.0.point=val", "custom_hooks.0.at=1")
    printed = _sent(project, scripts, 128 + signal.SIGTERM, *options)

    assert "stopped by SIGTERM while validating" in printed
    assert "Epoch(val) [1][4/4]" not in printed


def test_killed_training_resumes_from_a_whole_checkpoint(
    project: Path, command: Command, scripts: "Scripts"
) -> None:
    options = ("custom_hooks.0.point=save", "custom_hooks.0.at=2", "custom_hooks.0.number=9")
    printed = _sent(project, scripts, -signal.SIGKILL, *options)
    assert "Saving checkpoint at 2 epochs" in printed

    assert "resumed epoch: 1, iter: 4" in _resumed(command)
    assert (project / "work" / "epoch_3.pth").is_file()


def test_config_prints_the_merged_config(project: Path, command: Command) -> None:
    text = command("config", "cfg.py", "--cfg-options", "optim_wrapper.optimizer.lr=0.5")

    assert "lr=0.5" in text.stdout


def test_config_shows_origins(project: Path, command: Command) -> None:
    text = command(
        "config", "cfg.py", "--origins", "--cfg-options", "train_cfg.max_epochs=9"
    ).stdout

    lines = CONFIG.splitlines()
    line = next(n for n, row in enumerate(lines, 1) if row.startswith("optim_wrapper"))
    assert re.search(rf"optim_wrapper\.optimizer\.lr = 0\.1 +# .*cfg\.py:{line}$", text, re.M)
    assert re.search(r"train_cfg\.max_epochs = 9 +# --cfg-options", text)


def test_check_reports_every_mistake_at_once(project: Path, command: Command) -> None:
    wrong = CONFIG.replace('"Line"', '"Lime"').replace("shuffle=True", "shufle=True")
    (project / "wrong.py").write_text(wrong)

    done = command("check", "wrong.py", code=1)

    assert all(word in done.stderr for word in ("Line", "shuffle", "wrong.py:3", "2 problems"))


def test_check_of_a_right_config_says_so(project: Path, command: Command) -> None:
    assert "no problems" in command("check", "cfg.py").stdout


def test_env_reports_the_environment(command: Command) -> None:
    assert {"sys.platform", "PyTorch"} <= set(re.findall(r"^[\w.]+", command("env").stdout, re.M))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train", "cgf.py"], 2, "did you mean cfg.py?"),
        (["train", "cfg.py", "--cfg-options", "lr"], 2, "lr"),
        (["train", "cfg.py", "--cfg-options", "model.type=Lime"], 1, "Line"),
        (["train", "cfg.py", "--cfg-options", "model.bais=False"], 1, "bias"),
        (["test", "cfg.py", "no.pth"], 2, "no such checkpoint: no.pth"),
        (["tarin", "cfg.py"], 2, "tarin"),
        (["train", "cfg.py", "--cfg-options", "val_evaluator=None"], 1, "val_evaluator"),
        (["train", "."], 2, "is a folder"),
        (["train", "cfg.py", "--cfg-options", "modl.type=Line"], 2, "did you mean 'model'?"),
        (["train", "cfg.py", "--launcher", "pytorch"], 2, "torchrun --nproc-per-node"),
        (["train", "cfg.py", "--work-dir", "task.py"], 1, "work_dir"),
        (["train", "cfg.py", "--cfg-options", "log_level=LOUD"], 1, "log_level must be one of"),
        (["train", "--resume", "cgf.py"], 2, "did you mean cfg.py?"),
        (
            ["train", "cfg.py", "--cfg-options", "load_from=http://127.0.0.1:1/x.pth"],
            1,
            "127.0.0.1",
        ),
    ],
    ids=[
        *("file", "option", "type", "argument", "checkpoint", "command", "group", "folder"),
        *("key", "launcher", "work-dir", "log-level", "resume", "unreachable"),
    ],
)
def test_mistake_is_told_without_a_traceback(
    command: Command, arguments: list[str], code: int, words: str
) -> None:
    done = command(*arguments, code=code)

    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "imported on the way" not in done.stderr


def test_mistake_in_a_file_is_told_with_its_line_and_what_was_meant(
    project: Path, command: Command
) -> None:
    (project / "wrong.py").write_text(CONFIG.replace('type="Line"', 'type="Line", bais=False'))

    done = command("train", "wrong.py", code=1)

    assert re.search(r"wrong\.py:3: model\.bais: .*did you mean 'bias'\?", done.stderr)


def test_mistake_is_reported_before_anything_is_built(command: Command) -> None:
    wrong = ["train", "cfg.py", "--cfg-options", "optim_wrapper.optimizer.lrr=1"]

    lines = command(*wrong, code=1).stderr.splitlines()

    assert lines[0] == "Error: 1 problem in the config"
    assert "SGD has no argument 'lrr'; did you mean 'lr'?" in lines[1]
    assert len(lines) <= 4


def test_custom_imports_of_the_command_line_are_imported(project: Path, command: Command) -> None:
    (project / "task.py").rename(project / "other_task.py")
    (project / "task.py").write_text("")

    done = command("check", "cfg.py", "--cfg-options", "custom_imports.imports=[other_task]")

    assert "no problems" in done.stdout


@pytest.mark.parametrize("partial", [False, True], ids=["refused", "partial"])
def test_checkpoint_of_another_model_is_refused_unless_asked_for(
    project: Path, command: Command, partial: bool
) -> None:
    torch.save({"state_dict": {"linear.weight": torch.ones(1, 1)}}, project / "other.pth")

    option = ["--partial"] if partial else []
    done = command("test", "cfg.py", "other.pth", *option, code=int(not partial))

    assert ("missing keys in the weights: linear.bias" in done.stderr) is not partial
    assert ("\nerror: " in done.stdout) is partial


def test_damaged_checkpoint_is_told_with_the_others_that_are_there(
    project: Path, command: Command
) -> None:
    (project / "work").mkdir()
    (project / "work" / "epoch_1.pth").write_bytes(b"whole")
    (project / "work" / "epoch_2.pth").write_bytes(b"damaged")
    (project / "work" / "last_checkpoint").write_text(str(project / "work" / "epoch_2.pth"))

    error = command("train", "cfg.py", "--work-dir", "work", "--resume", code=1).stderr

    assert "epoch_2.pth cannot be read" in error
    assert "other checkpoints are there: epoch_1.pth" in error


def test_debug_shows_the_traceback(project: Path, command: Command) -> None:
    done = command("--debug", "train", "cfg.py", "--cfg-options", "model.type=Lime", code=1)

    assert "Traceback" in done.stderr


def test_error_of_the_users_own_code_shows_its_traceback(project: Path, command: Command) -> None:
    (project / "task.py").write_text(TASK.replace("return len(self.x)", "return 1 // 0"))

    done = command("train", "cfg.py", code=1)

    assert "ZeroDivisionError" in done.stderr


@pytest.mark.slow
def test_two_processes_train_under_torchrun(project: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
            *("--master-addr", "127.0.0.1", "--master-port", "0", "--rdzv-backend", "c10d"),
            *("--rdzv-endpoint", "127.0.0.1:0"),
            *("-m", "engine_runner.cli", "train", "cfg.py"),
        ],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    [scalars] = project.glob("work_dirs/cfg/*/vis_data/scalars.json")
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    assert [row["step"] for row in rows if "error" in row] == [1, 2, 3]
    assert (project / "work_dirs" / "cfg" / "epoch_3.pth").is_file()
