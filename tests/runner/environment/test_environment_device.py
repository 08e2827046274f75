"""``env_cfg.device``: the device of a run."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from engine_dist.device import chosen_device, current_device, get_device, use_device
from engine_runner import Hook, Runner, SingleDeviceStrategy
from engine_runner._errors import SettingsError
from engine_runner.environment import check_device


class Devices(Hook):
    def before_train(self, runner: Runner) -> None:
        self.seen = (chosen_device(), current_device(), get_device())


def test_run_computes_on_the_device_of_env_cfg(make_runner: Callable[..., Runner]) -> None:
    devices, other = Devices(), Devices()
    runner = make_runner(env_cfg={"device": "cpu"}, custom_hooks=[devices])
    plain = make_runner(custom_hooks=[other])

    runner.train()
    plain.train()

    assert devices.seen == (torch.device("cpu"), torch.device("cpu"), "cpu")
    assert runner.strategy.device == torch.device("cpu")
    assert other.seen[0] is None  # the choice of one run is not that of the next
    assert chosen_device() is None


@pytest.mark.parametrize("device", ["cuda:99", "gpu"])
def test_device_that_is_not_there_raises_and_leaves_no_folder(
    settings: Callable[..., dict[str, Any]], device: object
) -> None:
    arguments = settings(env_cfg={"device": device})

    with pytest.raises(SettingsError, match=r"env_cfg: device must be .*got"):
        Runner(**arguments)
    assert chosen_device() is None


@pytest.mark.parametrize("own", ["object", "config"])
def test_strategy_of_another_device_raises(make_runner: Callable[..., Runner], own: str) -> None:
    meta = torch.device("meta")
    strategy: Any = SingleDeviceStrategy(meta)
    if own == "config":
        strategy = {"type": "SingleDeviceStrategy", "device": "meta"}

    with pytest.raises(SettingsError, match=r"must be the same, got 'meta' and 'cpu'"):
        make_runner(env_cfg={"device": "cpu"}, strategy=strategy)


def test_launcher_chooses_the_index_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"without an index with the launcher 'pytorch'"):
        check_device("cpu:0", "pytorch")
    check_device("cpu", "pytorch")


def test_inner_choice_of_a_device_ends_with_its_block() -> None:
    with use_device("cpu"):
        with use_device(None):
            assert chosen_device() == torch.device("cpu")
        assert get_device() == "cpu"
    assert chosen_device() is None
