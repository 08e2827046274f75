"""Measure the memory of the records of a dataset in worker processes.

Eight workers, started by fork and by spawn, each read one million small records. The figure is
unique memory: the pages that only that worker has, beyond those of a worker with an empty dataset.
The baseline is the same dataset with its records in a list. It is measured in one worker of the
same run, because eight such lists may not fit into memory.

    python benchmarks/dataset_memory.py [--records 1000000] [--workers 8]
"""

import argparse
import gc
import multiprocessing
import time
import warnings
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from engine_dataset import BaseDataset

MB = 1 << 20


class Records(BaseDataset):
    """Store small records; a sample is the unique memory of the worker after reading all of them.

    Args:
        count: Number of records.
        barrier: Where the workers wait for each other, so that each measures while all are alive.
        serialize_data: Whether to store the records in shared memory.
    """

    def __init__(self, count: int, barrier: Any, *, serialize_data: bool) -> None:
        self.count = count
        self.barrier = barrier
        super().__init__(serialize_data=serialize_data)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return the records."""
        return [
            {"img_path": f"train/{number:08d}.jpg", "height": 480, "width": 640, "label": number}
            for number in range(self.count)
        ]

    def __getitem__(self, idx: int) -> int:
        """Read every record, then measure."""
        for index in range(self.count):
            record = self.get_data_info(index)
            if "img_path" not in record:
                raise ValueError(f"not a record: {record!r}")
        gc.collect()
        self.barrier.wait(timeout=600)
        measured = unique_memory()
        self.barrier.wait(timeout=600)  # no worker ends while others measure
        return measured


def unique_memory() -> int:
    """Return the bytes in pages that only this process has."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_"))


def in_workers(count: int, workers: int, method: str, *, serialize_data: bool) -> list[int]:
    """Return the unique memory of each worker."""
    context = multiprocessing.get_context(method)
    dataset = Records(count, context.Barrier(workers), serialize_data=serialize_data)
    loader: DataLoader[Any] = DataLoader(
        dataset,
        batch_size=None,
        sampler=range(workers),
        num_workers=workers,
        multiprocessing_context=context,
    )
    return [int(measured) for measured in loader]


def main() -> None:
    """Measure both start methods, and print the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=8)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    stored = Records(arguments.records, None, serialize_data=True)._records.nbytes  # type: ignore[attr-defined] # a RecordStore
    print(f"{arguments.records} records, stored once: {stored / MB:.0f} MB")
    for method in ("fork", "spawn"):
        began = time.perf_counter()
        floor = in_workers(0, 1, method, serialize_data=True)[0]
        (listed,) = in_workers(arguments.records, 1, method, serialize_data=False)
        ours = in_workers(arguments.records, arguments.workers, method, serialize_data=True)
        unique = sum(max(0, one - floor) for one in ours)
        print(
            f"{method}: unique memory of a worker: {(listed - floor) / MB:.0f} MB with a list, "
            f"{unique / len(ours) / MB:.1f} MB stored; "
            f"of {len(ours)} workers and the store together: {1 + unique / stored:.2f} times the "
            f"store (goal: once, not {1 + len(ours)} times; {time.perf_counter() - began:.0f} s)"
        )


if __name__ == "__main__":
    main()
