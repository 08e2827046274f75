"""RunnerTestCase: toy runs that leave nothing behind."""

import os
import unittest
from pathlib import Path

import pytest
from torch import distributed

from engine_logging import MessageHub, MMLogger
from engine_registry import MODELS, DefaultScope
from engine_runner.testing import RunnerTestCase, ToyModel
from engine_visualization import Visualizer

KINDS = (MMLogger, MessageHub, Visualizer, DefaultScope)


class TestToyRuns(RunnerTestCase):
    """The test case, used as its users use it."""

    def test_epochs_are_trained_validated_and_tested(self) -> None:
        runner = self.build_runner(self.epoch_based_cfg)
        runner.train()

        assert (runner.epoch, runner.iter) == (2, 8)
        assert isinstance(runner.model, ToyModel)
        assert runner.test() == {"acc": 1.0}
        assert (Path(self.work_dir) / "epoch_2.pth").is_file()

    def test_iterations_are_trained(self) -> None:
        runner = self.build_runner(self.iter_based_cfg)
        runner.train()

        assert runner.iter == 8
        assert (Path(self.work_dir) / "iter_8.pth").is_file()

    def test_configs_are_new_in_each_test(self) -> None:
        self.epoch_based_cfg.train_cfg.max_epochs = 7

        assert self.build_runner(self.epoch_based_cfg).max_epochs == 7
        assert "experiment_name" not in self.epoch_based_cfg

    def test_configs_are_not_those_of_the_test_before(self) -> None:
        assert self.epoch_based_cfg.train_cfg.max_epochs == 2

    def test_names_of_experiments_differ(self) -> None:
        assert self.experiment_name != self.experiment_name
        assert self.experiment_name.startswith("test_names_of_experiments_differ_")

    def test_work_dir_can_be_cleared(self) -> None:
        self.build_runner(self.epoch_based_cfg)
        assert Path(self.work_dir).is_dir()

        self.clear_work_dir()

        assert list(Path(self.temp_dir).iterdir()) == []

    @unittest.skipUnless(distributed.is_available(), "needs process groups")
    def test_process_group_of_one_process(self) -> None:
        self.setup_dist_env()
        self.epoch_based_cfg.launcher = "pytorch"
        self.epoch_based_cfg.train_cfg.max_epochs = 1

        runner = self.build_runner(self.epoch_based_cfg)

        assert runner.distributed
        assert runner.world_size == 1


def test_nothing_of_a_run_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [set(kind._instance_dict) for kind in KINDS], dict(os.environ)
    case = TestToyRuns("test_process_group_of_one_process")

    result = unittest.TestResult()
    case.run(result)

    assert result.wasSuccessful(), result.errors + result.failures
    assert ([set(kind._instance_dict) for kind in KINDS], dict(os.environ)) == before
    assert not distributed.is_initialized()
    assert not Path(case.temp_dir).exists()
    assert "ToyModel" not in MODELS.module_dict


def test_model_of_the_same_name_comes_back() -> None:
    @MODELS.register_module("ToyModel")
    class Mine:
        pass

    TestToyRuns("test_names_of_experiments_differ").run(unittest.TestResult())

    assert MODELS.get("ToyModel") is Mine
