"""The command line as a user meets it."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from engine_runner.cli import main

if TYPE_CHECKING:
    from tests.runner.conftest import Command


def test_engine_is_a_command() -> None:
    [command] = entry_points(group="console_scripts", name="engine")

    assert command.load() is main


def test_help_shows_commands_and_examples(command: "Command") -> None:
    text = command("--help").stdout

    assert all(command in text for command in ("train", "test", "config", "check", "env"))
    assert "engine train config.py --resume" in text


def test_train_test_and_resume(project: Path, command: "Command") -> None:
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


def test_config_prints_the_merged_config(project: Path, command: "Command") -> None:
    text = command("config", "cfg.py", "--cfg-options", "optim_wrapper.optimizer.lr=0.5")

    assert "lr=0.5" in text.stdout


def test_config_shows_origins(project: Path, command: "Command") -> None:
    text = command(
        "config", "cfg.py", "--origins", "--cfg-options", "train_cfg.max_epochs=9"
    ).stdout

    lines = (project / "cfg.py").read_text().splitlines()
    line = next(n for n, row in enumerate(lines, 1) if row.startswith("optim_wrapper"))
    assert re.search(rf"optim_wrapper\.optimizer\.lr = 0\.1 +# .*cfg\.py:{line}$", text, re.M)
    assert re.search(r"max_epochs = 9 +# --cfg-options train_cfg\.max_epochs=9$", text, re.M)


def test_check_reports_every_mistake_at_once(project: Path, command: "Command") -> None:
    wrong = (
        (project / "cfg.py")
        .read_text()
        .replace('"Line"', '"Lime"')
        .replace("shuffle=True", "shufle=True")
    )
    (project / "wrong.py").write_text(wrong)

    done = command("check", "wrong.py", code=1)

    assert all(word in done.stderr for word in ("Line", "shuffle", "wrong.py:3", "2 problems"))


def test_check_of_a_right_config_says_so(project: Path, command: "Command") -> None:
    assert "no problems" in command("check", "cfg.py").stdout


def test_env_reports_the_environment(command: "Command") -> None:
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
        (["train", "cfg.py", "--launcher", "slurm"], 2, "srun --ntasks 2 engine train"),
        (["train", "cfg.py", "--launcher", "mpi"], 2, "mpirun -n 2 engine train"),
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
        *("key", "launcher", "slurm", "mpi", "work-dir", "log-level", "resume", "unreachable"),
    ],
)
def test_mistake_is_told_without_a_traceback(
    command: "Command", arguments: list[str], code: int, words: str
) -> None:
    done = command(*arguments, code=code)

    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "imported for this look-up" not in done.stderr


def test_mistake_in_a_file_is_told_with_its_line_and_what_was_meant(
    project: Path, command: "Command"
) -> None:
    (project / "wrong.py").write_text(
        (project / "cfg.py").read_text().replace('type="Line"', 'type="Line", bais=False')
    )

    done = command("train", "wrong.py", code=1)

    assert re.search(r"wrong\.py:3: model\.bais: .*did you mean 'bias'\?", done.stderr)


def test_mistake_is_reported_before_anything_is_built(command: "Command") -> None:
    wrong = ["train", "cfg.py", "--cfg-options", "optim_wrapper.optimizer.lrr=1"]

    lines = command(*wrong, code=1).stderr.splitlines()

    assert lines[0] == "Error: 1 problem in the config"
    assert "SGD has no argument 'lrr'; did you mean 'lr'?" in lines[1]
    assert len(lines) <= 4


def test_custom_imports_of_the_command_line_are_imported(project: Path, command: "Command") -> None:
    (project / "task.py").rename(project / "other_task.py")
    (project / "task.py").write_text("")

    done = command("check", "cfg.py", "--cfg-options", "custom_imports.imports=[other_task]")

    assert "no problems" in done.stdout


@pytest.mark.parametrize("partial", [False, True], ids=["refused", "partial"])
def test_checkpoint_of_another_model_is_refused_unless_asked_for(
    project: Path, command: "Command", partial: bool
) -> None:
    torch.save({"state_dict": {"linear.weight": torch.ones(1, 1)}}, project / "other.pth")

    option = ["--partial"] if partial else []
    done = command("test", "cfg.py", "other.pth", *option, code=int(not partial))

    assert ("missing keys in the weights: linear.bias" in done.stderr) is not partial
    assert ("\nerror: " in done.stdout) is partial


@pytest.mark.parametrize("option", [[], ["--partial"]], ids=["whole", "partial"])
def test_checkpoint_that_fits_nothing_is_refused_by_a_test(
    project: Path, command: "Command", option: list[str]
) -> None:
    torch.save({"state_dict": {"net.linear.weight": torch.ones(1, 1)}}, project / "other.pth")

    done = command("test", "cfg.py", "other.pth", *option, code=1)

    assert "other.pth: none of the weights fits Line" in done.stderr
    assert "all keys of the weights begin with 'net.'" in done.stderr
    assert "error: " not in done.stdout


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["on_bad_loss=skp"], "on_bad_loss must be one of raise, skip, rollback"),
        (["on_bad_loss.type=skip", "on_bad_loss.jmp=3"], "'jmp'; did you mean 'jump'?"),
        (["max_time=4h"], "limit must be a time > 0"),
    ],
    ids=["action", "argument", "time"],
)
def test_check_reports_the_settings_that_stop_a_run_in_time(
    command: "Command", option: list[str], message: str
) -> None:
    done = command("check", "cfg.py", "--cfg-options", *option, code=1)

    assert message in done.stdout + done.stderr


def test_training_that_leaves_steps_out_reports_them(project: Path, command: "Command") -> None:
    with (project / "task.py").open("a") as file:
        file.write(
            "\n\n@MODELS.register_module()\n"
            "class Broken(Line):\n"
            "    count = 0\n\n"
            "    def forward(self, x, y, mode='tensor'):\n"
            "        self.count += 1\n"
            "        out = super().forward(x, y, mode)\n"
            "        return {'loss': out['loss'] * float('nan')} if self.count == 3 else out\n"
        )

    done = command(
        "train", "cfg.py", "--cfg-options", "model.type=Broken", "on_bad_loss=skip"
    )  # fmt: skip
    failed = command("train", "cfg.py", "--cfg-options", "model.type=Broken", code=1)

    assert "steps left out:" in done.stdout
    assert "1, for a bad loss" in done.stdout
    assert "loss must be finite, got nan at iteration 3" in failed.stderr
    assert "the last checkpoint" not in failed.stdout
    assert "curves" not in failed.stdout


def test_training_that_runs_out_of_time_says_so(project: Path, command: "Command") -> None:
    options = ["train_cfg.max_epochs=1000000", "max_time=2"]

    done = command("train", "cfg.py", "--cfg-options", *options, code=75)

    assert "the training is not finished: max_time 00:00:02" in done.stdout + done.stderr
    assert "curves" not in done.stdout


def test_damaged_checkpoints_are_all_named(project: Path, command: "Command") -> None:
    (project / "work").mkdir()
    (project / "work" / "epoch_1.pth").write_bytes(b"whole")
    (project / "work" / "epoch_2.pth").write_bytes(b"damaged")
    (project / "work" / "last_checkpoint").write_text(str(project / "work" / "epoch_2.pth"))

    error = command("train", "cfg.py", "--work-dir", "work", "--resume", code=1).stderr

    assert "no checkpoint to resume from is whole" in error
    assert "epoch_2.pth cannot be read" in error
    assert "epoch_1.pth cannot be read" in error


def test_debug_shows_the_traceback(project: Path, command: "Command") -> None:
    done = command("--debug", "train", "cfg.py", "--cfg-options", "model.type=Lime", code=1)

    assert "Traceback" in done.stderr


def test_error_of_the_users_own_code_shows_its_traceback(project: Path, command: "Command") -> None:
    (project / "task.py").write_text(
        (project / "task.py").read_text().replace("return len(self.x)", "return 1 // 0")
    )

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
