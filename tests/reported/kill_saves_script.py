"""Kill trainings that save after each iteration, until they end all the same. Not a test module.

Arguments: a folder, a writer, and how many times to kill. A training is killed at random instants,
resumed, and killed again. In the end it has the weights of one that was never killed. Prints as
JSON what was found. By hand, with 200 kills of each writer:

    python tests/reported/kill_saves_script.py /tmp/kills PlainWriter 200
    python tests/reported/kill_saves_script.py /tmp/kills AsyncWriter 200
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import torch

from engine_model import BaseModel, read_checkpoint
from engine_runner import Runner, find_latest_checkpoint
from engine_runner.checkpoint import read_manifest, verify

ITERATIONS = 60


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(100, 100)

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        noise = torch.randn_like(x)  # the state of the generator is part of the result
        return {"loss": (self.linear(x) - noise).square().mean()}


def train(folder: Path, writer: str | None) -> None:
    """Train to the end, and save each iteration, or, without a writer, the last one only."""
    hook: dict[str, Any] = {
        "type": "CheckpointHook",
        "interval": 1 if writer else -1,
        "by_epoch": False,
        "max_keep_ckpts": 2 if writer else -1,
        "writer": writer,
    }
    torch.manual_seed(0)  # for the model, which is built before the run sets its seed
    generator = torch.Generator().manual_seed(0)
    Runner(
        Line(),
        folder,
        train_dataloader={
            "dataset": [(torch.randn(100, generator=generator),) for _ in range(20)],
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "collate_fn": {"type": "default_collate"},
            "batch_size": 2,
        },
        train_cfg={"by_epoch": False, "max_iters": ITERATIONS},
        optim_wrapper={"optimizer": {"type": "Adam", "lr": 0.01}},
        param_scheduler={"type": "CosineAnnealingLR", "T_max": ITERATIONS, "by_epoch": False},
        default_hooks={"checkpoint": hook},
        randomness={"seed": 0},
        log_level="ERROR",
        resume=True,
    ).train()


def start(folder: Path, writer: str | None) -> int:
    """Start a training in a process of its own, and return its id."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            train(folder, writer)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


def ended(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def kill_one(folder: Path, writer: str) -> int:
    """Start a training, kill it at a random instant, and return its exit code."""
    marker = folder / "last_checkpoint"
    before = marker.stat().st_mtime_ns if marker.is_file() else 0
    child = start(folder, writer)
    if random.random() < 0.2:  # at any time, the start included
        deadline = time.monotonic() + random.random()
        while time.monotonic() < deadline and not ended(child):
            time.sleep(0.001)
    else:
        while not (marker.is_file() and marker.stat().st_mtime_ns > before) and not ended(child):
            time.sleep(0.001)
        time.sleep(random.random() / 20)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def state_of(folder: Path) -> dict[str, Any]:
    return dict(read_checkpoint(str(folder / f"iter_{ITERATIONS}.pth"))["state_dict"])


def main(folder: Path, writer: str, count: int) -> None:
    random.seed(f"{writer} {count}")
    # In this process, which then has loaded all that its children need. They are forked, so that
    # there must not be threads of torch.
    torch.set_num_threads(1)
    train(folder / "whole", None)
    whole = state_of(folder / "whole")
    found = {"kills": 0, "failed": 0, "damaged": 0, "unlike": 0, "backwards": 0, "runs": 0}
    while found["kills"] < count:
        found["runs"] += 1
        work, reached, code = folder / f"run_{found['runs']}", 0, -signal.SIGKILL
        while found["kills"] < count and code == -signal.SIGKILL:
            code = kill_one(work, writer)
            found["kills"] += code == -signal.SIGKILL
            found["failed"] += code not in (0, -signal.SIGKILL)
            print(found, file=sys.stderr, flush=True)
            latest = find_latest_checkpoint(work)
            if latest is None:
                found["backwards"] += reached > 0
                continue
            try:
                now = read_checkpoint(latest)["progress"]["iter"]
            except RuntimeError:
                found["damaged"] += 1
                continue
            manifest = read_manifest(latest)
            found["damaged"] += manifest is not None and verify(latest, manifest) is not None
            found["backwards"] += now < reached
            reached = now
        if code == -signal.SIGKILL:
            found["failed"] += os.waitpid(start(work, writer), 0)[1] != 0
        state = state_of(work)
        found["unlike"] += not all(torch.equal(state[name], whole[name]) for name in whole)
        names = {path.name for path in work.glob("*.pth*")}
        kept = [f"iter_{number}.pth" for number in (ITERATIONS - 1, ITERATIONS)]
        expected = {*kept, *(f"{name}.json" for name in kept)}
        # One too many is left if the last training was killed before it deleted the oldest.
        one_more = {f"iter_{ITERATIONS - 2}.pth", f"iter_{ITERATIONS - 2}.pth.json"}
        found["unlike"] += not expected <= names <= expected | one_more
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
