"""The digits example, as a newcomer runs it: by the commands of README.md, and as scripts."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import PageRun, RunPage

ROOT = Path(__file__).parents[2]
PLACES = ("*.md", "packages/*/README.md", "benchmarks/*.md", "docs/**/*.md", "examples/**/*.md")
PAGES = [
    page
    for place in PLACES
    for page in sorted(ROOT.glob(place))
    if re.search(r"^```bash run$", page.read_text(), re.M)
]
CONFIG = "examples/digits/config.py"

pytestmark = pytest.mark.slow


@pytest.fixture
def demo(run_page: "RunPage") -> "PageRun":
    """Return the run of README.md's commands: 3 epochs, a test, and the 12 epochs that remain."""
    return run_page(ROOT / "README.md")


def _run_script(script: str, *arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / script, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_marked_commands_of_a_page_run_in_order(run_page: "RunPage", page: Path) -> None:
    last = run_page(page).ended[-1]

    assert last.code == 0, f"{last.command}\n{last.output[-4000:]}"


def test_demo_reaches_97_percent(demo: "PageRun") -> None:
    runs = sorted(demo.folder.glob("work_dirs/config/*/vis_data/scalars.json"))
    rows = [json.loads(line) for run in runs for line in run.read_text().splitlines()]
    accuracies = {row["step"]: row["accuracy"] for row in rows if "accuracy" in row}

    assert list(accuracies) == list(range(1, 16))
    assert accuracies[15] >= 0.97


def test_demo_prints_where_its_results_are(demo: "PageRun") -> None:
    output = demo.output("engine train", "--resume")

    for name in ("log", "best checkpoint", "curves"):
        [path] = re.findall(rf"^  {name}: +(\S+)$", output, re.M)
        assert (demo.folder / path).stat().st_size > 1000


def test_engine_test_gives_the_accuracy_of_the_training(demo: "PageRun") -> None:
    output = demo.output("engine train", "max_epochs=3")
    [trained] = re.findall(r"Epoch\(val\) \[3\]\[3/3\]  accuracy: (\d\.\d{4})", output)

    [tested] = re.findall(r"^accuracy: (.+)$", demo.output("engine test"), re.M)

    assert f"{float(tested):.4f}" == trained


def test_hook_of_the_example_keeps_pictures_of_misread_digits(demo: "PageRun") -> None:
    pictures = demo.folder.glob("work_dirs/config/*/vis_data/vis_image/*.png")

    # A set, because the resumed run validates epoch 3 again: its checkpoint is older than that
    # validation, and does not say that it was finished.
    assert {picture.stem for picture in pictures} == {f"misread_{n}" for n in range(1, 16)}


def test_script_with_a_config_resumes_and_trains(demo: "PageRun", tmp_path: Path) -> None:
    checkpoint = demo.folder / "work_dirs" / "config" / "epoch_15.pth"
    options = ["--cfg-options", f"load_from={checkpoint}", "train_cfg.max_epochs=16"]

    output = _run_script("train.py", str(ROOT / CONFIG), "--resume", *options, folder=tmp_path)

    assert "resumed epoch: 15, iter: 675" in output
    assert (tmp_path / "work_dirs" / "config" / "epoch_16.pth").is_file()


def test_script_without_a_config_trains(tmp_path: Path) -> None:
    output = _run_script("digits/script.py", folder=tmp_path)

    [accuracy] = re.findall(r"^accuracy: (.+)$", output, re.M)
    assert float(accuracy) > 0.9
    assert (tmp_path / "work_dirs" / "script" / "epoch_5.pth").is_file()
