"""The life of a run: settings, environment, parts, loops, checkpoints."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import count
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from engine_config import Config
from engine_registry import RUNNERS, DefaultScope
from engine_runner._build import scale_learning_rate
from engine_runner._environment import set_random_seed, setup_environment
from engine_runner._naming import create_log_dir, experiment_name
from engine_runner._progress import Progress
from engine_runner._report import environment_report
from engine_runner._saving import Saving
from engine_runner._settings import Settings
from engine_runner._types import Model
from engine_runner.hooks import HookList
from engine_runner.loops import TrainLoop
from engine_runner.strategies import choose_strategy
from engine_visualization import Visualizer

_COUNT = count(1)  # of the runners of this process: each has a scope of its own


@RUNNERS.register_module()
class Runner(Saving):
    """Trains, validates and tests a model.

    Every part may be given as an object or as a config. Parts are built when they are needed: a
    runner that only tests builds no optimizer. What belongs together is given together: the
    ``train_…`` arguments with ``optim_wrapper``, the ``val_…`` and the ``test_…`` arguments.

    Args:
        model: The model, or its config.
        work_dir: Folder of the checkpoints; logs go to ``work_dir/<timestamp>``.
        train_dataloader: Training data.
        val_dataloader: Validation data.
        test_dataloader: Test data.
        train_cfg: The training loop: ``by_epoch=True`` with ``max_epochs``, ``by_epoch=False``
            with ``max_iters``, or a ``type``; and ``val_begin``, ``val_interval``.
        val_cfg: The validation loop; ``{}`` for `ValLoop`.
        test_cfg: The test loop; ``{}`` for `TestLoop`.
        auto_scale_lr: ``base_batch_size`` and ``enable``: scale learning rates to the batch size.
        optim_wrapper: Optimizers, with accumulation, clipping and precision.
        param_scheduler: Schedules of learning rate, momentum and other options.
        val_evaluator: Metrics of the validation.
        test_evaluator: Metrics of the test.
        default_hooks: Hooks by name, in place of default ones or beside them; ``None`` drops one.
        custom_hooks: Further hooks.
        data_preprocessor: For a model config that has none.
        load_from: A checkpoint to load weights from, or to resume.
        resume: Continue ``load_from``, or else the newest checkpoint in ``work_dir`` if any.
        launcher: ``"none"``, ``"pytorch"``, ``"slurm"`` or ``"mpi"``.
        env_cfg: ``cudnn_benchmark``, ``mp_cfg``, ``dist_cfg``, ``resource_limit``,
            ``torch_num_threads``.
        log_processor: Statistics and format of the log.
        log_level: Least severe level that is logged.
        visualizer: Where scalars and pictures go.
        default_scope: Registry scope of names without a prefix.
        randomness: ``seed``, ``deterministic`` and ``diff_rank_seed``.
        experiment_name: Name of the experiment; the config file's by default.
        cfg: The whole config, to be dumped and logged.

    Raises:
        SettingsError: Settings that contradict each other.

    Example:
        >>> import tempfile
        >>> from engine_runner import Runner
        >>> runner = Runner(nn.Linear(2, 1), tempfile.mkdtemp(), log_level="ERROR")
        >>> runner.model_name, runner.epoch
        ('Linear', 0)
    """

    def __init__(
        self,
        model: nn.Module | Mapping[str, Any],
        work_dir: str | Path,
        train_dataloader: DataLoader[Any] | Mapping[str, Any] | None = None,
        val_dataloader: DataLoader[Any] | Mapping[str, Any] | None = None,
        test_dataloader: DataLoader[Any] | Mapping[str, Any] | None = None,
        train_cfg: Any = None,
        val_cfg: Any = None,
        test_cfg: Any = None,
        auto_scale_lr: Mapping[str, Any] | None = None,
        optim_wrapper: Any = None,
        param_scheduler: Any = None,
        val_evaluator: Any = None,
        test_evaluator: Any = None,
        default_hooks: Mapping[str, Any] | None = None,
        custom_hooks: Sequence[Any] | Mapping[str, Any] | None = None,
        data_preprocessor: Any = None,
        load_from: str | None = None,
        resume: bool = False,
        launcher: str = "none",
        env_cfg: Mapping[str, Any] = {
            "dist_cfg": {"backend": "nccl"}
        },  # documented default, never changed
        log_processor: Any = None,
        log_level: int | str = "INFO",
        visualizer: Visualizer | Mapping[str, Any] | None = None,
        default_scope: str = "engine",
        randomness: Mapping[str, Any] = {"seed": None},  # documented default, never changed
        experiment_name: str | None = None,
        cfg: Config | Mapping[str, Any] | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in Settings.__slots__}
        self._set_up(Settings(**given))

    @classmethod
    def from_cfg(cls, cfg: Config | Mapping[str, Any]) -> "Runner":
        """Return a runner built from a config whose keys are the constructor's arguments.

        Raises:
            SettingsError: The config sets no ``model`` or no ``work_dir``, or its settings
                contradict each other.
        """
        settings = Settings.from_cfg(cfg)
        return cls(**{name: getattr(settings, name) for name in settings.__slots__})

    def _set_up(self, settings: Settings) -> None:
        """Construct what every run needs, in this order."""
        self._settings = settings
        self.cfg = _as_config(settings.cfg)
        self.setup_env(settings.env_cfg)
        self.set_randomness(**settings.randomness)
        DefaultScope.get_instance(f"runner_{next(_COUNT)}", scope_name=settings.default_scope)
        self._log_dir = create_log_dir(Path(settings.work_dir).absolute())
        self._experiment_name = experiment_name(
            settings.experiment_name, self.cfg.filename, self._log_dir.name
        )
        self.logger = self.build_logger(log_level=settings.log_level)
        self.logger.info(environment_report(self.seed, self.cfg))
        self.message_hub = self.build_message_hub()
        self.visualizer = self.build_visualizer(settings.visualizer)
        self.log_processor = self.build_log_processor(settings.log_processor)
        self.progress = Progress()
        wrapper = self.cfg.get("model_wrapper_cfg")
        self.strategy = choose_strategy(wrapper, sync_bn=self.cfg.get("sync_bn"))
        self.model = self.strategy.wrap(self.build_model(settings.model))
        self._optim_wrapper = None
        self._train_loop = self._val_loop = self._test_loop = None
        self.param_schedulers = []
        self._loaded, self.load_report = False, None
        self._hooks = HookList()
        self.register_hooks(settings.default_hooks, settings.hooks)
        self.logger.info(f"Hooks will be executed in the following order:\n{self.get_hooks_info()}")
        self.dump_config()

    # ---- what a run does -------------------------------------------------------------------

    def train(self) -> Model:
        """Train, with validation if it is configured, and return the model.

        Raises:
            NotConfiguredError: Training is not configured.
        """
        loop = self.train_loop
        self._check_steps("train", *(["val"] if self.val_loop is not None else []))
        self.scale_lr(self.optim_wrapper, self._settings.auto_scale_lr)
        if self._settings.param_scheduler is not None:
            self.param_schedulers = self.build_param_scheduler(self._settings.param_scheduler)
        self._initialize_weights()
        self.call_hook("before_run")
        self.load_or_resume()
        if isinstance(loop, TrainLoop):
            loop.continue_from_progress()
        self.optim_wrapper.initialize_count_status(self.model, self.iter, self.max_iters)
        loop.run()
        self.call_hook("after_run")
        return self.model

    def val(self) -> dict[str, Any]:
        """Validate, and return the metrics by name.

        Raises:
            NotConfiguredError: Validation is not configured.
        """
        loop = self._validation()
        self._check_steps("val")
        self.call_hook("before_run")
        self.load_or_resume()
        metrics: dict[str, Any] = loop.run()
        self.call_hook("after_run")
        return metrics

    def test(self) -> dict[str, Any]:
        """Test, and return the metrics by name.

        Weights are loaded through ``load_from`` or ``resume`` only.

        Raises:
            NotConfiguredError: Testing is not configured.
        """
        loop = self.test_loop
        self._check_steps("test")
        self.call_hook("before_run")
        self.load_or_resume()
        metrics: dict[str, Any] = loop.run()
        self.call_hook("after_run")
        return metrics

    # ---- environment -----------------------------------------------------------------------

    def setup_env(self, env_cfg: Mapping[str, Any]) -> None:
        """Start the process group if a launcher is named, and apply ``env_cfg``."""
        setup_environment(env_cfg, self._settings.launcher)

    def set_randomness(
        self, seed: int | None, diff_rank_seed: bool = False, deterministic: bool = False
    ) -> None:
        """Seed every generator; ``None`` draws a seed that all ranks share."""
        self._seed = set_random_seed(seed, deterministic, diff_rank_seed)

    def scale_lr(self, optim_wrapper: Any, auto_scale_lr: Mapping[str, Any] | None = None) -> None:
        """Scale learning rates to the real batch size, if ``auto_scale_lr`` enables that."""
        scale_learning_rate(optim_wrapper, auto_scale_lr, self.train_dataloader)

    def dump_config(self) -> None:
        """Write the merged config to the work directory and to the visualizer's back ends."""
        if self.is_main and self.cfg:
            name = Path(self.cfg.filename or f"{self.timestamp}.py").name
            self.cfg.dump(Path(self.work_dir) / name)
            self.visualizer.add_config(self.cfg)

    # ---- steps of train, val and test ------------------------------------------------------

    def _initialize_weights(self) -> None:
        model: Model = self.strategy.unwrap(self.model)
        if hasattr(model, "init_weights"):
            model.init_weights()
            self.strategy.synchronize(model)

    def _check_steps(self, *modes: str) -> None:
        for mode in modes:
            if not hasattr(self.model, f"{mode}_step"):
                raise RuntimeError(
                    f"{self.model_name} has no {mode}_step, which a {mode} loop calls; derive it "
                    "from engine_model.BaseModel or write the method"
                )


def _as_config(cfg: Config | Mapping[str, Any] | None) -> Config:
    """Return a config of the run's own, so that nothing done with it reaches the caller's."""
    if isinstance(cfg, Config):
        return deepcopy(cfg)
    return Config(dict(cfg or {}))
