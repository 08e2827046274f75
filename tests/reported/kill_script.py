"""Kill trainings that save after each iteration, at random instants. Not a test module.

Arguments: a folder, and how many trainings to kill. Each training resumes the one before. Prints
as JSON what was found afterwards.
"""

import collections
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
from engine_runner._errors import SettingsError

REFUSED = 3


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(200, 200)

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        return {"loss": self.linear(x).square().mean()}


def train(folder: Path) -> None:
    Runner(
        Line(),
        folder,
        train_dataloader={
            "dataset": [(torch.ones(200),) for _ in range(8)],
            "sampler": {"type": "DefaultSampler"},
            "collate_fn": {"type": "default_collate"},
            "batch_size": 2,
        },
        train_cfg={"by_epoch": False, "max_iters": 100_000},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.01, "momentum": 0.9}},
        default_hooks={
            "checkpoint": {
                "type": "CheckpointHook",
                "interval": 1,
                "by_epoch": False,
                "max_keep_ckpts": 2,
            },
        },
        log_level="ERROR",
        resume=True,
    ).train()


def kill_one(folder: Path) -> int:
    """Start a training, kill it some time after its first checkpoint, and return its exit code."""
    marker = folder / "last_checkpoint"
    before = marker.stat().st_mtime_ns if marker.is_file() else 0
    child = os.fork()
    if child == 0:
        try:
            train(folder)
        except SettingsError:
            os._exit(REFUSED)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    deadline = time.monotonic() + 60
    while not (marker.is_file() and marker.stat().st_mtime_ns > before):
        time.sleep(0.001)
        if time.monotonic() > deadline or os.waitid(
            os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT
        ):
            break
    time.sleep(random.random() / 20)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder: Path, count: int) -> None:
    random.seed(0)
    codes: collections.Counter[int] = collections.Counter()
    damaged, backwards, reached = 0, 0, 0
    for _ in range(count):
        codes[kill_one(folder)] += 1
        try:
            found = read_checkpoint(str(find_latest_checkpoint(folder)))["progress"]["iter"]
        except RuntimeError:
            damaged += 1
            continue
        backwards += found < reached
        reached = found
    torch.save([], folder / ".engine-00112233445566aa.part")  # one at least is left
    kill_one(folder)
    # The last training may have left one, too.
    left = max(0, len(list(folder.glob(".engine-*.part"))) - 1)

    result = {
        "codes": codes,
        "refused": codes[REFUSED],
        "damaged": damaged,
        "backwards": backwards,
        "iterations": reached,
        "partial files after the next start": left,
    }
    del codes[REFUSED]
    print(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
