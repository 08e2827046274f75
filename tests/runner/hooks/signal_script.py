"""Scripts that call `Runner.train` and get signals: signal_script.py FOLDER, or FOLDER terminate.

The first prints as JSON what each case found; the second is ended by SIGTERM. A hook sends the
signals, so that they arrive at a known iteration.
"""

import ctypes
import json
import os
import pty
import re
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from engine_model import BaseModel
from engine_runner import Hook, Runner

Handlers = list[Any]


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(1, 1)

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        return {"loss": self.linear(x).square().mean()}


class Send(Hook):
    """Sends signals to this process in the middle of an iteration."""

    def __init__(self, *signals: int, at: int = 3) -> None:
        self.signals = signals
        self.at = at
        self.handlers: Handlers = []

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter + 1 == self.at:
            self.handlers = _handlers()
            for number in self.signals:
                os.kill(os.getpid(), number)


def _handlers() -> Handlers:
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]


def _run(folder: Path, *hooks: Hook, **changes: Any) -> Runner:
    return Runner(
        Line(),
        folder,
        train_dataloader={
            "dataset": [(torch.ones(1),) for _ in range(8)],
            "sampler": {"type": "DefaultSampler"},
            "collate_fn": {"type": "default_collate"},
            "batch_size": 2,
        },
        train_cfg={"by_epoch": True, "max_epochs": 2},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}},
        custom_hooks=hooks,
        log_level="ERROR",
        **changes,
    )


def _end(action: Callable[[], object]) -> str:
    """Return how an action ended: ``done``, or the exception with its arguments."""
    try:
        action()
    except BaseException as error:
        return repr(error)
    return "done"


def stopped(folder: Path, number: int) -> dict[str, Any]:
    before, run = _handlers(), _run(folder, Send(number))
    end = _end(run.train)
    saved = torch.load(folder / "interrupted.pth", weights_only=True)
    latest = (folder / "last_checkpoint").read_text().rpartition("/")[2]
    resumed = _run(folder, resume=True)
    resumed.train()
    return {
        "end": end,
        "saved": saved["meta"]["iter"],
        "latest": latest,
        "handlers as before": _handlers() == before,
        "resumed": resumed.iter,
    }


def late(folder: Path) -> dict[str, Any]:
    class SendAtTheEnd(Hook):
        def after_train(self, runner: Any) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    before = _handlers()
    end = _end(_run(folder, SendAtTheEnd()).train)
    return {"end": end, "files": _files(folder), "handlers as before": _handlers() == before}


def twice(folder: Path) -> dict[str, Any]:
    before = _handlers()
    end = _end(_run(folder, Send(signal.SIGINT, signal.SIGINT)).train)
    return {"end": end, "files": _files(folder), "handlers as before": _handlers() == before}


def own_handler(folder: Path) -> dict[str, Any]:
    caught: list[Any] = []

    def own(number: int, frame: object) -> None:
        caught.append([number, _files(folder)])

    former = signal.signal(signal.SIGTERM, own)
    try:
        end = _end(_run(folder, Send(signal.SIGTERM)).train)
        restored = signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, former)
    return {"end": end, "caught": caught, "handler as before": restored}


def ignored(folder: Path) -> dict[str, Any]:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        end = _end(_run(folder, Send(signal.SIGHUP)).train)
    finally:
        signal.signal(signal.SIGHUP, former)
    return {"end": end, "files": _files(folder)}


def user_signal(folder: Path) -> dict[str, Any]:
    hook = {"type": "SaveOnInterrupt", "signals": ["SIGUSR1"]}
    run = _run(folder, Send(signal.SIGUSR1), default_hooks={"save_on_interrupt": hook})
    return {"end": _end(run.train), "files": _files(folder)}


def full(folder: Path) -> dict[str, Any]:
    """Stop a training whose disk has become full."""

    class Fill(Hook):
        def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
            if runner.iter == 5:
                resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        run = _run(folder, Fill(), Send(signal.SIGTERM, at=6))
        end = _end(run.train)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    resumed = _run(folder, resume=True)
    resumed.load_or_resume()
    log = Path(run.log_dir, f"{run.timestamp}.log").read_text()
    return {
        "end": end,
        "files": _files(folder),
        "error": re.findall(r"stopped by .*interrupted.pth'", log.replace(str(folder), "")),
        "resumed": resumed.iter,
    }


def child(folder: Path) -> dict[str, Any]:
    class Fork(Hook):
        def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
            process = os.fork()
            if not process:
                os.kill(os.getpid(), signal.SIGTERM)  # handled, as it was forked in the training
                os._exit(0)
            os.waitpid(process, 0)

    return {"end": _end(_run(folder, Fork()).train), "files": _files(folder)}


def _in_child(action: Callable[[], object], stop: Callable[[int, int], object]) -> int:
    """Run an action in a child at a terminal of its own; return its code after ``stop``."""
    process, terminal = pty.fork()
    if not process:
        action()
        os._exit(0)
    stop(process, terminal)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


class Pause(Hook):
    """Report at a terminal that the third iteration has begun, and stay there for a while."""

    def __init__(self, pause: Callable[[], object]) -> None:
        self.pause = pause

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == 2:
            print("third", flush=True)
            self.pause()
            print("to nobody")


def _read_until(terminal: int, text: bytes) -> None:
    read = b""
    while text not in read:
        read += os.read(terminal, 1024)


def terminal(folder: Path) -> dict[str, Any]:
    """Close the terminal of a training."""

    def train() -> None:
        try:
            _run(folder, Pause(lambda: time.sleep(0.5))).train()
        except SystemExit as error:
            sys.stdout.flush()
            os._exit(int(str(error.code)))

    def hang_up(process: int, terminal: int) -> None:
        _read_until(terminal, b"third")
        os.close(terminal)

    return {"code": _in_child(train, hang_up), "files": _files(folder)}


def stuck(folder: Path) -> dict[str, Any]:
    """Send two signals to a training whose main thread waits outside of Python."""
    lock = ctypes.CDLL(None).sleep  # it is interrupted by signals, and called again

    def wait() -> None:
        while True:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # for a thread to take it
            lock(60)

    def twice(process: int, terminal: int) -> None:
        _read_until(terminal, b"third")
        for pause in (1.2, 0.0):
            os.kill(process, signal.SIGTERM)
            time.sleep(pause)

    def train() -> None:
        signals_module = sys.modules["engine_runner.environment._signals"]
        signals_module._END_SECONDS = 0.5  # type: ignore[attr-defined]  # not to wait for five
        _run(folder, Pause(wait)).train()

    return {"code": _in_child(train, twice), "files": _files(folder)}


def thread(folder: Path) -> dict[str, Any]:
    before, send = _handlers(), Send()
    worker = threading.Thread(target=_run(folder, send).train)
    worker.start()
    worker.join()
    return {"handlers as before": send.handlers == before, "files": _files(folder)}


def left_out(folder: Path) -> dict[str, Any]:
    before, send = _handlers(), Send(signal.SIGINT)
    end = _end(_run(folder, send, default_hooks={"save_on_interrupt": None}).train)
    return {"end": end, "files": _files(folder), "handlers as before": send.handlers == before}


def failure(folder: Path) -> dict[str, Any]:
    class Fail(Hook):
        def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
            raise ZeroDivisionError

    before = _handlers()
    end = _end(_run(folder, Fail()).train)
    return {"end": end, "files": _files(folder), "handlers as before": _handlers() == before}


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.pth"))


def main(folder: Path) -> None:
    cases: dict[str, Callable[[], dict[str, Any]]] = {
        "SIGINT": lambda: stopped(folder / "int", signal.SIGINT),
        "SIGTERM": lambda: stopped(folder / "term", signal.SIGTERM),
        "late": lambda: late(folder / "late"),
        "twice": lambda: twice(folder / "twice"),
        "own handler": lambda: own_handler(folder / "own"),
        "ignored": lambda: ignored(folder / "ignored"),
        "SIGUSR1": lambda: user_signal(folder / "user"),
        "full": lambda: full(folder / "full"),
        "child": lambda: child(folder / "child"),
        "terminal": lambda: terminal(folder / "terminal"),
        "stuck": lambda: stuck(folder / "stuck"),
        "thread": lambda: thread(folder / "thread"),
        "left out": lambda: left_out(folder / "left_out"),
        "failure": lambda: failure(folder / "failure"),
    }
    print(json.dumps({name: case() for name, case in cases.items()}))


if __name__ == "__main__":
    if sys.argv[2:]:
        _run(Path(sys.argv[1]), Send(signal.SIGTERM)).train()
    else:
        main(Path(sys.argv[1]))
