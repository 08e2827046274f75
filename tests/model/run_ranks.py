"""One of several processes of a group: run_ranks.py RANK WORLD FOLDER CASES...

Each file of CASES has a dict ``CASES`` of functions, which take the rank and return a dict of what
a test looks at. FOLDER/RANK.pt gets the results by file and name; of a failed case, its traceback.
"""

import copy
import os
import runpy
import sys
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed


def main(folder: Path, rank: int, world: int, files: list[Path]) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=world,
        timeout=timedelta(seconds=300),
    )
    results = {file.name: _run(file, rank) for file in files}
    torch.save(results, folder / f"{rank}.pt")
    distributed.destroy_process_group()


def _run(file: Path, rank: int) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for name, case in runpy.run_path(str(file))["CASES"].items():
        try:
            results[name] = copy.deepcopy({key: _plain(value) for key, value in case(rank).items()})
        except Exception:
            results[name] = traceback.format_exc()
            print(name, results[name], file=sys.stderr)
    return results


def _plain(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


if __name__ == "__main__":
    rank, world, folder, *files = sys.argv[1:]
    main(Path(folder), int(rank), int(world), [Path(file) for file in files])
    # Without the destructors of torch's threads: under load they once aborted a finished process.
    sys.stderr.flush()
    os._exit(0)
