"""A test case of unittest with the configs of a toy run."""

import copy
import os
import socket
import tempfile
from pathlib import Path
from typing import Any
from unittest import TestCase
from uuid import uuid4

import torch
from torch import distributed

from engine_config import Config
from engine_logging import MessageHub, MMLogger
from engine_registry import DATASETS, METRICS, MODELS, RUNNERS, DefaultScope
from engine_runner.runner import Runner
from engine_runner.testing._toy import ToyDataset, ToyMetric, ToyModel
from engine_utils import ManagerMixin
from engine_visualization import Visualizer

_PARTS = ((MODELS, ToyModel), (DATASETS, ToyDataset), (METRICS, ToyMetric))
_MANAGED: tuple[type[ManagerMixin], ...] = (MMLogger, MessageHub, Visualizer, DefaultScope)


class _Folder(tempfile.TemporaryDirectory[str]):
    """A temporary folder that may stand for its path, too."""

    def __fspath__(self) -> str:
        return self.name


class RunnerTestCase(TestCase):
    """Build runners of a toy model, and leave nothing of them behind.

    `setUp` makes a folder for the runs, registers `ToyModel`, `ToyDataset` and `ToyMetric` under
    these names, and makes the two configs. `tearDown` removes what the runs left in the process:
    loggers, message hubs, visualizers, scopes, the process group; and the folder.

    Attributes:
        epoch_based_cfg: A config that trains 2 epochs of 4 iterations, validates and tests.
        iter_based_cfg: A config that trains 8 iterations, validates and tests.
        work_dir: The folder of the runs.
        temp_dir: The temporary folder around it: a path, with ``temp_dir.name`` as text.
        dist_cfg: The environment variables that `setup_dist_env` sets.

    Example:
        >>> class TestTraining(RunnerTestCase):
        ...     def test_counts_iterations(self):
        ...         self.epoch_based_cfg.train_cfg.max_epochs = 1
        ...         runner = self.build_runner(self.epoch_based_cfg)
        ...         runner.train()
        ...         self.assertEqual(runner.iter, 4)
    """

    epoch_based_cfg: Config
    iter_based_cfg: Config
    work_dir: str

    def setUp(self) -> None:
        """Make the folder and the configs, and register the parts."""
        super().setUp()
        self.temp_dir = _Folder(ignore_cleanup_errors=True)
        self.work_dir = os.path.join(self.temp_dir, "work_dir")
        self.dist_cfg = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(_free_port()),
            "RANK": "0",
            "WORLD_SIZE": "1",
            "LOCAL_RANK": "0",
        }
        self._environment = dict(os.environ)
        self._instances = {kind: set(kind._instance_dict) for kind in _MANAGED}
        self._random_state = torch.random.get_rng_state()
        self._former = [dict(registry.module_dict) for registry, _ in _PARTS]
        for registry, part in _PARTS:
            registry.register_module(module=part, force=True)
        self.epoch_based_cfg = Config(_epoch_based(self.work_dir))
        self.iter_based_cfg = Config(_iter_based(self.work_dir))

    def tearDown(self) -> None:
        """Remove what the runs of this test left in the process, and their folder."""
        if distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()
        for kind, before in self._instances.items():
            for name in set(kind._instance_dict) - before:
                instance: Any = kind._instance_dict[name]
                if hasattr(instance, "close"):
                    instance.close()  # files cannot be removed while they are open on Windows
                kind.release_instance(name)
        for (registry, _), former in zip(_PARTS, self._former, strict=True):
            registry.module_dict.clear()
            registry.module_dict.update(former)
        torch.random.set_rng_state(self._random_state)
        os.environ.clear()
        os.environ.update(self._environment)
        self.clear_work_dir()
        self.temp_dir.cleanup()
        super().tearDown()

    def clear_work_dir(self) -> None:
        """Remove all files of the runs, and leave an empty folder."""
        self.temp_dir.cleanup()
        Path(self.temp_dir).mkdir(parents=True, exist_ok=True)

    def build_runner(self, cfg: Config) -> Runner:
        """Return a runner of a config, which is not changed.

        Args:
            cfg: The config; without ``experiment_name`` the runner gets one of its own.
        """
        cfg = copy.deepcopy(cfg)
        if cfg.get("experiment_name") is None:
            cfg.experiment_name = self.experiment_name
        runner: Runner = RUNNERS.build(cfg)
        return runner

    @property
    def experiment_name(self) -> str:
        """A name that no other run has: a new one each time."""
        return f"{self._testMethodName}_{uuid4().hex[:12]}"

    def setup_dist_env(self) -> None:
        """Set the environment variables of a launcher, for a process group of one process.

        A runner with ``launcher="pytorch"`` then starts the group. `tearDown` restores the
        variables, and destroys the group.
        """
        os.environ.update(self.dist_cfg)


def _epoch_based(work_dir: str) -> dict[str, Any]:
    loader = {
        "dataset": {"type": "ToyDataset"},
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "batch_size": 3,
        "num_workers": 0,
    }
    return {
        "work_dir": work_dir,
        "model": {"type": "ToyModel"},
        "train_dataloader": {**loader, "sampler": {"type": "DefaultSampler", "shuffle": True}},
        "val_dataloader": loader,
        "test_dataloader": loader,
        "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.01}},
        "param_scheduler": {"type": "MultiStepLR", "milestones": [1]},
        "train_cfg": {"by_epoch": True, "max_epochs": 2, "val_interval": 1},
        "val_cfg": {},
        "test_cfg": {},
        "val_evaluator": {"type": "ToyMetric"},
        "test_evaluator": {"type": "ToyMetric"},
        "default_hooks": {
            "logger": {"type": "LoggerHook", "interval": 1},
            "checkpoint": {"type": "CheckpointHook", "interval": 1},
        },
        "launcher": "none",
        "env_cfg": {"dist_cfg": {"backend": "gloo"}},
        "randomness": {"seed": 0},
    }


def _iter_based(work_dir: str) -> dict[str, Any]:
    config = _epoch_based(work_dir)
    sampler = {"type": "InfiniteSampler", "shuffle": True}
    return {
        **config,
        "train_dataloader": {**config["train_dataloader"], "sampler": sampler},
        "param_scheduler": {"type": "MultiStepLR", "milestones": [4], "by_epoch": False},
        "train_cfg": {"by_epoch": False, "max_iters": 8, "val_interval": 4},
        "default_hooks": {
            "logger": {"type": "LoggerHook", "interval": 1},
            "checkpoint": {"type": "CheckpointHook", "interval": 4, "by_epoch": False},
        },
        "log_processor": {"by_epoch": False},
    }


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
