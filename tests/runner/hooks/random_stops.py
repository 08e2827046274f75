"""Stop trainings of two ranks at random instants: random_stops.py FOLDER [TRIALS [SEED]].

Run by hand; the tests stop runs at chosen points. Each trial sends SIGTERM, SIGINT or SIGHUP to one
rank, to both, or to both and their loader workers, a random time after the start, and resumes the
run until it ends by itself. It then has the weights of a run without interruption.
"""

import os
import random
import runpy
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # loaded once, before the ranks are forked

from engine_runner import Hook

CASES = runpy.run_path(str(Path(__file__).with_name("stop_cases.py")))
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SECONDS = 90


class Mark(Hook):
    """Create a file when the training begins; before, a signal ends the process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def before_train_epoch(self, runner: Any) -> None:
        self.path.touch()


class Slow(torch.utils.data.Dataset[Any]):
    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Any:
        time.sleep(0.01)
        return (torch.tensor([index / 8, 1.0]) + 0.01 * torch.rand(2),)


def train(rank: int, folder: Path, attempt: int, workers: int) -> None:
    """Train on one rank, and end as an interpreter does."""
    os.setpgid(0, 0)  # a group of the rank and its workers
    output = os.open(folder / f"{attempt}-{rank}.txt", os.O_WRONLY | os.O_CREAT)
    for number in (1, 2):
        os.dup2(output, number)
    torch.set_num_threads(1)
    store = f"file://{folder}/store{attempt}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    run = CASES["_run"](folder, Mark(folder / f"{attempt}-{rank}"), resume=True)
    for loader, size in ((run.train_dataloader, 16), (run.val_dataloader, 7)):
        loader.__dict__["dataset"] = Slow(size)
        loader.__dict__["num_workers"] = workers
        loader.__dict__["prefetch_factor"] = 2 if workers else None
    code = 0
    try:
        run.train()
    except KeyboardInterrupt:
        code = 130
    except SystemExit as error:
        code = int(str(error.code))
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    os._exit(code)


def attempt(folder: Path, number: int, draw: random.Random | None) -> list[int]:
    """Run two ranks, signal them at a random instant, and return their exit codes."""
    ranks = []
    for rank in range(2):
        process = os.fork()
        if not process:
            train(rank, folder, number, workers=1)
        ranks.append(process)
    if draw is not None:
        kind, to = draw.choice(SIGNALS), draw.choice(["0", "1", "both", "groups"])
        _wait_until_it_trains(folder, number)
        time.sleep(draw.uniform(0, 1.0))
        for rank in range(2):
            if to in (str(rank), "both", "groups"):
                _send(ranks[rank], kind, group=to == "groups")
                time.sleep(draw.choice([0, 0.05]))
        print(f"  {kind.name} to {to}", end="")
    return [_wait(process) for process in ranks]


def _wait_until_it_trains(folder: Path, number: int) -> None:
    deadline = time.monotonic() + SECONDS
    marks = [folder / f"{number}-{rank}" for rank in range(2)]
    while not all(map(Path.exists, marks)) and time.monotonic() < deadline:
        time.sleep(0.01)


def _send(process: int, number: int, *, group: bool) -> None:
    with suppress(ProcessLookupError):  # it has ended
        (os.killpg if group else os.kill)(process, number)


def _wait(process: int) -> int:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    raise TimeoutError(f"rank {process} did not end")


def final_weights(folder: Path) -> Any:
    return torch.load(folder / "epoch_2.pth", weights_only=True)["state_dict"]


def main(folder: Path, trials: int, seed: int) -> None:
    whole = folder / "whole"
    whole.mkdir(parents=True)
    assert attempt(whole, 0, None) == [0, 0]
    expected = final_weights(whole)
    for trial in range(trials):
        draw = random.Random(1000 * seed + trial)
        place = folder / str(trial)
        place.mkdir()
        codes, number = [1, 1], 0
        print(f"trial {trial}:", end="")
        while codes != [0, 0]:
            codes = attempt(place, number, draw if number < 3 else None)
            number += 1
            print(f" {codes}", end="", flush=True)
            assert set(codes) <= {0, 129, 130, 143, -1, -2, -15}, place
        found = final_weights(place)
        same = all(torch.equal(found[name], expected[name]) for name in expected)
        print("" if same else "  OTHER WEIGHTS", flush=True)
        assert same, place


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[2:]]
    main(Path(sys.argv[1]), *(given + [20, 0][len(given) :]))
