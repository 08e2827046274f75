"""``~`` means the home folder wherever a path is taken, in all packages."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
from torch import nn

import engine_fileio as fileio
from engine_config import Config
from engine_dataset import BaseDataset
from engine_dist import collect_results
from engine_evaluator import DumpResults
from engine_logging import MMLogger
from engine_model import init
from engine_model.weights import CheckpointLoader, load_checkpoint, read_checkpoint, save_checkpoint
from engine_registry import count_registered_modules
from engine_runner import Runner, find_latest_checkpoint, hub
from engine_runner.cli import main
from engine_runner.cli._app import engine
from engine_runner.export import export_model
from engine_runner.hooks import CheckpointHook, LoggerHook, ProfilerHook
from engine_runner.infer._inputs import list_inputs
from engine_runner.infer._load import config_and_weights
from engine_utils import (
    check_file_exist,
    expand_home,
    fopen,
    mkdir_or_exist,
    scandir,
    symlink,
)
from engine_utils.dl_utils import load_url
from engine_visualization import Visualizer
from engine_visualization.backends import AimVisBackend, LocalVisBackend
from engine_visualization.plots import plot_curves

MakeRun = Callable[..., Runner]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a home folder, apart from the working folder, in which nothing may appear."""
    folder = tmp_path / "home"
    for name in ("home", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(tmp_path / "elsewhere")
    (folder / "in").mkdir()
    (folder / "in" / "a.txt").write_text("a")
    (folder / "in" / "cfg.py").write_text("model = dict(type='Linear')\n")
    torch.save({"state_dict": nn.Linear(1, 1).state_dict()}, folder / "in" / "w.pth")
    (folder / "in" / "data.json").write_text(
        json.dumps({"metainfo": {}, "data_list": [{"img_path": "x.png"}]})
    )
    yield folder
    assert not list(Path.cwd().iterdir()), "something was written beside the home folder"


def _log(path: Any) -> None:
    logger = MMLogger("of-home", log_file=path)
    logger.info("x")
    logger.close()


def _written_whole(path: str) -> None:
    with fileio.atomic_write(path) as file:
        file.write(b"x")


def _dump_results(path: str) -> None:
    DumpResults(path).compute_metrics([1])


def _tracked(**options: Any) -> None:
    backend = LocalVisBackend(**{"save_dir": "~/out", **options})
    backend.add_scalars({"loss": 1.0}, step=1)
    backend.add_image("a", np.zeros((2, 2, 3), dtype=np.uint8))
    backend.add_config(Config({"a": 1}))
    backend.close()


def _visualized(path: Any) -> None:
    visualizer = Visualizer("of-home", vis_backends=[{"type": "LocalVisBackend"}], save_dir=path)
    visualizer.add_scalar("loss", 1.0)
    visualizer.close()


def _plotted(_: Path) -> None:
    _tracked()
    plot_curves("~/out/scalars.json", "~/out/x.png")


def _cached(_: Path) -> None:
    source = Path.home() / "in" / "w.pth"
    load_url(source.as_uri(), model_dir="~/out")


WRITERS: dict[str, Callable[[Path], object]] = {
    "utils.fopen": lambda home: fopen(_made("~/out") + "/x", "w").close(),
    "utils.mkdir_or_exist": lambda home: mkdir_or_exist("~/out"),
    "utils.symlink": lambda home: symlink("~/in/a.txt", _made("~/out") + "/x"),
    "utils.load_url": _cached,
    "registry.count": lambda home: count_registered_modules("~/out", verbose=False),
    "fileio.put": lambda home: fileio.put(b"x", "~/out/x"),
    "fileio.put-file": lambda home: fileio.put(b"x", "file://~/out/x"),
    "fileio.put_text": lambda home: fileio.put_text("x", Path("~/out/x")),
    "fileio.dump": lambda home: fileio.dump([1], "~/out/x.json"),
    "fileio.atomic_write": lambda home: _written_whole("~/out/x"),
    "fileio.copytree": lambda home: fileio.copytree("~/in", "~/out"),
    "fileio.copyfile": lambda home: fileio.copyfile("~/in/a.txt", "~/out/x"),
    "fileio.copyfile_to_local": lambda home: fileio.copyfile_to_local("~/in/a.txt", "~/out/x"),
    "fileio.handler": lambda home: fileio.JsonHandler().dump_to_path([1], _made("~/out") + "/x"),
    "config.dump": lambda home: Config({"a": 1}).dump("~/out/x.py"),
    "logging": lambda home: _log("~/out/x.log"),
    "logging-path": lambda home: _log(Path("~/out/x.log")),
    "dist.collect_results": lambda home: collect_results([1], 1, "cpu", _made("~/out")),
    "evaluator.DumpResults": lambda home: _dump_results("~/out/x.pkl"),
    "visualization.save_dir": lambda home: _visualized("~/out"),
    "visualization.local": lambda home: _tracked(),
    "visualization.images": lambda home: _tracked(img_save_dir="~/out/images"),
    "visualization.config": lambda home: _tracked(config_save_file="~/out/c.py"),
    "visualization.scalars": lambda home: _tracked(scalar_save_file="~/out/s.json"),
    "visualization.plots": _plotted,
    "model.save_checkpoint": lambda home: save_checkpoint({"a": 1}, "~/out/x.pth"),
    "runner.export": lambda home: export_model(
        nn.Linear(1, 1), {"input": torch.ones(2, 1)}, _made("~/out") + "/x.pt2"
    ),
}


def _made(folder: str) -> str:
    mkdir_or_exist(folder)
    return folder


@pytest.mark.parametrize("write", [pytest.param(f, id=name) for name, f in WRITERS.items()])
def test_tilde_is_the_home_folder_of_what_is_written(
    write: Callable[[Path], object], home: Path
) -> None:
    write(home)

    assert (home / "out").exists()


def _init_weights(path: str) -> nn.Module:
    layer = nn.Linear(1, 1)
    init.PretrainedInit(path)(layer)
    return layer


READERS: dict[str, Callable[[], object]] = {
    "utils.fopen": lambda: fopen("~/in/a.txt").close(),
    "utils.check_file_exist": lambda: check_file_exist("~/in/a.txt"),
    "utils.scandir": lambda: next(iter(scandir("~/in"))),
    "fileio.get": lambda: fileio.get("~/in/a.txt"),
    "fileio.get-file": lambda: fileio.get("file://~/in/a.txt"),
    "fileio.load": lambda: fileio.load("~/in/data.json"),
    "fileio.handler": lambda: fileio.JsonHandler().load_from_path("~/in/data.json"),
    "fileio.list_from_file": lambda: fileio.list_from_file("~/in/a.txt"),
    "fileio.isfile": lambda: fileio.isfile("~/in/a.txt") or pytest.fail("not found"),
    "fileio.FileClient": lambda: fileio.FileClient().get("~/in/a.txt"),
    "fileio.remove_partials": lambda: fileio.remove_partials("~/in"),
    "config.fromfile": lambda: Config.fromfile("~/in/cfg.py"),
    "config.base": lambda: Config.fromstring("_base_ = '~/in/cfg.py'", ".py"),
    "dataset.ann_file": lambda: BaseDataset("~/in/data.json")[0],
    "dataset.data_root": lambda: BaseDataset("data.json", data_root="~/in")[0],
    "model.read_checkpoint": lambda: read_checkpoint("~/in/w.pth"),
    "model.load_checkpoint": lambda: load_checkpoint(nn.Linear(1, 1), "~/in/w.pth"),
    "model.loader": lambda: CheckpointLoader.load_checkpoint(Path("~/in/w.pth")),
    "model.PretrainedInit": lambda: _init_weights("~/in/w.pth"),
    "hub.get_config": lambda: hub.get_config("~/in/cfg.py"),
    "infer.inputs": lambda: list_inputs("~/in/*.txt")[0].index("home"),
    "infer.inputs-of-list": lambda: list_inputs(["~/in/a.txt"])[0].index("home"),
    "infer.config": lambda: config_and_weights("~/in/cfg.py", None),
}


@pytest.mark.parametrize("read", [pytest.param(f, id=name) for name, f in READERS.items()])
def test_tilde_is_the_home_folder_of_what_is_read(read: Callable[[], object], home: Path) -> None:
    read()


def test_tilde_is_the_home_folder_of_a_run(home: Path, toy_run: MakeRun) -> None:
    hooks = {
        "checkpoint": CheckpointHook(interval=1, out_dir="~/checkpoints"),
        "logger": LoggerHook(out_dir="~/logs"),
    }
    profiler = ProfilerHook(
        by_epoch=False,
        profile_times=2,
        json_trace_path="~/traces/a.json",
        on_trace_ready={"type": "tb_trace", "dir_name": "~/tb"},
    )
    runner = toy_run(work_dir="~/work/run", default_hooks=hooks, custom_hooks=[profiler])
    runner.train()
    runner.save_checkpoint("~/saved", "x.pth")

    for path in ("checkpoints/run/epoch_2.pth", "saved/x.pth", "traces/a.json"):
        assert (home / path).exists(), path
    assert len(list((home / "logs/run").rglob("*.log"))) == 1
    assert len(list((home / "tb").glob("*.json"))) == 1
    assert find_latest_checkpoint("~/work/run") == str(home / "checkpoints/run/epoch_2.pth")


@pytest.mark.parametrize("resume", [False, True])
def test_tilde_is_the_home_folder_of_load_from(home: Path, toy_run: MakeRun, resume: bool) -> None:
    toy_run(work_dir="~/first").train()

    runner = toy_run(work_dir="~/work", load_from="~/first/epoch_2.pth", resume=resume)
    runner.load_or_resume()
    runner.load_checkpoint("~/first/epoch_1.pth" if resume else "~/first/epoch_2.pth")

    assert runner.epoch == (2 if resume else 0)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["config", "~/in/cfg.py"], "Linear"),
        (["check", "~/in/cfg.py"], "Linear"),
        (["config", "~/in/cfg.py", "--cfg-options", "a=1"], "Linear"),
    ],
    ids=["config", "check", "options"],
)
def test_tilde_is_the_home_folder_on_the_command_line(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    found: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["engine", *arguments])

    with pytest.raises(SystemExit):
        main()

    printed = "".join(capfd.readouterr())
    assert found in printed
    assert "no such file" not in printed.lower()


@pytest.mark.parametrize(
    "arguments",
    [["train", "cfg.py", "--work-dir=~/w"], ["predict", "cfg.py", "w.pth", "a", "--out=~/w"]],
    ids=["train", "predict"],
)
def test_tilde_is_the_home_folder_in_options(arguments: list[str], home: Path) -> None:
    command = engine.get_command(click.Context(engine), arguments[0])
    assert command is not None

    given = command.make_context("engine", arguments[1:]).params

    assert home / "w" in given.values()


def test_path_of_an_unknown_user_and_an_address_stay() -> None:
    for path in ("~backup of nobody", "s3://bucket/~/x", "a/~/b"):
        assert expand_home(path) == path
    assert expand_home(Path("~backup of nobody")) == Path("~backup of nobody")


def test_aim_repository_may_lie_in_the_home_folder(home: Path) -> None:
    backend = AimVisBackend(init_kwargs={"repo": "~/aim"})

    assert backend._init_kwargs["repo"] == str(home / "aim")


def test_packages_have_one_function_for_the_home_folder() -> None:
    # Path.expanduser raises for a file such as "~backup", and os.path.expanduser of a Path returns
    # a string. engine-dist, which imports no package of ours, has one such string.
    packages = Path(__file__).parents[2] / "packages"
    users = [file for file in packages.glob("*/src/**/*.py") if "expanduser(" in file.read_text()]

    assert {file.name for file in users} == {"_paths.py", "_results.py"}
