"""`FlexibleRunner`: the keyword-only constructor of large-model configs, for the one `Runner`."""

from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from engine_config import Config
from engine_dist import infer_launcher
from engine_logging import MMLogger
from engine_registry import RUNNERS
from engine_runner._settings import Settings
from engine_runner._time_limit import MaxTime
from engine_runner.runner import Runner
from engine_runner.strategies import Strategy, choose_strategy
from engine_visualization import Visualizer

_WORK_DIR = "work_dirs"


@RUNNERS.register_module()
class FlexibleRunner(Runner):
    """`Runner` with keyword-only arguments, for configs with ``runner_type="FlexibleRunner"``.

    Each `Runner` takes a ``strategy``, so there is no second class for large models. This one
    differs in two defaults: ``work_dir`` is ``"work_dirs"``, and ``launcher=None`` is the launcher
    that has started this process (`engine_dist.infer_launcher`).

    Raises:
        SettingsError: A setting is of the wrong kind, or settings contradict each other.

    Example:
        >>> import tempfile
        >>> runner = FlexibleRunner(
        ...     nn.Linear(2, 1),
        ...     work_dir=tempfile.mkdtemp(),
        ...     strategy="SingleDeviceStrategy",
        ...     log_level="ERROR",
        ... )
        >>> type(runner.strategy).__name__, runner.launcher
        ('SingleDeviceStrategy', 'none')
    """

    def __init__(
        self,
        model: nn.Module | Mapping[str, Any],
        *,
        work_dir: str | Path = _WORK_DIR,
        experiment_name: str | None = None,
        train_dataloader: DataLoader[Any] | Mapping[str, Any] | None = None,
        optim_wrapper: Any = None,
        param_scheduler: Any = None,
        train_cfg: Any = None,
        val_dataloader: DataLoader[Any] | Mapping[str, Any] | None = None,
        val_evaluator: Any = None,
        val_cfg: Any = None,
        test_dataloader: DataLoader[Any] | Mapping[str, Any] | None = None,
        test_evaluator: Any = None,
        test_cfg: Any = None,
        strategy: Strategy | Mapping[str, Any] | str | None = None,
        auto_scale_lr: Mapping[str, Any] | None = None,
        default_hooks: Mapping[str, Any] | None = None,
        custom_hooks: Sequence[Any] | Mapping[str, Any] | None = None,
        data_preprocessor: Any = None,
        load_from: str | None = None,
        resume: bool = False,
        launcher: str | None = None,
        env_cfg: Mapping[str, Any] = {"dist_cfg": {"backend": "nccl"}},  # documented default
        log_processor: Any = None,
        log_level: int | str = "INFO",
        visualizer: Visualizer | Mapping[str, Any] | None = None,
        default_scope: str = "engine",
        randomness: Mapping[str, Any] = {"seed": None},  # documented default, never changed
        compile: bool | Mapping[str, Any] = False,
        cfg: Config | Mapping[str, Any] | None = None,
        model_wrapper_cfg: Mapping[str, Any] | str | None = None,
        sync_bn: str | None = None,
        activation_checkpointing: Any = None,
        on_bad_loss: str | Mapping[str, Any] | None = None,
        max_time: MaxTime | Mapping[str, Any] | None = None,
    ) -> None:
        # Before any other local variable: the parameters have the names of the settings.
        given = {name: value for name, value in locals().items() if name in Settings.__slots__}
        given["launcher"] = infer_launcher() if launcher is None else launcher
        super().__init__(**given)

    @classmethod
    def from_cfg(cls, cfg: Config | Mapping[str, Any]) -> Runner:
        """Return a runner built from a config whose keys are the constructor's arguments."""
        if cfg.get("work_dir") is None:
            # Not copy.copy(), which shares the values of a Config.
            cfg = cfg.copy() if isinstance(cfg, Config) else copy(cfg)
            cfg["work_dir"] = _WORK_DIR  # type: ignore[index]  # a config that can be copied is mutable
        return super().from_cfg(cfg)

    @property
    def logger(self) -> MMLogger:
        """The run's logger."""
        return self._logger

    @logger.setter
    def logger(self, logger: MMLogger) -> None:
        self._logger = logger

    def build_strategy(
        self,
        strategy: Strategy | Mapping[str, Any] | str | None = None,
        launcher: str = "none",
        randomness: Mapping[str, Any] | None = None,
        env_cfg: Mapping[str, Any] = {"dist_cfg": {"backend": "nccl"}},  # documented default
        experiment_name: str | None = None,
        log_level: int | str | None = None,
    ) -> Strategy:
        """Return a strategy for this process: the one given, or the one of its config or name.

        The constructor has set up the process, so the other arguments must have the values that
        they have in the run, or be left out.

        Args:
            strategy: A strategy, its config or its name. ``None`` chooses by the number of
                processes.
            launcher: That of the run.
            randomness: That of the run.
            env_cfg: That of the run.
            experiment_name: That of the run.
            log_level: That of the run.

        Raises:
            ValueError: An argument is set, and differs from that of the run.
        """
        given = {
            "launcher": None if launcher == "none" else launcher,
            "randomness": randomness,
            "env_cfg": None if env_cfg == {"dist_cfg": {"backend": "nccl"}} else env_cfg,
            "experiment_name": experiment_name,
            "log_level": log_level,
        }
        for name, value in given.items():
            of_run = getattr(self._settings, name)
            if value is not None and value != of_run:
                raise ValueError(
                    f"{name} must be {of_run!r}, that of the run, got {value!r}; the process is "
                    f"set up when the runner is built, so give it to {type(self).__name__}(...)"
                )
        own = self._settings
        if strategy is not None:
            compile = False if isinstance(strategy, Strategy) else own.compile
            return choose_strategy(strategy=strategy, compile=compile)
        return choose_strategy(**{**own.of_strategy, "strategy": None}, cfg=self.cfg)
