"""Measure a report of 1,000,000 points: to write it, and to open it in Chromium.

    benchmarks/report_open.py [POINTS]

The budget of opening is 3 s, from the navigation to the first drawn curve; it is the median of
five. Writing is a ratio to `json.loads` of the lines. Chromium and chromedriver must be installed.
"""

import json
import math
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from engine_runner.report import find_runs, write_report

BUDGET = 3.0
FLAGS = (
    "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
    "disable-component-update disable-sync"
)
DRAWN = "return performance.getEntriesByName('engine-report-drawn').map(e => e.startTime)[0]"


def main() -> None:
    """Print size and times."""
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with TemporaryDirectory() as name:
        folder = Path(name)
        lines = _write_run(folder / "run", points)
        reading = _seconds(lambda: [json.loads(line) for line in lines])
        out = folder / "report.html"
        writing = _seconds(lambda: write_report(find_runs([folder / "run"]), out))
        print(f"write: {writing:.1f} s, {writing / reading:.2f} of json.loads of the lines")
        print(f"size: {out.stat().st_size / 1e6:.1f} MB")
        times = _opened(out, folder / "browser")
        middle = statistics.median(times)
        mark = "" if middle <= BUDGET else "  OVER"
        print(
            f"open: {middle:.2f} s of {BUDGET:.0f} s ({min(times):.2f} to {max(times):.2f}){mark}"
        )


def _write_run(work_dir: Path, points: int) -> list[str]:
    data = work_dir / "20260131_120000" / "vis_data"
    data.mkdir(parents=True)
    draw = random.Random(0)
    lines = [
        json.dumps({"loss": math.exp(-n / points) + draw.random() / 9, "iter": n, "step": n})
        for n in range(1, points + 1)
    ]
    (data / "scalars.json").write_text("\n".join(lines) + "\n")
    return lines


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _opened(page: Path, profile: Path) -> list[float]:
    """Return the seconds of five openings, from the navigation to the mark of the script."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS.split(), f"user-data-dir={profile}"):
        options.add_argument(f"--{flag}")
    times = []
    with webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver")) as driver:
        for _ in range(5):
            driver.get("about:blank")
            driver.get(page.as_uri())
            found = WebDriverWait(driver, 60).until(lambda one: one.execute_script(DRAWN))
            times.append(found / 1000)
    return times


if __name__ == "__main__":
    main()
