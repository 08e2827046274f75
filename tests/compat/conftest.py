"""Install the toy library once, run its tools as they are, and keep how each ended."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import pytest

collect_ignore = ["toy_library"]  # its tests run where it is installed

HERE = Path(__file__).parent
TESTS = HERE.parent
CONFIG, WORK_DIR = "configs/toynet/toynet_4e_shapes.py", "work_dirs/toynet_4e_shapes"
PLAIN = "configs/toynet/toynet_4e_shapes-plain.py"
LAZY = "mmtoy/configs/toynet/toynet_4e_shapes_plain.py"
ITERATIONS = "configs/toynet/toynet-wide_16i_shapes.py"
CHECKPOINT = f"{WORK_DIR}/epoch_4.pth"
EACH_STEP = ["--cfg-options", "log_processor.window_size=1"]
SCALED = ["train_dataloader.batch_size=16", "runner_type=mmtoy.OneThreadRunner"]
PICTURES = [f"data/shapes/images/val/{number:03}.npy" for number in (0, 8, 16)]

Command = list[str]

PIP = [sys.executable, "-m", "pip", "install", "--no-index", "--no-build-isolation"]


def train(config: str, name: str, *arguments: str) -> Command:
    return ["tools/train.py", config, "--work-dir", f"work_dirs/{name}", *arguments]


def test(name: str, *arguments: str) -> Command:
    return ["tools/test.py", CONFIG, CHECKPOINT, "--work-dir", f"work_dirs/{name}", *arguments]


def ranks(command: Command) -> Command:
    return [str(TESTS / "fork_ranks.py"), "run", "--standalone", "--nproc-per-node=2", *command]


def on_two_ranks(command: Command) -> Command:
    return ranks([*command, "--launcher", "pytorch"])


# Processes of their own, as a user starts them. They run beside the first rounds.
PROGRAMS: dict[str, Command] = {
    "resolve": [*PIP, "--dry-run", "."],
    "two": ["bash", "tools/dist_train.sh", PLAIN, "2", "--work-dir", "work_dirs/two", *EACH_STEP],
}
# Scripts, each in a fork of a process that has torch loaded. Those of a round run at once.
ROUNDS: list[dict[str, Command]] = [
    {
        "train": ["tools/train.py", CONFIG],
        "by_hand": [str(HERE / "toy_by_hand.py"), "data/shapes", "by_hand.pt"],
        "two_by_hand": ranks([str(HERE / "toy_by_hand.py"), "data/shapes", "two_by_hand.pt"]),
        "text": train(PLAIN, "text", *EACH_STEP),
        "lazy": train(LAZY, "lazy", *EACH_STEP),
        "iterations": train(ITERATIONS, "iterations"),
        "stopped": train(CONFIG, "resumed", "--cfg-options", "train_cfg.max_minutes=0"),
        "half": train(ITERATIONS, "half", "--cfg-options", "train_cfg.max_iters=8"),
        "two_stopped": on_two_ranks(
            train(PLAIN, "two_resumed", *EACH_STEP, "train_cfg.max_minutes=0")
        ),
        "amp": train(CONFIG, "amp", "--amp", "--auto-scale-lr", *EACH_STEP, *SCALED),
    },
    {
        "resumed": train(CONFIG, "resumed", "--resume"),
        "whole": train(ITERATIONS, "half", "--resume"),
        "two_resumed": on_two_ranks(train(PLAIN, "two_resumed", "--resume", *EACH_STEP)),
    },
    {
        "test": test("test", "--show-dir", "work_dirs/shown"),
        "tta": test("tta", "--tta", "--out", "work_dirs/tta.pkl"),
        "two_test": on_two_ranks(test("two_test")),
        "two_tta": on_two_ranks(test("two_tta", "--tta")),
        "print_config": ["tools/misc/print_config.py", ITERATIONS, "--save-path", "printed.py"],
        "publish": ["tools/model_converters/publish_model.py", CHECKPOINT, "work_dirs/toynet.pth"],
        "browse": ["tools/browse_dataset.py", CONFIG, "--not-show", "-o", "work_dirs/browsed"],
        "flops": ["tools/analysis_tools/get_flops.py", CONFIG],
        "predict": [str(HERE / "toy_predict.py"), CHECKPOINT, *PICTURES],
        "own_tests": [str(HERE / "toy_own_tests.py"), "tests"],
    },
]
LOADED = [
    f"engine_{name}"
    for name in ("runner.runner", "runner.infer", "runner.testing", "optim", "visualization")
]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that ended, with its exit code and all that it printed."""

    code: int
    output: str


@dataclass(frozen=True)
class Toy:
    """The source tree of the toy library, where its tools ran, and how each command ended."""

    folder: Path
    ended: Mapping[str, Ended]

    @property
    def site(self) -> Path:
        """The folder in which pip installed the library."""
        return self.folder / "site"

    def output(self, name: str) -> str:
        """Return the output of a command that must have succeeded."""
        ended = self.ended[name]
        assert ended.code == 0, f"{name}\n{ended.output[-6000:]}"
        return ended.output

    def records(self, name: str) -> list[dict[str, Any]]:
        """Return what a run logged as JSON, in the file of its start that analyzers read."""
        self.output(name if name in self.ended else "train")
        files = sorted((self.folder / "work_dirs" / name).glob("2*/vis_data/2*.json"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def losses(self, name: str) -> list[tuple[float, float]]:
        """Return the loss and the learning rate of each line of a training."""
        return [(row["loss"], row["lr"]) for row in self.records(name) if "loss" in row]

    def weights(self, name: str, file: str = "epoch_4.pth") -> dict[str, Any]:
        """Return the weights that a training saved."""
        import torch

        path = self.folder / "work_dirs" / name / file
        checkpoint = torch.load(path, map_location="cpu", weights_only=False)
        return dict(checkpoint["state_dict"])


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """Install the toy library and run its tools, the first time that a test needs them."""
    # The workers of pytest-xdist share one run: the first that needs it holds the lock meanwhile.
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder, record = shared / "toy_library", shared / "toy_library.json"
    with (shared / "toy_library.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists():
            shutil.rmtree(folder, ignore_errors=True)  # left by a worker that was stopped
            ended = _run_all(folder)
            record.write_text(json.dumps({name: asdict(one) for name, one in ended.items()}))
    ended = {name: Ended(**one) for name, one in json.loads(record.read_text()).items()}
    return Toy(folder, ended)


def _run_all(folder: Path) -> dict[str, Ended]:
    shutil.copytree(HERE / "toy_library", folder)
    install = [*PIP, "--quiet", "--no-deps", "--target", "site", "."]
    ended = {"install": _ended(_start(install, folder))}
    with _forking(folder) as run:
        ended |= run({"draw": ["tools/dataset_converters/draw_shapes.py", "data/shapes"]})
        programs = {name: _start(command, folder) for name, command in PROGRAMS.items()}
        for scripts in ROUNDS[:-1]:
            ended |= run(scripts)
        ended |= {name: _ended(program) for name, program in programs.items()}
        ended |= run(ROUNDS[-1])
    return ended


def _environment(folder: Path) -> dict[str, str]:
    path = [str(folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    return os.environ | {
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PORT": port,
        "PYTHONPATH": os.pathsep.join(path),
    }


def _start(command: Sequence[str], folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command,
        cwd=folder,
        env=_environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _ended(process: "subprocess.Popen[str]") -> Ended:
    output, _ = process.communicate(timeout=300)
    return Ended(code=process.returncode, output=output)


@contextmanager
def _forking(folder: Path) -> Iterator[Callable[[Mapping[str, Command]], dict[str, Ended]]]:
    """Yield a function that runs scripts at once, in forks of a process that has torch loaded."""
    environment = _environment(folder)
    process = subprocess.Popen(
        [sys.executable, str(TESTS / "fork_scripts.py"), *LOADED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process has no pipes")
    requests, answers = process.stdin, process.stdout
    with process:
        yield lambda scripts: _run_round(scripts, folder, environment, requests, answers)


def _run_round(
    scripts: Mapping[str, Command],
    folder: Path,
    environment: Mapping[str, str],
    requests: IO[str],
    answers: IO[str],
) -> dict[str, Ended]:
    outputs = {name: folder / f"{name}.txt" for name in scripts}
    round_ = [
        {
            "script": script,
            "arguments": arguments,
            "folder": str(folder),
            "environment": dict(environment),
            "output": str(outputs[name]),
            "strict": False,
        }
        for name, (script, *arguments) in scripts.items()
    ]
    requests.write(json.dumps(round_) + "\n")
    requests.flush()
    codes = dict(zip(scripts, json.loads(answers.readline()), strict=True))
    return {
        name: Ended(code=code, output=outputs[name].read_text(errors="replace"))
        for name, code in codes.items()
    }
