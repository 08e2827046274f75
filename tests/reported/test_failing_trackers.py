"""A tracking backend or a full disk never ends a run, and never stalls it."""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from engine_config import Config
from engine_runner import Runner
from engine_runner.cli import main
from engine_visualization import BaseVisBackend, LocalVisBackend, Visualizer, WandbVisBackend

EACH = {"logger": {"type": "LoggerHook", "interval": 1}}


class Failing(BaseVisBackend):
    """A backend whose service is gone."""

    def add_scalars(self, *args: Any, **kwargs: Any) -> None:
        raise ConnectionError("the service is gone")

    add_config = add_scalars
    close = add_scalars


class Stalled(BaseVisBackend):
    """A backend whose service does not answer until the test ends."""

    threaded = True
    close_timeout = 0.1

    def __init__(self, save_dir: Any) -> None:
        super().__init__(save_dir)
        self.released = threading.Event()

    def add_scalars(self, *args: Any, **kwargs: Any) -> None:
        self.released.wait(60)

    def abandon(self) -> None:
        self.released.set()


class Keeping(BaseVisBackend):
    """A slow backend that keeps what it was given."""

    threaded = True

    def __init__(self, save_dir: Any) -> None:
        super().__init__(save_dir)
        self.seen: list[Any] = []

    def add_scalars(self, scalar_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
        time.sleep(0.05)
        self.seen.append(scalar_dict)

    def close(self) -> None:
        self.seen.append("closed")


def records(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of the file of scalars below a folder."""
    (file,) = folder.rglob("scalars.json")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_failing_tracker_is_warned_of_once_and_the_run_ends_well(
    toy_run: Callable[..., Runner], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    visualizer = Visualizer(
        "failing", vis_backends=[Failing("x"), LocalVisBackend(tmp_path / "scalars")]
    )
    runner = toy_run(visualizer=visualizer, default_hooks=EACH)

    runner.train()
    visualizer.close()

    assert runner.iter == 8
    assert len(records(tmp_path / "scalars")) == 8
    log = "".join(path.read_text() for path in (tmp_path / "work").rglob("*.log"))
    assert log.count("ConnectionError: the service is gone") == 1


def test_stalled_tracker_does_not_stall_the_run(
    toy_run: Callable[..., Runner], tmp_path: Path
) -> None:
    backend = Stalled("x")
    visualizer = Visualizer(
        "stalled", vis_backends=[backend, LocalVisBackend(tmp_path / "scalars")]
    )
    runner = toy_run(visualizer=visualizer, default_hooks=EACH)
    start = time.monotonic()

    runner.train()
    visualizer.close()

    assert time.monotonic() - start < 30
    assert backend.released.is_set()
    assert len(records(tmp_path / "scalars")) == 8


class Unprintable(Exception):
    """An exception whose text fails, too."""

    def __str__(self) -> str:
        raise TypeError("no text")


class Raising(BaseVisBackend):
    """A backend that raises ``error`` at its first record."""

    calls = 0

    def __init__(self, error: BaseException) -> None:
        super().__init__("x")
        self.error: BaseException | None = error

    def add_scalars(self, *args: Any, **kwargs: Any) -> None:
        self.calls += 1
        if self.error is not None:
            error, self.error = self.error, None
            raise error


class RaisingInThread(Raising):
    """The same, called in a thread."""

    threaded = True


@pytest.mark.parametrize("error", [SystemExit(1), Unprintable()], ids=["exit", "unprintable"])
def test_thread_of_a_tracker_outlives_each_kind_of_exception(
    error: BaseException, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine_visualization._record_queue._FIRST_PAUSE", 0.0)
    backend = RaisingInThread(error)
    visualizer = Visualizer("raising", vis_backends=[backend])

    with caplog.at_level(logging.WARNING, "engine"):
        visualizer.add_scalars({"loss": 1.0}, step=1)
        visualizer.add_scalars({"loss": 2.0}, step=2)
        visualizer.close()

    assert backend.calls == 2
    assert f"failed in add_scalars: {type(error).__name__}" in caplog.text


def test_tracker_whose_exception_has_no_text_does_not_end_the_run() -> None:
    backend = Raising(Unprintable())
    visualizer = Visualizer("unprintable", vis_backends=[backend])

    visualizer.add_scalars({"loss": 1.0}, step=1)
    visualizer.add_scalars({"loss": 2.0}, step=2)

    assert backend.calls == 2


def test_threaded_tracker_gets_copies_in_order_and_is_closed_last() -> None:
    backend = Keeping("x")
    visualizer = Visualizer("keeping", vis_backends=[backend])
    loss = torch.zeros(())

    for step in range(3):
        loss.fill_(step)
        visualizer.add_scalars({"loss": loss}, step=step)
    visualizer.close()

    assert backend.seen == [{"loss": 0.0}, {"loss": 1.0}, {"loss": 2.0}, "closed"]


def test_full_queue_drops_records_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    backend = Stalled("x")
    visualizer = Visualizer("full", vis_backends=[backend])

    with caplog.at_level(logging.INFO, "engine"):
        for step in range(1100):
            visualizer.add_scalars({"loss": 0.0}, step=step)
        visualizer.close()

    assert "is too slow, and its queue is full" in caplog.text
    assert "records of this run are not in 'Stalled'" in caplog.text


def test_scalars_on_a_full_disk_are_dropped_as_whole_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "vis_data").mkdir()
    (tmp_path / "vis_data/scalars.json").symlink_to("/dev/full")
    visualizer = Visualizer("disk", vis_backends=[{"type": "LocalVisBackend"}], save_dir=tmp_path)

    with caplog.at_level(logging.INFO, "engine"):
        for step in range(3):
            visualizer.add_scalars({"loss": 1.0}, step=step)
        visualizer.close()

    assert caplog.text.count("No space left on device") == 1
    assert "3 records of this run are not in" in caplog.text


def test_line_that_fits_on_the_disk_in_part_is_removed(scripts: Any, tmp_path: Path) -> None:
    script = tmp_path / "full.py"
    script.write_text(
        "import resource, signal\n"
        "from engine_visualization import Visualizer\n"
        "local = Visualizer(vis_backends=[dict(type='LocalVisBackend')], save_dir='.')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40, resource.RLIM_INFINITY))\n"
        "local.add_scalars({'loss': 1.0}, step=1)\n"
        "local.add_scalars({'loss': 2.0}, step=2)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)\n"
        "local.add_scalars({'loss': 3.0}, step=3)\n"
        "local.close()\n"
    )

    ended = scripts.run(script, folder=tmp_path)

    assert ended.returncode == 0, ended.stdout
    assert [line["step"] for line in records(tmp_path)] == [1, 3]


def test_records_are_passed_on_when_the_program_ends(scripts: Any, tmp_path: Path) -> None:
    script = tmp_path / "ends.py"
    script.write_text(
        "import time\n"
        "from engine_visualization import BaseVisBackend, Visualizer\n"
        "class Slow(BaseVisBackend):\n"
        "    threaded = True\n"
        "    def add_scalar(self, name, value, **kwargs):\n"
        "        time.sleep(0.2)\n"
        "        print(name, value, flush=True)\n"
        "    def close(self):\n"
        "        print('closed', flush=True)\n"
        "visualizer = Visualizer(vis_backends=[Slow('x')])\n"
        "visualizer.add_scalar('a', 1)\n"
        "visualizer.add_scalar('b', 2)\n"
    )

    ended = scripts.run(script, folder=tmp_path)

    assert ended.stdout.split() == ["a", "1", "b", "2", "closed"]


def test_unreachable_wandb_neither_ends_nor_stalls_a_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # the port of discard, unused
    backend = WandbVisBackend(tmp_path / "wandb", close_timeout=0.5)
    visualizer = Visualizer("wandb", vis_backends=[backend, LocalVisBackend(tmp_path / "local")])
    start = time.monotonic()

    for step in range(3):
        visualizer.add_scalars({"loss": 1.0}, step=step)
    visualizer.close()

    assert time.monotonic() - start < 40
    assert len(records(tmp_path / "local")) == 3
    wandb.teardown()


@pytest.mark.parametrize(
    ("kind", "library"), [("TensorboardVisBackend", "tensorboard"), ("WandbVisBackend", "wandb")]
)
def test_missing_library_of_a_tracker_is_one_line_with_the_install_command(
    kind: str,
    library: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    config = tmp_path / "config.py"
    config.write_text(
        "model = dict(type='torch.nn.Identity')\n"
        f"visualizer = dict(type='Visualizer', vis_backends=[dict(type={kind!r})])\n"
    )
    monkeypatch.setattr(sys, "argv", ["engine", "check", str(config)])

    with pytest.raises(SystemExit):
        main()

    command = f'pip install "engine-visualization[{library}]"'
    output = capsys.readouterr().err
    (line,) = [line for line in output.splitlines() if command in line]
    assert "config.py:2" in line
    assert "Traceback" not in output
    with pytest.raises(ImportError, match=library):
        Visualizer("missing", vis_backends=[{"type": kind}], save_dir=tmp_path)


class Starting(Keeping):
    """A service that starts slowly and takes no graph."""

    def add_config(self, *args: Any, **kwargs: Any) -> None:
        time.sleep(0.5)
        self.seen.append("config")


def test_run_does_not_wait_for_a_tracker_that_takes_no_graph() -> None:
    backend = Starting("x")
    visualizer = Visualizer("starting", vis_backends=[backend])
    start = time.monotonic()

    visualizer.add_config(Config({}))
    visualizer.add_graph(torch.nn.Linear(1, 1), [])

    assert time.monotonic() - start < 0.4
    visualizer.close()
    assert backend.seen == ["config", "closed"]


def test_slow_trackers_are_closed_at_the_same_time() -> None:
    backends = [Starting("x") for _ in range(4)]
    visualizer = Visualizer("together", vis_backends=[])
    for number, backend in enumerate(backends):
        visualizer._keep(str(number), backend)
    visualizer.add_config(Config({}))
    start = time.monotonic()

    visualizer.close()

    assert time.monotonic() - start < 1.5
    assert [each.seen for each in backends] == [["config", "closed"]] * 4


class Bare(Visualizer):
    """A visualizer whose method takes the documented arguments, and no others."""

    def add_scalars(  # type: ignore[override]  # as users write it
        self, scalar_dict: Mapping[str, Any], step: int = 0, file_path: str | None = None
    ) -> None:
        self.steps = [*getattr(self, "steps", []), step]


def test_visualizer_without_keywords_gets_the_validation_of_an_epoch(
    toy_run: Callable[..., Runner], tmp_path: Path
) -> None:
    visualizer = Bare(name="bare", save_dir=str(tmp_path))
    runner = toy_run([0.1, 0.2], visualizer=visualizer, default_hooks=EACH)

    runner.train()

    assert visualizer.steps[-1] == 2
