"""One of several processes of a group: run_ranks.py RANK WORLD FOLDER CASES...

Each file of CASES has a dict ``CASES`` of functions of the rank and a folder that the ranks share.
FOLDER/RANK.json gets, by the name of the file and the case, what each case returned, as JSON. Of a
case that failed on all ranks it gets the traceback. After one that failed on a single rank, ranks
would exchange the tensors of different cases, so the process ends.
"""

import json
import os
import runpy
import sys
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch._C._distributed_c10d import FileStore, Store

from engine_dist import get_world_size

WAIT = timedelta(seconds=60)  # for the other ranks, at the end of a case


def main(rank: int, world: int, folder: Path, files: list[Path]) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=world,
        timeout=timedelta(seconds=120),
    )
    ends = FileStore(str(folder / "ends"), world)
    results = {file.name: _run(file, rank, folder, ends) for file in files}
    (folder / f"{rank}.json").write_text(json.dumps(results))
    distributed.destroy_process_group()


def _run(file: Path, rank: int, folder: Path, ends: Store) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for name, case in runpy.run_path(str(file))["CASES"].items():
        try:
            results[name] = case(rank, folder / name)
        except Exception:
            results[name] = traceback.format_exc()
            print(name, results[name], flush=True)
        ends.set(f"{file.name} {name} {rank}", "ended")
        ends.wait([f"{file.name} {name} {other}" for other in range(get_world_size())], WAIT)
    return results


if __name__ == "__main__":
    first, second, third, *others = sys.argv[1:]
    main(int(first), int(second), Path(third), [Path(file) for file in others])
    # Without the destructors of torch's threads: under load they once aborted a finished process.
    sys.stdout.flush()
    os._exit(0)
