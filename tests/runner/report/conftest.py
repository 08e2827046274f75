"""Folders of runs as trainings leave them, and a browser."""

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

LOG = """2026/01/31 12:00:00 - engine - INFO - start
------------------------------------------------------------
System environment:
    Python: 3.11.7
    PyTorch compiling details: built with:
  - GCC 13.3

Runtime environment:
    Seed: 0
------------------------------------------------------------
Config:
x = 1
2026/01/31 12:00:01 - engine - WARNING - the loader is slow <script>document.title="hacked"</script>
2026/01/31 12:00:02 - engine - WARNING - the loader is slow <script>document.title="hacked"</script>
2026/01/31 12:00:03 - engine - ERROR - /src/model.py - forward - 7 - it failed
Traceback (most recent call last):
  last line
2026/01/31 12:00:04 - engine - INFO - The best checkpoint with 0.7500 accuracy at 3 epoch is saved \
to best_accuracy_epoch_3.pth.
"""

MakeRun = Callable[..., Path]


def png(width: int, height: int) -> bytes:
    """Return a gray picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + b"\x80" * width for _ in range(height))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that writes the files of a run, and returns its work directory."""

    def make(
        name: str, *, stamp: str = "20260131_120000", lr: float = 0.1, points: int = 40
    ) -> Path:
        work_dir = tmp_path / "runs" / name
        data = work_dir / stamp / "vis_data"
        (data / "vis_image").mkdir(parents=True)
        lines = []
        for number in range(1, points + 1):
            step = number * 10
            loss = None if number == 7 else 2 / number + lr
            record = {"lr": lr, "loss": loss, "time": 0.5, "memory": 100 + number}
            lines.append(
                json.dumps({**record, "iter": step, "step": step, "epoch": number // 10 + 1})
            )
            if number % 10 == 0:
                lines.append(json.dumps({"accuracy": number / points * 0.75, "step": number // 10}))
        (data / "scalars.json").write_text("\n".join(lines) + "\n")
        config = f"optimizer = dict(lr={lr}, api_key='hunter2')\nname = '<script>bad()</script>'\n"
        (data / "config.py").write_text(config)
        (work_dir / stamp / f"{stamp}.log").write_text(LOG)
        (data / "vis_image" / "misread_1.png").write_bytes(png(16, 16))
        (data / "vis_image" / "misread_2.png").write_bytes(b"broken")
        write_checkpoint(work_dir, "epoch_4.pth", 4)
        write_checkpoint(work_dir, "best_accuracy_epoch_3.pth", 3)
        (work_dir / "last_checkpoint").write_text(f"{work_dir}/epoch_4.pth")
        return work_dir

    return make


def write_checkpoint(work_dir: Path, name: str, epoch: int) -> None:
    """Write a file and its manifest."""
    (work_dir / name).write_bytes(b"0" * 2048)
    manifest = {"version": 1, "file": name, "resumable": True, "epoch": epoch, "iter": epoch * 10}
    (work_dir / f"{name}.json").write_text(json.dumps(manifest))


@pytest.fixture(scope="session")
def _driver(
    program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    browser, driver = program("chromium"), program("chromedriver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    names = (
        "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
        "disable-background-networking", "disable-component-update", "disable-sync",
    )  # fmt: skip
    for name in (*names, f"user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(f"--{name}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options=options, service=Service(driver)) as found:
        yield found


@pytest.fixture
def browser(_driver: Any) -> Iterator[Any]:
    """Return a browser of 1,200 pixels width, in the light scheme, with JavaScript."""
    _set_screen(_driver, width=1200, scheme="light")
    _driver.get_log("browser")
    _driver.get_log("performance")
    yield _driver
    _driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    _driver.get("about:blank")


@pytest.fixture
def set_screen(browser: Any) -> Callable[..., None]:
    """Return a function that sets the width of the page and the color scheme."""
    return partial(_set_screen, browser)


def _set_screen(driver: Any, *, width: int, scheme: str) -> None:
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
