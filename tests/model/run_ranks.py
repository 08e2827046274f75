"""One of several processes of a group: run_ranks.py CASES RANK WORLD FOLDER.

CASES is a file with a dict ``CASES`` of functions, each of which takes the rank and returns what a
test looks at. The results of rank r go to FOLDER/r.pt; that of a case that failed is its traceback.
"""

import copy
import runpy
import sys
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed


def main(cases: str, rank: int, world: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=world,
        timeout=timedelta(seconds=300),
    )
    results: dict[str, Any] = {}
    for name, case in runpy.run_path(cases)["CASES"].items():
        try:
            results[name] = copy.deepcopy({key: _plain(value) for key, value in case(rank).items()})
        except Exception:
            results[name] = traceback.format_exc()
            print(name, results[name], file=sys.stderr)
    torch.save(results, folder / f"{rank}.pt")
    distributed.destroy_process_group()


def _plain(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
