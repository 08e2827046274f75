"""Fixtures that write config files."""

from collections.abc import Callable
from pathlib import Path

import pytest

OPTIMIZER = "optimizer = dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0001)\n"
RESNET = "_base_ = ['optimizer_cfg.py']\nmodel = dict(type='ResNet', depth=50)\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Return a function that writes a text to a file in the test's folder and returns its path."""

    def write_text(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_text


@pytest.fixture
def family(write: Callable[[str, str], Path]) -> Path:
    """Write the configs of the manual's chapter on inheritance, and return `resnet50.py`."""
    write("optimizer_cfg.py", OPTIMIZER)
    write("runtime_cfg.py", "gpu_ids = [0, 1]\n")
    return write("resnet50.py", RESNET)
