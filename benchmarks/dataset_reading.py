"""Measure the cost of reading a record over unpickling it; the goal is at most 3 microseconds.

Both read the same small records in the same order, alternately. Each figure is the processor time
of the best round.

    python benchmarks/dataset_reading.py [--records 20000] [--rounds 15]
"""

import argparse
import pickle
import time
from collections.abc import Callable
from typing import Any

from engine_dataset import BaseDataset


class Records(BaseDataset):
    """Store small records."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__()

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return the records."""
        return [
            {"img_path": f"train/{number:08d}.jpg", "height": 480, "width": 640, "label": number}
            for number in range(self.count)
        ]


def microseconds(read: Callable[[int], Any], count: int) -> float:
    """Return the time per record of reading all records."""
    began = time.process_time()
    for number in range(count):
        read(number)
    return (time.process_time() - began) / count * 1e6


def main() -> None:
    """Measure, and print the differences."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    dataset = Records(arguments.records)
    pickles = [
        pickle.dumps(dataset.get_data_info(number), pickle.HIGHEST_PROTOCOL)
        for number in range(arguments.records)
    ]
    readers: dict[str, Callable[[int], Any]] = {
        "pickle.loads": lambda number: pickle.loads(pickles[number]),
        "get_data_info": dataset.get_data_info,
        "dataset[idx]": dataset.__getitem__,
    }
    best = dict.fromkeys(readers, float("inf"))
    for _ in range(arguments.rounds):
        for name, read in readers.items():
            best[name] = min(best[name], microseconds(read, arguments.records))
    base = best["pickle.loads"]
    for name, found in best.items():
        print(f"{name:14} {found:5.2f} us, {found - base:+.2f} us, {found / base:.2f} times")


if __name__ == "__main__":
    main()
