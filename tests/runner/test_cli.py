"""The command line as a user meets it: real processes, real files."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from engine_runner.cli import main

ENGINE = Path(sys.executable).with_name("engine")

TASK = """
import torch
from engine_evaluator import BaseMetric
from engine_model import BaseModel
from engine_registry import DATASETS, METRICS, MODELS


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

    def run(*arguments: str, code: int = 0) -> Done:
        monkeypatch.chdir(project)
        monkeypatch.setattr(sys, "argv", ["engine", *arguments])
        monkeypatch.delitem(sys.modules, "task", raising=False)  # each project has its own
        with pytest.raises(SystemExit) as exit_:
            main()
        done = Done(*capsys.readouterr())
        assert exit_.value.code == code, done
        return done

    return run


def engine(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, and check its exit code."""
    done = subprocess.run(
        [ENGINE, *arguments], cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_help_shows_commands_and_examples(command: Command) -> None:
    text = command("--help").stdout

    assert all(command in text for command in ("train", "test", "config", "check", "env"))
    assert "engine train config.py --resume" in text


def test_train_test_and_resume(project: Path) -> None:
    trained = engine(project, "train", "cfg.py", "--cfg-options", "train_cfg.max_epochs=2")
    work = project / "work_dirs" / "cfg"
    assert (work / "epoch_2.pth").is_file()
    assert "curves.png" in trained.stdout
    assert "\r" not in trained.stdout  # no progress bar in a pipe

    tested = engine(project, "test", "cfg.py", "work_dirs/cfg/epoch_2.pth").stdout
    validated = re.findall(r"Epoch\(val\) \[2\]\[4/4\]  error: (\d\.\d{4})", trained.stdout)
    assert f"{float(re.findall(r'^error: (.*)$', tested, re.M)[0]):.4f}" == validated[0]

    resumed = engine(project, "train", "cfg.py", "--resume").stdout
    assert "resumed epoch: 2, iter: 8" in resumed
    assert (work / "epoch_3.pth").is_file()


def _training_until(line: str, folder: Path, option: str) -> subprocess.Popen[str]:
    """Start a training, and return its process when it has printed ``line``."""
    command = [str(ENGINE), "train", "cfg.py", "--cfg-options", option]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    next(printed for printed in process.stdout if line in printed)
    return process


def test_interrupted_training_saves_and_resumes(project: Path) -> None:
    process = _training_until("Epoch(val) [1]", project, "train_dataloader.dataset.slow=0.1")
    assert process.stdout is not None
    process.send_signal(signal.SIGTERM)
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(60) == 128 + signal.SIGTERM
    assert "stopped by SIGTERM" in rest

    stopped_at = int(re.findall(r"after iteration (\d+)", rest)[0])
    resumed = engine(project, "train", "cfg.py", "--resume").stdout
    assert f"iter: {stopped_at}" in resumed
    assert (project / "work_dirs" / "cfg" / "epoch_3.pth").is_file()


@pytest.mark.slow
def test_signal_to_the_whole_process_group_saves_although_workers_end(project: Path) -> None:
    slow = ["train_dataloader.dataset.slow=0.1", "train_dataloader.num_workers=1"]
    process = subprocess.Popen(
        [ENGINE, "train", "cfg.py", "--cfg-options", *slow],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "Epoch(val) [1]" in line:
            break
    os.killpg(process.pid, signal.SIGTERM)
    rest = process.stdout.read()
    process.stdout.close()

    assert process.wait(60) == 128 + signal.SIGTERM, rest
    assert rest.count("finishing this iteration") == 1
    [stopped_at] = map(int, re.findall(r"after iteration (\d+)", rest))
    saved = torch.load(project / "work_dirs" / "cfg" / "interrupted.pth", weights_only=True)
    assert saved["meta"]["iter"] == stopped_at >= 4


def test_signal_in_a_validation_exits_where_nothing_is_lost(project: Path) -> None:
    slow = "val_dataloader.dataset.slow=0.1"
    process = _training_until("Saving checkpoint at 1 epochs", project, slow)
    assert process.stdout is not None
    process.send_signal(signal.SIGTERM)
    rest = process.stdout.read()
    process.stdout.close()

    assert process.wait(60) == 128 + signal.SIGTERM, rest
    assert "stopped by SIGTERM while validating" in rest
    assert "Epoch(val) [1][4/4]" not in rest


def test_killed_training_resumes_from_a_whole_checkpoint(project: Path) -> None:
    process = _training_until(
        "Saving checkpoint at 2 epochs", project, "train_dataloader.dataset.slow=0.02"
    )
    assert process.stdout is not None
    process.kill()
    process.stdout.close()
    process.wait(60)

    resumed = engine(project, "train", "cfg.py", "--resume").stdout
    assert re.search(r"resumed epoch: [12], iter: [48]", resumed)
    assert (project / "work_dirs" / "cfg" / "epoch_3.pth").is_file()


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


def test_error_of_the_users_own_code_shows_its_traceback(project: Path) -> None:
    (project / "task.py").write_text(TASK.replace("return len(self.x)", "return 1 // 0"))

    done = engine(project, "train", "cfg.py", code=1)

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
