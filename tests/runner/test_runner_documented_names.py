"""Runners that libraries derive from the documented one, and what they read of it."""

from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from engine_dist import get_dist_info
from engine_model import is_model_wrapper
from engine_registry import MODEL_WRAPPERS
from engine_runner import EpochBasedTrainLoop, Runner, set_random_seed
from engine_runner.hooks import IterTimerHook

Make = Callable[..., dict[str, Any]]


class LibraryRunner(Runner):
    """A runner that overrides what the documented one offers, and notes each call."""

    def setup_env(self, env_cfg: Any) -> None:
        # Written by hand, as the documented method is: nothing of ours is called.
        self.calls = ["setup_env"]
        assert (self.distributed, self.launcher) == (False, "none")
        self._rank, self._world_size = get_dist_info()
        self._timestamp = "20260102_030405"

    def set_randomness(
        self, seed: int | None, diff_rank_seed: bool = False, deterministic: bool = False
    ) -> None:
        self._deterministic = deterministic
        self._seed = set_random_seed(17)

    def _log_env(self, env_cfg: Any) -> None:
        self.calls.append("log_env")
        super()._log_env(env_cfg)

    def build_logger(self, log_level: Any = "INFO", log_file: Any = None, **kwargs: Any) -> Any:
        self.calls.append("build_logger")
        return super().build_logger(log_level, log_file, **kwargs)

    def wrap_model(self, model_wrapper_cfg: Any, model: nn.Module) -> nn.Module:
        self.calls.append("wrap_model")
        return Wrapped(super().wrap_model(model_wrapper_cfg, model))

    def _init_model_weights(self) -> None:
        self.calls.append("init_model_weights")
        super()._init_model_weights()

    def build_train_loop(self, loop: Any) -> Any:
        self.calls.append("build_train_loop")
        dataloader = self._train_dataloader  # type: ignore[attr-defined]  # set by a decorator
        return EpochBasedTrainLoop(self, dataloader, max_epochs=1)

    def load_or_resume(self) -> None:
        self.calls.append("load_or_resume")
        super().load_or_resume()

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        if fn_name in ("before_train", "after_train"):
            self.calls.append(fn_name)
        super().call_hook(fn_name, **kwargs)


@MODEL_WRAPPERS.register_module()
class Wrapped(nn.Module):
    """A wrapper of a library, which passes the steps on."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def train_step(self, data: Any, optim_wrapper: Any) -> Any:
        return self.module.train_step(data, optim_wrapper)  # type: ignore[operator]  # a method

    def val_step(self, data: Any) -> Any:
        return self.module.val_step(data)  # type: ignore[operator]  # a method

    test_step = val_step


def test_methods_that_a_library_overrides_are_those_that_act(settings: Make) -> None:
    runner = LibraryRunner(**settings())
    runner.train()

    assert runner.calls == [
        "setup_env",
        "build_logger",
        "log_env",
        "wrap_model",
        "build_train_loop",
        "init_model_weights",
        "load_or_resume",
        "before_train",
        "after_train",
    ]
    assert (runner.epoch, runner.seed, runner.timestamp) == (1, 17, "20260102_030405")
    assert is_model_wrapper(runner.model)
    assert runner.model_name == "Regressor"


def test_setup_of_a_library_reads_facts_of_the_run_after_ours(settings: Make) -> None:
    class Reads(Runner):
        def setup_env(self, env_cfg: Any) -> None:
            super().setup_env(env_cfg)
            self.seen = (self.rank, self.world_size, self.work_dir, self.timestamp)

    runner = Reads(**settings())

    assert runner.seen == (0, 1, runner.work_dir, runner.timestamp)


def test_facts_before_the_process_group_raise(settings: Make) -> None:
    class TooEarly(Runner):
        def setup_env(self, env_cfg: Any) -> None:
            _ = self.work_dir

    with pytest.raises(RuntimeError, match=r"in TooEarly.setup_env, call super\(\).setup_env"):
        TooEarly(**settings(launcher="pytorch"))


def test_private_names_are_those_of_the_documented_ones(settings: Make) -> None:
    runner: Any = Runner(**settings(randomness={"seed": 3}, param_scheduler=None))

    for name in (
        *("work_dir", "log_dir", "rank", "world_size", "launcher", "distributed"),
        *("experiment_name", "timestamp", "seed", "deterministic", "model_name", "visualizer"),
        *("log_processor", "train_loop", "val_loop"),
    ):
        assert getattr(runner, f"_{name}") == getattr(runner, name), name
    assert runner._randomness_cfg == {"seed": 3}
    assert runner._val_evaluator == runner._settings.val_evaluator
    assert runner.default_scope.scope_name == "engine"


def test_setting_that_would_change_nothing_raises(settings: Make) -> None:
    runner: Any = Runner(**settings())

    with pytest.raises(AttributeError, match="cannot be set"):
        runner._resume = True


def test_hooks_may_be_replaced_by_a_list(settings: Make) -> None:
    runner: Any = Runner(**settings())

    runner._hooks = [hook for hook in runner._hooks if not isinstance(hook, IterTimerHook)]
    runner.train()

    assert "IterTimerHook" not in runner.get_hooks_info()
    assert "train/time" not in runner.message_hub.log_scalars
