"""The environment report, and the settings of worker processes."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from engine_utils.dl_utils import TORCH_VERSION, collect_env, set_multi_processing


@pytest.fixture
def start_method() -> Iterator[None]:
    """Reset the start method for a test, and restore it after."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(None, force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


def test_report_has_the_documented_entries_in_order() -> None:
    report = collect_env()

    documented = ["sys.platform", "Python", "CUDA available", "numpy_random_seed"]
    assert list(report)[:4] == documented
    assert [key for key in report if key in ("GCC", "PyTorch", "PyTorch compiling details")] == [
        "GCC",
        "PyTorch",
        "PyTorch compiling details",
    ]
    assert list(report)[-1] == "Engine"
    assert report["PyTorch"] == torch.__version__
    assert report["CUDA available"] is torch.cuda.is_available()
    assert str(report["Python"]).startswith(sys.version.split()[0])
    assert "\n" not in str(report["Python"])


def test_report_has_the_seed_of_numpy() -> None:
    np.random.seed(1513128759)

    assert collect_env()["numpy_random_seed"] == 1513128759


def test_report_without_compiler_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert collect_env()["GCC"] == "n/a"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_report_lists_the_devices() -> None:
    report = collect_env()

    assert report["GPU 0"] == torch.cuda.get_device_name(0)


def test_torch_version_compares_to_tuples_and_strings() -> None:
    assert TORCH_VERSION >= "2.6"
    assert TORCH_VERSION >= (2, 6)  # type: ignore[operator]  # its class adds these at run time


@pytest.mark.usefixtures("start_method")
def test_start_method_is_set() -> None:
    set_multi_processing("spawn")

    assert multiprocessing.get_start_method() == "spawn"


@pytest.mark.usefixtures("start_method")
def test_start_method_set_again_warns(caplog: pytest.LogCaptureFixture) -> None:
    set_multi_processing("spawn")
    set_multi_processing("fork")

    assert multiprocessing.get_start_method() == "fork"
    assert "is fork from now on, not spawn" in caplog.text


@pytest.mark.usefixtures("start_method")
def test_threads_of_workers_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "4")

    set_multi_processing(opencv_num_threads=0, distributed=True)

    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert os.environ["MKL_NUM_THREADS"] == "4"
    assert os.environ["OPENCV_FOR_THREADS_NUM"] == "1"


@pytest.mark.usefixtures("start_method")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mp_start_method": "thread"}, "must be one of .*spawn.*, got 'thread'"),
        ({"opencv_num_threads": -1}, "opencv_num_threads must be >= 0, got -1"),
    ],
    ids=["method", "threads"],
)
def test_wrong_process_settings_raise(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        set_multi_processing(**arguments)  # type: ignore[arg-type]  # one row each


def test_missing_torch_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "try:\n    import engine_utils.dl_utils\n"
        "except ModuleNotFoundError as error:\n    print(error)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)

    assert 'pip install "engine-utils[torch]"' in done.stdout
