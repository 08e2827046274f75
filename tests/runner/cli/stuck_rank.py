"""A rank fails, and its process goes on: stuck_rank.py RANK SIZE FOLDER.

The other rank waits for it in a collective, until the thread of its run ends it.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from engine_model import BaseModel
from engine_runner import Hook, Runner


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(1, 1)

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        return {"loss": self.linear(x).square().mean()}


class Fail(Hook):
    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == 1 and runner.rank == 1:
            raise ZeroDivisionError("bad sample 7")


def main(rank: int, size: int, folder: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=size
    )
    sys.modules["engine_dist.watch._stop"]._LEAVE_SECONDS = 1.0  # type: ignore[attr-defined]  # not to wait for ten
    runner = Runner(
        Line(),
        f"{folder}/work",
        train_dataloader={
            "dataset": [(torch.ones(1),) for _ in range(8)],
            "sampler": {"type": "DefaultSampler"},
            "collate_fn": {"type": "default_collate"},
        },
        train_cfg={"by_epoch": True, "max_epochs": 2},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}},
        custom_hooks=[Fail()],
        launcher="pytorch",
    )
    Path(folder, str(rank)).write_text(str(os.getpid()))
    try:
        runner.train()
    except ZeroDivisionError:
        waiting = int(Path(folder, "0").read_text())
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and _runs(waiting):
            time.sleep(0.1)
    os._exit(0)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
