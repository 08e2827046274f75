"""The ranks of an evaluation: each runs every case and writes the results as JSON.

Usage: ranks_script.py RANK WORLD_SIZE FOLDER.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from engine_dataset import DefaultSampler, ResumableDataLoader
from engine_evaluator import BaseMetric, DumpResults, Evaluator, MetricError

SIZE = 11


class Samples(BaseMetric):
    """Keep one result per sample: its number."""

    default_prefix = "samples"

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the numbers."""
        self.results.extend(sample["number"] for sample in data_samples)

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Return them."""
        return {"numbers": [int(number) for number in results]}


class Batches(Samples):
    """Keep one result per batch: its number of samples, and their sum."""

    default_prefix = "batches"

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Sum up predictions and data."""
        numbers = [sample["number"] for sample in data_samples]
        self.results.append((len(numbers), sum(numbers), int(data_batch["image"].sum())))

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Sum up the batches."""
        return {"sums": [int(sum(column)) for column in zip(*results, strict=True)]}


class Parts(Samples):
    """Keep two results per sample."""

    default_prefix = "parts"

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Append each number twice."""
        self.results.extend(sample["number"] for sample in data_samples for _ in range(2))


class Failing(Samples):
    """Raise an error in compute_metrics."""

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Raise."""
        raise ZeroDivisionError("no positives")


def predict(batch: Any) -> list[dict[str, Any]]:
    """Predict the number of each sample."""
    return [{"number": number, "score": number / SIZE} for number in batch["image"][:, 0]]


def make_loader(*, shuffle: bool, round_up: bool = True) -> ResumableDataLoader[Any]:
    """Make a loader of samples that hold their number."""
    data = [{"image": torch.full((2,), number)} for number in range(SIZE)]
    sampler = DefaultSampler(data, shuffle=shuffle, seed=4, round_up=round_up)
    return ResumableDataLoader(data, 2, sampler=sampler)  # type: ignore[arg-type] # any sized object works


def evaluate(
    evaluator: Evaluator, *, indices: bool = True, shuffle: bool = False, round_up: bool = True
) -> dict[str, Any]:
    """Run a whole evaluation."""
    loader = make_loader(shuffle=shuffle, round_up=round_up)
    for batch in loader:
        known = loader.batch_indices if indices else None
        evaluator.process(predict(batch), batch, indices=known)
    return evaluator.evaluate(SIZE)


def failure(folder: Path) -> str:
    """Return the error that this rank raises if a metric fails."""
    try:
        evaluate(Evaluator(Failing()))
    except (ZeroDivisionError, MetricError) as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def few(folder: Path) -> dict[str, Any]:
    """Evaluate fewer samples than there are ranks."""
    evaluator = Evaluator([Samples(), Batches()])
    data = [{"image": torch.full((2,), 5)}]
    loader: ResumableDataLoader[Any] = ResumableDataLoader(
        data,  # type: ignore[arg-type] # any sized object works
        2,
        sampler=DefaultSampler(data, shuffle=False),
    )
    for batch in loader:
        evaluator.process(predict(batch), batch, indices=loader.batch_indices)
    return evaluator.evaluate(1)


def dumped(folder: Path) -> dict[str, Any]:
    """Dump predictions."""
    return evaluate(Evaluator(DumpResults(str(folder / "predictions.pkl"))), shuffle=True)


def offline(folder: Path) -> dict[str, Any]:
    """Evaluate stored predictions."""
    data = [{"image": torch.full((2,), number)} for number in range(SIZE)]
    samples = [{"number": number} for number in range(SIZE)]
    return Evaluator([Samples(), Parts()]).offline_evaluate(samples, data, chunk_size=3)


def all_metrics() -> Evaluator:
    """Make an evaluator of the three kinds of metrics."""
    return Evaluator([Samples(), Batches(), Parts()])


def through_files(folder: Path) -> dict[str, Any]:
    """Exchange the results of several metrics through files in one folder."""
    home = folder / "exchanged"
    metrics = [Samples(collect_dir=home), Batches("cpu", None, str(home)), Parts(collect_dir=home)]
    dump = DumpResults(str(folder / "exchanged.pkl"), collect_dir=home)
    found = evaluate(Evaluator([*metrics, dump]), shuffle=True)
    dist.barrier()
    return {**found, "left": [path.name for path in home.iterdir()]}


def unreached(folder: Path) -> str:
    """Return the error that this rank raises if it has another folder than the others."""
    collect_dir = folder / f"of_rank_{dist.get_rank()}"
    try:
        evaluate(Evaluator(Samples(collect_dir=collect_dir)))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "none"


CASES: dict[str, Callable[[Path], Any]] = {
    "in order": lambda folder: evaluate(all_metrics()),
    "shuffled": lambda folder: evaluate(all_metrics(), shuffle=True),
    "not rounded up": lambda folder: evaluate(all_metrics(), round_up=False),
    "without indices": lambda folder: evaluate(Evaluator(Samples()), indices=False),
    "few": few,
    "failure": failure,
    "dump": dumped,
    "offline": offline,
    "through files": through_files,
    "unreached": unreached,  # last, as it breaks the group
}


def main(rank: int, world_size: int, folder: Path) -> None:
    """Run all cases in one process group."""
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/group", rank=rank, world_size=world_size
    )
    found = {name: case(folder) for name, case in CASES.items()}
    (folder / f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
