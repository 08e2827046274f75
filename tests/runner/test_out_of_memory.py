"""An error about memory has a report: the batch, the peak, the largest modules, what to change."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine_model import BaseModel
from engine_runner import Runner
from engine_runner._memory_report import shapes

Make = Callable[..., Runner]
HUGE = 10**15  # elements


class Greedy(BaseModel):
    """A small and a large layer, and one that asks for more memory than there is."""

    def __init__(self, error: type[Exception] | None = None, where: str = "loss") -> None:
        super().__init__()
        self.small, self.large = nn.Linear(1, 2), nn.Linear(2, 200_000)
        self.block = nn.Sequential(nn.Linear(2, 1), Hungry(error))
        self.where = where

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        held = self.small(x)
        if mode == self.where:
            self.block(held)
        return {"loss": held.mean()} if mode == "loss" else (held, y)


class Hungry(nn.Module):
    def __init__(self, error: type[Exception] | None) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: Tensor) -> Tensor:
        if self.error is not None:
            raise self.error("no room")
        return torch.empty(HUGE)


def log_of(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("*/*.log"))


@pytest.mark.parametrize(
    "error", [None, MemoryError, torch.OutOfMemoryError], ids=["allocator", "python", "device"]
)
def test_error_has_a_report_that_is_logged_once(
    make_runner: Make, tmp_path: Path, error: type[Exception] | None
) -> None:
    runner = make_runner(model=Greedy(error))

    with pytest.raises((RuntimeError, MemoryError)) as caught:
        runner.train()

    (note,) = [text for text in caught.value.__notes__ if "largest modules" in text]
    assert "batch: [2 x (3, 1) float32]" in note
    assert "peak: " in note
    assert "MiB" in note
    assert "the memory ended in: block.1 (Hungry)" in note
    assert "largest modules by parameters: large 2.3 MiB, " in note
    assert "tensors in the calls of modules: Greedy " in note
    for way in (
        "batch_size",
        "accumulative_counts",
        "activation_checkpointing",
        "bfloat16",
        "FSDP",
    ):
        assert way in note
    assert log_of(tmp_path / "work").count("out of memory on rank 0") == 1


def test_shapes_of_a_list_are_one_only_if_all_are_equal() -> None:
    small, large = torch.zeros(3, 4), torch.zeros(3, 9)

    assert shapes([small] * 7) == "[7 x (3, 4) float32]"
    assert shapes([*[small] * 6, large]) == f"[{', '.join(['(3, 4) float32'] * 5)}, …]"


def test_way_out_names_only_what_is_not_set(make_runner: Make) -> None:
    runner = make_runner(
        model=Greedy(MemoryError),
        optim_wrapper={
            "type": "AmpOptimWrapper", "dtype": "bfloat16", "optimizer": {"type": "SGD", "lr": 0.1}
        },
        activation_checkpointing=["large"],
    )  # fmt: skip

    with pytest.raises(MemoryError) as caught:
        runner.train()

    note = "".join(caught.value.__notes__)
    assert "activation_checkpointing" not in note
    assert "AmpOptimWrapper" not in note
    assert "batch_size" in note


def test_report_of_a_validation_names_its_batch_and_no_optimizer(make_runner: Make) -> None:
    runner = make_runner(
        model=Greedy(MemoryError, "predict"),
        train_dataloader=None,
        train_cfg=None,
        optim_wrapper=None,
        param_scheduler=None,
    )

    with pytest.raises(MemoryError) as caught:
        runner.val()

    note = "".join(caught.value.__notes__)
    assert "batch: [2 x (3, 1) float32]" in note
    assert "accumulative_counts" not in note


@pytest.mark.parametrize("workers", [0, 1])
def test_report_of_a_loader_says_so_and_does_not_blame_the_model(
    make_runner: Make, workers: int
) -> None:
    class Large(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Any:
            return (torch.empty(HUGE if index == 3 else 1), torch.zeros(1))

    data = {
        "dataset": Large(),
        "batch_size": 1,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
        "num_workers": workers,
    }
    runner = make_runner(train_dataloader=data)

    with pytest.raises(RuntimeError) as caught:
        runner.train()

    (note,) = [text for text in caught.value.__notes__ if "to change" in text]
    assert "the memory ended while a batch was read" in note
    assert "num_workers" in note
    assert "FSDP" not in note


def test_other_errors_have_no_report(make_runner: Make) -> None:
    runner = make_runner(model=Greedy(RuntimeError))

    with pytest.raises(RuntimeError, match="no room") as caught:
        runner.train()

    assert not getattr(caught.value, "__notes__", [])
