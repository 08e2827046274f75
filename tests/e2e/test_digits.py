"""The digits example, as a newcomer runs it: by the commands of README.md, and as scripts."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Scripts
    from tests.e2e.conftest import PageRun, RunPage

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"

pytestmark = pytest.mark.slow


@pytest.fixture
def demo(run_page: "RunPage") -> "PageRun":
    """Return the run of README.md's commands: 3 epochs, a test, and the 12 epochs that remain."""
    return run_page(ROOT / "README.md")


def test_marked_commands_of_the_readme_run_in_order(demo: "PageRun") -> None:
    last = demo.ended[-1]

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


def test_script_with_a_config_resumes_and_trains(
    demo: "PageRun", scripts: "Scripts", tmp_path: Path
) -> None:
    checkpoint = demo.folder / "work_dirs" / "config" / "epoch_15.pth"
    options = ["--cfg-options", f"load_from={checkpoint}", "train_cfg.max_epochs=16"]
    script, config = EXAMPLES / "train.py", EXAMPLES / "digits" / "config.py"

    done = scripts.run(script, config, "--resume", *options, folder=tmp_path)

    assert done.returncode == 0, done.stdout
    assert "resumed epoch: 15, iter: 675" in done.stdout
    assert (tmp_path / "work_dirs" / "config" / "epoch_16.pth").is_file()
