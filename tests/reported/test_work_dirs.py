"""The work directory: the home folder, and two configs of one name."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.reported.line_task import CONFIG

from engine_runner import Runner
from engine_runner.cli import main

Engine = Callable[..., tuple[int, str]]


@pytest.fixture
def engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Engine:
    """Return a function that runs a command in this process, with ``a`` and ``b/cfg.py``."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cfg.py").write_text(CONFIG)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["engine", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(str(ended.value.code)), "".join(capfd.readouterr())

    return run


def test_a_tilde_is_the_home_folder(
    toy_run: Callable[..., Runner], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    toy_run(work_dir="~/runs").train()
    runner = toy_run(work_dir="~/more", load_from="~/runs/epoch_2.pth", resume=True)
    runner.load_or_resume()

    assert runner.epoch == 2
    assert runner.work_dir == str(tmp_path / "more")
    assert (tmp_path / "runs" / "epoch_2.pth").is_file()
    assert not Path("~").exists()


def test_a_second_config_of_one_name_does_not_share_the_folder(
    engine: Engine, tmp_path: Path
) -> None:
    assert engine("train", "a/cfg.py")[0] == 0
    before = sorted((tmp_path / "work_dirs").rglob("*"))

    code, printed = engine("train", "b/cfg.py")

    assert code == 2
    assert "has the runs of" in printed
    assert "--work-dir work_dirs/b_cfg" in printed
    assert sorted((tmp_path / "work_dirs").rglob("*")) == before
    assert engine("train", "a/cfg.py", "--resume")[0] == 0
    assert engine("train", "b/cfg.py", "--work-dir", "work_dirs/b_cfg")[0] == 0


def test_a_config_that_was_renamed_or_moved_keeps_its_folder(
    engine: Engine, tmp_path: Path
) -> None:
    assert engine("train", "a/cfg.py")[0] == 0
    (tmp_path / "a" / "cfg.py").unlink()

    assert engine("train", "b/cfg.py", "--resume")[0] == 0


def test_a_run_that_fails_at_its_first_step_leaves_no_folder(
    engine: Engine, tmp_path: Path
) -> None:
    options = ("--cfg-options", "model.fails_at=step")

    code, _ = engine("train", "a/cfg.py", *options)

    assert code == 1
    assert not (tmp_path / "work_dirs").exists()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "notes.txt").write_text("mine")
    assert engine("train", "a/cfg.py", "--work-dir", "kept", *options)[0] == 1
    assert [path.name for path in (tmp_path / "kept").iterdir() if path.is_dir()] == []
    assert (tmp_path / "kept" / "notes.txt").read_text() == "mine"
