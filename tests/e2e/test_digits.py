"""The demo, as a newcomer runs it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = Path(sys.executable).with_name("engine")
CONFIG = "examples/digits/config.py"


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the work directory of a demo that has run."""
    folder = tmp_path_factory.mktemp("digits")
    (folder / "output.txt").write_text(_run(ENGINE, "train", CONFIG, "--work-dir", folder))
    return folder


@pytest.mark.slow
def test_demo_reaches_97_percent(work_dir: Path) -> None:
    [scalars] = work_dir.glob("*/vis_data/scalars.json")
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    accuracies = [row["accuracy"] for row in rows if "accuracy" in row]

    assert len(accuracies) == 15
    assert accuracies[-1] >= 0.97


@pytest.mark.slow
def test_demo_says_where_its_results_lie(work_dir: Path) -> None:
    output = (work_dir / "output.txt").read_text()

    for name in ("log", "best checkpoint", "curves"):
        [path] = re.findall(rf"^  {name}: +(\S+)$", output, re.M)
        assert (ROOT / path).stat().st_size > 1000


@pytest.mark.slow
def test_engine_test_gives_the_accuracy_of_the_training(work_dir: Path) -> None:
    output = (work_dir / "output.txt").read_text()
    [trained] = re.findall(r"Epoch\(val\) \[15\]\[3/3\]  accuracy: (\d\.\d{4})", output)

    tested = _run(
        ENGINE, "test", CONFIG, work_dir / "epoch_15.pth", "--work-dir", work_dir / "test"
    )

    [accuracy] = re.findall(r"^accuracy: (.+)$", tested, re.M)
    assert f"{float(accuracy):.4f}" == trained


@pytest.mark.slow
def test_script_of_ones_own_trains_and_resumes(tmp_path: Path) -> None:
    script = [sys.executable, "examples/train.py", CONFIG, "--work-dir", str(tmp_path)]

    _run(*script, "--cfg-options", "train_cfg.max_epochs=1")
    resumed = _run(*script, "--resume", "--cfg-options", "train_cfg.max_epochs=2")

    assert "resumed epoch: 1, iter: 45" in resumed
    assert (tmp_path / "epoch_2.pth").is_file()


@pytest.mark.slow
def test_hook_of_the_example_keeps_pictures_of_misread_digits(work_dir: Path) -> None:
    pictures = list(work_dir.glob("*/vis_data/vis_image/misread_*.png"))

    assert len(pictures) == 15  # one an epoch


@pytest.mark.slow
def test_script_without_a_config_trains(tmp_path: Path) -> None:
    script = ROOT / "examples" / "digits" / "script.py"

    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=900
    )

    assert done.returncode == 0, done.stdout + done.stderr
    [accuracy] = re.findall(r"^accuracy: (.+)$", done.stdout, re.M)
    assert float(accuracy) > 0.9
    assert (tmp_path / "work_dirs" / "script" / "epoch_5.pth").is_file()
