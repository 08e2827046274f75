"""The profiler of an Ascend NPU: what it asks of `torch_npu`, which no machine of the gate has."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from engine_runner import Runner
from engine_runner._errors import SettingsError
from engine_runner.hooks import NPUProfilerHook
from engine_utils import MissingExtraError

MakeRunner = Callable[..., Runner]


class Profile:
    """Note the calls of the context manager that `torch_npu` has."""

    seen: list[Any]

    def __init__(self, **options: Any) -> None:
        self.seen.append(options)

    def __enter__(self) -> None:
        self.seen.append("begin")

    def __exit__(self, *error: object) -> None:
        self.seen.append("end")


@pytest.fixture
def npu(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    module: Any = ModuleType("torch_npu")
    profile = type("OneProfile", (Profile,), {"seen": []})
    module.npu = SimpleNamespace(is_available=lambda: True, profile=profile)
    monkeypatch.setitem(sys.modules, "torch_npu", module)
    devices: SimpleNamespace = module.npu
    return devices


def test_npu_profiler_profiles_its_iterations_and_ends_the_process(
    make_runner: MakeRunner, npu: SimpleNamespace, tmp_path: Path
) -> None:
    hook = NPUProfilerHook(begin=1, end=3, use_e2e_profiler=True)
    runner = make_runner(custom_hooks=[hook], work_dir=str(tmp_path))

    with pytest.raises(SystemExit) as ending:
        runner.train()

    folder = str(tmp_path / "cann_profiling" / "rank0")
    options = {"profiler_result_path": folder, "use_e2e_profiler": True}
    assert npu.profile.seen == [options, "begin", "end"]
    assert ending.value.code == 0
    assert runner.iter == 2  # the third iteration ends with its hooks


def test_npu_profiler_trains_to_the_end_and_stops_with_an_error(
    make_runner: MakeRunner, npu: SimpleNamespace
) -> None:
    runner = make_runner(custom_hooks=[NPUProfilerHook(exit_after_profiling=False)])

    runner.train()

    assert npu.profile.seen[1:] == ["begin", "end"]
    assert runner.iter == runner.max_iters


def test_npu_profiler_raises_where_it_cannot_profile(
    make_runner: MakeRunner, npu: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="end must not be greater than max_iters="):
        make_runner(custom_hooks=[NPUProfilerHook(end=1000)]).train()
    npu.is_available = lambda: False
    with pytest.raises(SettingsError, match="must have an Ascend NPU"):
        make_runner(custom_hooks=[NPUProfilerHook()]).train()
    monkeypatch.setitem(sys.modules, "torch_npu", None)
    with pytest.raises((MissingExtraError, ImportError), match="pip install"):
        make_runner(custom_hooks=[NPUProfilerHook()]).train()
