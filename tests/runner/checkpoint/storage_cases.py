"""Runs of two ranks whose checkpoints are in a storage that one of them reads and writes."""

import shutil
from pathlib import Path
from typing import Any

import torch

from engine_dist import get_rank
from engine_fileio import BaseStorageBackend, StorageUnavailable, register_backend
from engine_model import BaseModel
from engine_runner import Runner


class Scale(BaseModel):
    """One weight."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(1, 1)

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        return {"loss": (self.linear(x) - 3 * x).square().mean()}


@register_backend("broken", prefixes="broken")
class Broken(BaseStorageBackend):
    """A storage that does not answer, for the main rank alone: the others never ask it."""

    def get(self, filepath: Any) -> bytes:
        if get_rank() != 0:
            raise AssertionError("rank 1 has asked the storage")
        raise StorageUnavailable(f"{filepath} does not answer")

    def get_text(self, filepath: Any) -> str:
        return self.get(filepath).decode()

    def put(self, obj: bytes | memoryview, filepath: Any) -> None:
        self.get(filepath)


@register_backend("half", prefixes="half")
class Half(BaseStorageBackend):
    """A storage that the main rank reaches, and no other one."""

    def get(self, filepath: Any) -> bytes:
        raise FileNotFoundError(filepath)

    def get_text(self, filepath: Any) -> str:
        return self.get(filepath).decode()

    def put(self, obj: bytes | memoryview, filepath: Any) -> None:
        if get_rank() != 0:
            raise StorageUnavailable(f"{filepath} is not mounted")

    def remove(self, filepath: Any) -> None:
        """Do nothing: nothing is kept."""


def _runner(work_dir: Path, out_dir: str, **changes: Any) -> Runner:
    data = {
        "dataset": [(torch.ones(1) * index,) for index in range(4)],
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
        "batch_size": 1,
    }
    settings: dict[str, Any] = {
        "train_dataloader": data,
        "train_cfg": {"by_epoch": True, "max_epochs": 2},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.01}},
        "default_hooks": {"checkpoint": {"type": "CheckpointHook", "out_dir": out_dir}},
        "launcher": "pytorch",
        "log_level": "ERROR",
    }
    return Runner(Scale(), work_dir, **{**settings, **changes})


def resume(rank: int, folder: Path) -> Any:
    """Save to a storage, lose the work directory, and return the epoch that is resumed."""
    out_dir = f"file://{folder}/elsewhere"
    runner = _runner(folder / "work", out_dir)
    runner.train()
    torch.distributed.barrier()
    if rank == 0:
        shutil.rmtree(folder / "work")
    torch.distributed.barrier()
    resumed = _runner(folder / "work", out_dir, resume=True)
    resumed.load_or_resume()
    same = torch.equal(*(each.model.module.linear.weight for each in (runner, resumed)))
    return resumed.epoch, same


def fail(rank: int, folder: Path) -> Any:
    """Return the errors of a resumed and of a new run whose storage does not answer."""
    errors = []
    for resumes in (True, False):
        runner = _runner(folder / str(resumes), "broken://runs", resume=resumes)
        try:
            runner.train()
        except (OSError, ValueError, RuntimeError) as error:
            errors.append([type(error).__name__, "does not answer" in str(error)])
    return errors


def fail_on_one(rank: int, folder: Path) -> Any:
    """Return the error of a run whose second rank cannot write its shards."""
    hook = {"type": "CheckpointHook", "out_dir": "half://runs", "writer": "ShardedWriter"}
    runner = _runner(folder / "half", "", default_hooks={"checkpoint": hook})
    try:
        runner.train()
    except ValueError as error:
        return str(error)
    return "no error"


CASES = {"resume": resume, "fail": fail, "fail_on_one": fail_on_one}
