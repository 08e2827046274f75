"""The command line: usage errors, short messages with their line, output that nobody reads."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.reported.line_task import CONFIG

from engine_runner.cli import main

if TYPE_CHECKING:
    from conftest import Scripts

Engine = Callable[..., tuple[int, str]]

PIPE_IS_CLOSED = """
import os, sys
sys.path.insert(0, {folder!r})
reading, writing = os.pipe()
os.close(reading)
os.dup2(writing, 1)
os.dup2(writing, 2)
"""
OUTPUT_IS_CLOSED = """
import os, sys
sys.path.insert(0, {folder!r})
for number in (0, 1, 2):
    os.close(number)
"""
TRAIN = """
from engine_runner.cli import main
sys.argv = ["engine", "train", "cfg.py"]
main()
"""


@pytest.fixture
def engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Engine:
    """Return a function that writes ``cfg.py`` and runs a command on it in this process."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, change: str = "") -> tuple[int, str]:
        Path("cfg.py").write_text(f"{CONFIG}\n{change}\n")
        monkeypatch.setattr(sys, "argv", ["engine", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(str(ended.value.code)), "".join(capfd.readouterr())

    return run


@pytest.mark.parametrize("command", ["train", "test", "check", "config"])
def test_a_command_without_arguments_prints_its_help(engine: Engine, command: str) -> None:
    code, printed = engine(command)

    assert code == 2
    assert f"Usage: engine {command}" in printed
    assert "Examples:" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        (
            'optim_wrapper = dict(optimizer=dict(type="SGD", lr="abc"))',
            "cfg.py:12: optim_wrapper.optimizer.lr",
            "SGD does not accept lr='abc'",
        ),
        (
            'optim_wrapper = dict(optimizer=dict(type="AdamW", lr=0.1, betas=(0.9,)))',
            "cfg.py:12: optim_wrapper.optimizer.betas",
            "AdamW does not accept betas=(0.9,)",
        ),
        (
            'visualizer = dict(type="Visualizer", vis_backends=[dict(save_dir="a")])',
            "cfg.py:12: visualizer.vis_backends.0",
            "must be a config with a type, got the keys ['save_dir']",
        ),
        (
            "param_scheduler = [dict(milestones=[1])]",
            "cfg.py:12: param_scheduler.0",
            "must be a config with a type",
        ),
        (
            "train_dataloader = dict(dataset=dict(size=2), sampler=dict(shuffle=True))",
            "cfg.py:12: train_dataloader.sampler",
            "must be a config with a type, got the keys ['shuffle']",
        ),
    ],
    ids=["rate of letters", "one beta", "backend", "schedule", "sampler"],
)
def test_a_mistake_is_found_by_check_and_refused_by_train_with_its_line(
    engine: Engine, tmp_path: Path, change: str, place: str, words: str
) -> None:
    for command in ("check", "train"):
        code, printed = engine(command, "cfg.py", change=change)

        assert code == 1
        assert f"{place}: " in printed
        assert words in printed
        assert len(printed.splitlines()) <= 4
    assert not (tmp_path / "work_dirs").exists()


@pytest.mark.parametrize(
    "change",
    [
        """dataset = dict(type="Nowhere")
optimizer = dict(type="Nothing")
pipeline = [dict(type="Unknown")]
vis_backends = [dict(type="TensorboardVisBackend")]
tta_model = dict(type="Unimported")""",
        """vis_backends = [dict(type="LocalVisBackend")]
visualizer = dict(type="Visualizer", vis_backends=vis_backends, name="visualizer")""",
        "num_classes = 3; backend_args = None; metainfo = dict(classes=('a',)); val_dataset = {}",
    ],
    ids=["unused helpers", "backends", "values"],
)
def test_helper_keys_of_a_right_config_are_no_problem(engine: Engine, change: str) -> None:
    assert engine("check", "cfg.py", change=change) == (0, "cfg.py: no problems found\n")


VALIDATES = """
val_dataloader = train_dataloader
val_cfg = dict()
val_evaluator = dict(type="DumpResults", out_file_path="out.pkl")
"""


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        (
            'default_hooks = dict(checkpoint=dict(type="CheckpointHook", save_best="acc"))',
            "default_hooks.checkpoint.save_best",
            "set val_dataloader",
        ),
        (
            'custom_hooks = [dict(type="EarlyStoppingHook", monitor="acc")]',
            "custom_hooks.0",
            "EarlyStoppingHook waits for a validation",
        ),
        (
            'param_scheduler = [dict(type="ReduceOnPlateauLR", monitor="acc")]',
            "param_scheduler.0",
            "ReduceOnPlateauLR waits for a validation",
        ),
        (
            f"{VALIDATES}train_cfg['val_begin'] = 3",
            "train_cfg.val_begin",
            "val_begin=3 is later than the last of 2 epochs",
        ),
        (
            VALIDATES + 'train_cfg["val_begin"] = 3\n'
            'custom_hooks = [dict(type="EarlyStoppingHook", monitor="acc")]',
            "custom_hooks.0",
            "lower val_begin",
        ),
    ],
    ids=["save_best", "early stopping", "plateau", "val_begin", "both"],
)
def test_a_setting_that_waits_for_a_validation_in_vain_is_found(
    engine: Engine, change: str, path: str, words: str
) -> None:
    code, printed = engine("check", "cfg.py", change=change)

    assert code == 1
    assert f": {path}: " in printed
    assert words in printed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('model = dict(type="Layer", fails_at="build")', "cfg.py:12: model: cannot build `Layer`"),
        ('load_from = "nowhere.pth"', "cfg.py:12: load_from: no checkpoint file nowhere.pth"),
        ('launcher = "slurm"', "SLURM_PROCID is not set, but the launcher 'slurm' sets it"),
        ('custom_imports = dict(imports=["no_such_parts"])', "cfg.py:12: custom_imports: "),
    ],
    ids=["model", "checkpoint", "slurm", "imports"],
)
def test_a_failed_start_ends_in_a_short_message_and_leaves_no_folder(
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    words: str,
) -> None:
    monkeypatch.delenv("SLURM_PROCID", raising=False)

    code, printed = engine("train", "cfg.py", change=change)

    assert code == 1
    assert words in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "work_dirs").exists()


def test_an_error_of_the_users_own_code_keeps_its_traceback(engine: Engine) -> None:
    code, printed = engine("train", "cfg.py", change='model = dict(type="Layer", fails_at="step")')

    assert code == 1
    assert "Traceback" in printed
    assert 'raise ValueError("this layer takes no step")' in printed


def test_a_loss_that_is_not_finite_is_exit_code_one_and_its_traceback_is_in_the_log(
    engine: Engine, tmp_path: Path
) -> None:
    change = 'optim_wrapper = dict(optimizer=dict(type="SGD", lr=1e38))'

    code, printed = engine("train", "cfg.py", change=change)

    [log] = (tmp_path / "work_dirs" / "cfg").glob("*/*.log")
    assert code == 1
    assert "Error: loss must be finite, got " in printed
    assert "Traceback" not in printed
    assert "Training finished" not in printed
    assert "Traceback" in log.read_text()
    assert not list((tmp_path / "work_dirs").rglob("*.pth"))


@pytest.mark.skipif(sys.platform == "win32", reason="file descriptors of POSIX")
@pytest.mark.parametrize("before", [PIPE_IS_CLOSED, OUTPUT_IS_CLOSED], ids=["pipe", "closed"])
def test_a_training_whose_output_is_closed_trains_on_and_logs_to_its_file(
    scripts: "Scripts", tmp_path: Path, before: str
) -> None:
    (tmp_path / "cfg.py").write_text(CONFIG)
    script = tmp_path / "script.py"
    script.write_text(before.format(folder=os.fspath(Path(__file__).parent)) + TRAIN)

    ended = scripts.run(script, folder=tmp_path)

    work = tmp_path / "work_dirs" / "cfg"
    [log] = work.glob("*/*.log")
    assert ended.returncode == 0
    assert (work / "epoch_2.pth").is_file()
    assert "Epoch(train) [2][4/4]" in log.read_text()
    assert "Traceback" not in log.read_text()
