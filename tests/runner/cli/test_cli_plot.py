"""``engine plot``: the curves of runs as PNG or SVG."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.runner.conftest import Command

START = "20260101_000000"


def write_run(work_dir: Path, *, lr: float = 0.1, start: str = START, epochs: int = 3) -> Path:
    folder = work_dir / start / "vis_data"
    folder.mkdir(parents=True)
    (folder / "config.py").write_text(
        f"work_dir = '{work_dir}'\nmodel = dict(type='Net', depth=18)\n"
        f"optim_wrapper = dict(optimizer=dict(type='SGD', lr={lr}))\n"
        "custom_imports = dict(imports=['no_such_module'])\n"
    )
    with (folder / "scalars.json").open("w") as stream:
        for epoch in range(1, epochs + 1):
            for step in range(epoch * 40 - 30, epoch * 40 + 1, 10):
                record = {"lr": lr, "loss": 1 / step, "time": 0.1, "memory": 900}
                record |= {"epoch": epoch, "iter": step, "step": step}
                stream.write(json.dumps(record) + "\n")
            stream.write(json.dumps({"accuracy": 0.9 + epoch / 100, "step": epoch}) + "\n")
    return folder / "scalars.json"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, which has the runs ``a`` and ``b``."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", lr=0.01, epochs=2)
    return tmp_path


def svg_size(file: Path) -> tuple[float, ...]:
    root = ElementTree.parse(file).getroot()
    assert root.tag.endswith("svg")
    return tuple(float(number) for number in root.attrib["viewBox"].split())[2:]


def test_plot_writes_a_png_of_the_given_size(here: Path, command: "Command") -> None:
    text = command("plot", "a", "--out", "a.png", "--size", "12x6", "--dpi", "50").stdout

    with Image.open("a.png") as picture:
        assert picture.size == (600, 300)
    assert text.splitlines() == [f"read a/{START}/vis_data/scalars.json", "wrote a.png"]


def test_plot_writes_the_same_svg_each_time(here: Path, command: "Command") -> None:
    for name in ("one.svg", "two.svg"):
        command("plot", "a", "b", "--out", name, "--title", "Two rates", "--size", "12x8")

    assert svg_size(here / "one.svg") == (864, 576)
    assert Path("one.svg").read_bytes() == Path("two.svg").read_bytes()


def test_legend_has_the_differences_of_the_configs(here: Path, command: "Command") -> None:
    command("plot", "a", "b", "--out", "ab.svg")

    # An SVG has the shapes of its letters, with their text as a comment.
    text = Path("ab.svg").read_text()
    assert "<!-- a: lr=0.1 -->" in text
    assert "<!-- b: lr=0.01 -->" in text
    for title in ("loss", "accuracy", "lr", "throughput (iterations per second)", "memory (MB)"):
        assert f"<!-- {title} -->" in text


def test_legend_begins_with_what_all_configs_have(here: Path, command: "Command") -> None:
    config = here / "a" / START / "vis_data" / "config.py"
    hook = "dict(type='Pictures', stages=['val', 'test'], interval=2, most=4, kind=1)"
    config.write_text(f"{config.read_text()}custom_hooks = [{hook}]\n")

    command("plot", "a", "b", "--out", "ab.svg")

    text = Path("ab.svg").read_text()
    assert "<!-- a: lr=0.1, interval=2, kind=1, most=4, 2 more -->" in text
    assert "<!-- b: lr=0.01 -->" in text


def test_legend_has_a_list_as_one_value(here: Path, command: "Command") -> None:
    for run, stages in (("a", ["val"]), ("b", ["val", "test"])):
        config = here / run / START / "vis_data" / "config.py"
        config.write_text(f"stages = {stages}\n")

    command("plot", "a", "b", "--out", "ab.svg")

    assert "<!-- b: stages=['val', 'test'] -->" in Path("ab.svg").read_text()


@pytest.mark.parametrize(
    ("options", "shown", "hidden"),
    [
        (["--keys", "loss"], ["training loss", "iteration"], ["accuracy", "learning rate"]),
        (["--keys", "acc*,lr", "--x", "epoch"], ["accuracy", "epoch"], ["training loss"]),
        (["--x", "time"], ["training time (s)"], ["iteration"]),
        (["--keys", "time"], ["time"], ["training loss"]),
    ],
    ids=["key", "pattern", "time axis", "timing"],
)
def test_options_choose_curves_and_axis(
    here: Path, command: "Command", options: list[str], shown: list[str], hidden: list[str]
) -> None:
    command("plot", "a", "--out", "a.svg", *options)

    text = Path("a.svg").read_text()
    assert all(f"<!-- {word} -->" in text for word in shown)
    assert not any(f"<!-- {word} -->" in text for word in hidden)


def test_run_whose_last_line_is_being_written_is_plotted(here: Path, command: "Command") -> None:
    command("plot", "a", "--out", "whole.svg")
    with (here / "a" / START / "vis_data" / "scalars.json").open("a") as stream:
        stream.write('{"loss": 0.1, "it')

    command("plot", "a", "--out", "cut.svg")

    assert Path("cut.svg").read_bytes() == Path("whole.svg").read_bytes()


def test_smooth_and_log_y_change_the_curves(here: Path, command: "Command") -> None:
    pictures = set()
    for options in ([], ["--smooth", "0.5"], ["--log-y"], ["--smooth", "0"]):
        command("plot", "a", "--keys", "loss,memory", "--out", "a.svg", *options)
        pictures.add(Path("a.svg").read_bytes())

    assert len(pictures) == 3  # 0 is the default of short curves


def test_plot_takes_the_last_training_and_no_test(here: Path, command: "Command") -> None:
    trained = write_run(here / "a", start="20260102_000000")
    tested = here / "a/20260103_000000/vis_data/scalars.json"
    tested.parent.mkdir(parents=True)
    tested.write_text('{"accuracy": 0.9, "step": 0}\n')
    os.utime(here / "a" / START / "vis_data/scalars.json", (1, 1))
    os.utime(tested, (4_000_000_000, 4_000_000_000))

    text = command("plot", "a").stdout

    assert text.splitlines()[0] == f"read {trained.relative_to(here)}"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["a", "--keys", "los"], 1, "got 'los'; did you mean 'loss'?; the names are accuracy, "),
        (["a", "--out", "a.gif"], 2, "--out must end in .png or .svg, got a.gif"),
        (["missing"], 2, "WORK_DIR must be a folder or a file of scalars, got missing"),
        (["."], 2, "has no run: */vis_data/scalars.json is missing; name one of a, b"),
        (["a", "a"], 2, "WORK_DIR must be different runs"),
        (["a", "--size", "12"], 2, "must be width x height in inches, such as 12x8, got '12'"),
        (["a", "--size", "1x1"], 1, "size must leave room for 5 panels"),
        (["a", "--smooth", "1"], 2, "1.0 is not in the range"),
        (["bad.json"], 1, "bad.json:1 must be JSON"),
        (["steps.json", "--x", "epoch"], 1, "x must be iter or time, got epoch: steps.json has"),
        (["steps.json", "--x", "time"], 1, "x must be iter or epoch, got time"),
        (["empty.json"], 1, "the runs must have recorded numbers, got none"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_is_one_line(
    here: Path, command: "Command", arguments: list[str], code: int, words: str
) -> None:
    Path("bad.json").write_text("{\n")
    Path("empty.json").write_text("")
    Path("steps.json").write_text('{"loss": 1, "iter": 10, "step": 10}\n')

    done = command("plot", *arguments, code=code)

    [line] = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert words in line


def test_missing_matplotlib_is_one_line_with_the_command(
    here: Path, command: "Command", monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    error = command("plot", "a", code=1).stderr

    assert len(error.splitlines()) == 1
    assert 'pip install "engine-visualization[plots]"' in error


def test_a_linear_axis_under_log_y_is_warned_of(
    here: Path, command: "Command", caplog: pytest.LogCaptureFixture
) -> None:
    Path("c.json").write_text('{"loss": -1, "iter": 1}\n{"loss": 1, "iter": 2}\n')

    command("plot", "c.json", "--log-y")

    assert "the axis of training loss stays linear: it has values <= 0" in caplog.text


def test_plot_loads_no_torch(here: Path) -> None:
    script = (
        "import sys\n"
        "from engine_runner.cli._app import engine\n"
        "engine(['plot', 'a', 'b'], standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules)\n"
    )

    done = subprocess.run([sys.executable, "-c", script], cwd=here, timeout=300)

    assert done.returncode == 0


def test_config_of_a_run_is_read_as_data(here: Path, command: "Command") -> None:
    for run in ("a", "b"):
        config = here / run / START / "vis_data" / "config.py"
        made = here / f"made_by_{run}"
        config.write_text(f"{config.read_text()}open({str(made)!r}, 'w').close()\n")

    command("plot", "a", "b")

    assert not list(here.glob("made_by_*"))
