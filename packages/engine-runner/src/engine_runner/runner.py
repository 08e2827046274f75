"""The life of a run: settings, environment, parts, loops, checkpoints."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from engine_config import Config
from engine_logging import MessageHub, MMLogger
from engine_model.weights import LoadReport
from engine_optim import BaseOptimWrapper
from engine_registry import RUNNERS, DefaultScope
from engine_runner import checkpoint as checkpoints
from engine_runner import environment, parts
from engine_runner._documented import with_documented_names
from engine_runner._execution import execute
from engine_runner._forward import Forward
from engine_runner._hook import Hook
from engine_runner._hook_list import UNFINISHED, HookList
from engine_runner._instances import RunInstances, with_instances
from engine_runner._progress import Progress
from engine_runner._protocols import Loop
from engine_runner._settings import Settings
from engine_runner._time_limit import MaxTime
from engine_runner._types import Model
from engine_runner.checkpoint import Checkpointer
from engine_runner.environment import begin_info, dump_config
from engine_runner.loops import EpochBasedTrainLoop, check_steps
from engine_runner.parts import LazyPart, Parts
from engine_runner.strategies import Strategy, choose_strategy
from engine_visualization import Visualizer

_COUNT = count(1)  # of the runners of this process: each has a scope of its own
_WITHOUT_MODULE = [("^module.", "")]


@RUNNERS.register_module()
@with_documented_names
class Runner:
    """Train, validate and test a model; `Settings` documents the arguments.

    Every part may be an object or a config. Parts are built when they are first needed: a runner
    that only tests builds no optimizer.

    Raises:
        SettingsError: A setting is of the wrong kind, or settings contradict each other.

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
        env_cfg: Mapping[str, Any] = {"dist_cfg": {"backend": "nccl"}},  # documented default
        log_processor: Any = None,
        log_level: int | str = "INFO",
        visualizer: Visualizer | Mapping[str, Any] | None = None,
        default_scope: str = "engine",
        randomness: Mapping[str, Any] = {"seed": None},  # documented default, never changed
        experiment_name: str | None = None,
        cfg: Config | Mapping[str, Any] | None = None,
        *,
        strategy: Strategy | Mapping[str, Any] | str | None = None,
        model_wrapper_cfg: Mapping[str, Any] | str | None = None,
        sync_bn: str | None = None,
        compile: bool | Mapping[str, Any] = False,
        activation_checkpointing: Any = None,
        on_bad_loss: str | Mapping[str, Any] | None = None,
        max_time: MaxTime | Mapping[str, Any] | None = None,
    ) -> None:
        # Before any other local variable: the parameters have the names of the settings.
        given = {name: value for name, value in locals().items() if name in Settings.__slots__}
        self._settings = settings = Settings(**given)
        self.cfg = settings.config()
        vars(self).pop("_info", None)  # of a former call on this object
        self.setup_env(settings.env_cfg)
        self.set_randomness(**settings.randomness)
        self._info = self._info.stated_by(vars(self))
        self.progress = Progress()
        self.param_schedulers: Any = None
        self._hook_list, self._instances = HookList(), RunInstances(settings.env_cfg.get("device"))
        self._parts = Parts(settings, self._instances)
        scope = DefaultScope.get_instance(f"runner_{next(_COUNT)}", scope_name=default_scope)
        self.default_scope = self._instances.add(scope)
        with self._instances.current(), self._info.removed_on_error():
            self.logger = self._instances.add(self.build_logger(log_level=log_level))
            self._log_env(settings.env_cfg)
            self.message_hub = self._instances.add(self.build_message_hub())
            self.visualizer = self._instances.add(self.build_visualizer(visualizer))
            self.log_processor = self.build_log_processor(log_processor)
            self.strategy = choose_strategy(**settings.of_strategy, cfg=self.cfg)
            self.checkpointer = Checkpointer(self.strategy)
            built = parts.build_for(self.strategy, self.build_model, model, data_preprocessor)
            parts.freeze(built, optim_wrapper)
            self.model: Model = self.wrap_model(model_wrapper_cfg, built)
            self.register_hooks(settings.named_hooks, settings.hooks)
            hooks = f"Hooks will be executed in the following order:\n{self.get_hooks_info()}"
            self.logger.info(hooks, extra={"file_only": True})
            self.dump_config()

    @classmethod
    def from_cfg(cls, cfg: Config | Mapping[str, Any]) -> "Runner":
        """Return a runner built from a config whose keys are the constructor's arguments."""
        return cls(**Settings.arguments_of(cfg))

    @with_instances
    def train(self) -> Model:
        """Train, with validation if it is configured, and return the model."""
        loop = self.train_loop
        check_steps(self.model, "train", *([] if self.val_loop is None else ["val"]))
        parts.schedule_once(self, self._parts, self._settings)
        self._init_model_weights()
        execute(self, self._hook_list, loop, trains=True)
        return self.model

    @with_instances
    def val(self) -> dict[str, Any]:
        """Validate, and return the metrics by name."""
        loop = self._validation
        check_steps(self.model, "val")
        metrics: dict[str, Any] = execute(self, self._hook_list, loop)
        return metrics

    @with_instances
    def test(self) -> dict[str, Any]:
        """Test, and return the metrics by name; weights come from ``load_from`` alone."""
        loop = self.test_loop
        check_steps(self.model, "test")
        metrics: dict[str, Any] = execute(self, self._hook_list, loop)
        return metrics

    running: Loop | None = None  # the loop that runs now
    unfinished = False  # whether hooks act where counters are behind weights or data

    # ---- facts and progress ----------------------------------------------------------------

    _info = cached_property(begin_info)
    experiment_name = Forward[str]("_info.experiment_name", "Name and start time of the run.")
    timestamp = Forward[str]("_info.timestamp", "When the run started; names the log folder.")
    work_dir = Forward[str]("_info.work_dir", "Absolute path of the folder of checkpoints.")
    log_dir = Forward[str]("_info.log_dir", "Absolute path of the folder of this run's logs.")
    launcher = Forward[str]("_settings.launcher", "How the processes were started.")
    distributed = Forward[bool]("_settings.distributed", "Whether there is a process group.")
    rank = Forward[int]("_info.rank", "The rank of this process.")
    world_size = Forward[int]("_info.world_size", "The number of processes.")
    is_main = Forward[bool]("_info.is_main", "Whether this process writes the run's files.")
    seed = Forward[int]("_info.seed", "The seed of the run, equal on all ranks.")
    seed_is_given = Forward[bool]("_info.seed_is_given", "Whether the settings have the seed.")
    deterministic = Forward[bool]("_info.deterministic", "Whether algorithms are deterministic.")
    diff_rank_seed = Forward[bool]("_info.diff_rank_seed", "Whether each rank's seed differs.")

    epoch = Forward[int]("progress.epoch", "Finished training epochs.")
    iter = Forward[int]("progress.iter", "Finished training iterations.")
    max_epochs = Forward[int]("train_loop.max_epochs", "Epochs to train in all.")
    max_iters = Forward[int]("train_loop.max_iters", "Iterations to train in all.")
    val_begin = Forward[int]("train_loop.val_begin", "First epoch or iteration to validate at.")
    val_interval = Forward[int]("train_loop.val_interval", "Epochs or iterations per validation.")

    train_dataloader = Forward[DataLoader[Any]]("train_loop.dataloader", "The training data.")
    # Of an evaluation of several sets: a mapping by their names.
    val_dataloader = Forward[Any]("_validation.dataloader", "The validation data.")
    test_dataloader = Forward[Any]("test_loop.dataloader", "The test data.")
    val_evaluator = Forward[Any]("_validation.evaluator", "The evaluator of the validation.")
    test_evaluator = Forward[Any]("test_loop.evaluator", "The evaluator of the test.")
    hooks = Forward[list[Hook]]("_hook_list.in_order", "The hooks in the order of their calls.")
    load_report = Forward[LoadReport | None]("checkpointer.load_report", "Weights that misfit.")

    @property
    def model_name(self) -> str:
        """The class name of the model inside its wrapper."""
        return parts.model_name(self.model, self.strategy)

    @property
    def trains_by_epoch(self) -> bool:
        """Whether training is configured and counts epochs."""
        return isinstance(self._parts.built("train_cfg"), EpochBasedTrainLoop)

    train_loop = LazyPart("train_cfg", "build_train_loop", "The training loop.")
    test_loop = LazyPart("test_cfg", "build_test_loop", "The test loop.")
    optim_wrapper = LazyPart("optim_wrapper", "build_optim_wrapper", "The optimizers.")
    val_loop = LazyPart("val_cfg", "build_val_loop", "The validation loop or None.", optional=True)
    _validation = LazyPart("val_cfg", "build_val_loop", "The validation loop.")

    # What libraries read of the documented runner.
    _train_loop = LazyPart("train_cfg", "build_train_loop", "See `train_loop`.", optional=True)
    _val_loop = LazyPart("val_cfg", "build_val_loop", "See `val_loop`.", optional=True)
    _test_loop = LazyPart("test_cfg", "build_test_loop", "See `test_loop`.", optional=True)

    # ---- builders: each returns the part of a config, or the part given --------------------

    build_dataloader = staticmethod(parts.build_dataloader)
    build_evaluator = staticmethod(parts.build_evaluator)
    build_log_processor = staticmethod(parts.build_log_processor)
    build_model = staticmethod(parts.build_model)

    def wrap_model(
        self, model_wrapper_cfg: Mapping[str, Any] | str | None, model: nn.Module
    ) -> nn.Module:
        """Return the model on its device, and in its wrapper if there are several processes."""
        is_own = model_wrapper_cfg == self._settings.model_wrapper_cfg
        return (self.strategy if is_own else choose_strategy(model_wrapper_cfg)).prepare(model)

    def build_optim_wrapper(self, optim_wrapper: Any) -> BaseOptimWrapper:
        """Return the wrapper of an optimizer, of a config, or of a mapping of wrappers."""
        return parts.build_optimizers(self.model, optim_wrapper)

    def build_param_scheduler(self, scheduler: Any) -> list[Any] | dict[str, list[Any]]:
        """Return a list of schedules; with several optimizers, a list for each by name."""
        optimizers, by_epoch = self.optim_wrapper, self.trains_by_epoch
        return parts.build_run_schedulers(scheduler, optimizers, self.train_loop, by_epoch=by_epoch)

    def build_train_loop(self, loop: Any) -> Any:
        """Return the training loop."""
        return parts.build_loop("train_cfg", loop, self, self._settings)

    def build_val_loop(self, loop: Any) -> Any:
        """Return the validation loop."""
        return parts.build_loop("val_cfg", loop, self, self._settings)

    def build_test_loop(self, loop: Any) -> Any:
        """Return the test loop."""
        return parts.build_loop("test_cfg", loop, self, self._settings)

    def build_logger(
        self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any
    ) -> MMLogger:
        """Return the run's logger; its file is ``<log_dir>/<timestamp>.log`` by default."""
        return parts.build_logger(self._info, log_level, log_file, **kwargs)

    def build_message_hub(self, message_hub: Mapping[str, Any] | None = None) -> MessageHub:
        """Return the run's message hub."""
        return MessageHub.get_instance(**{"name": self.experiment_name, **(message_hub or {})})

    def build_visualizer(self, visualizer: Visualizer | Mapping[str, Any] | None = None) -> Any:
        """Return the visualizer; by default one that keeps scalars in the log folder."""
        return parts.build_visualizer(visualizer, self.experiment_name, self.log_dir)

    # ---- hooks -----------------------------------------------------------------------------

    def get_hooks_info(self) -> str:
        """Return the hooks that act at each point."""
        return self._hook_list.table()

    def register_hook(
        self, hook: Any, priority: int | str | None = None, *, name: str = ""
    ) -> None:
        """Add a hook or its config; its state is saved under ``name``, or its class name."""
        with self._instances.current():
            built, own = parts.build_hook(hook)
        self._hook_list.add(built, own if priority is None else priority, name=name)

    def register_default_hooks(self, hooks: Mapping[str, Any] | None = None) -> None:
        """Add the default hooks; ``hooks`` replaces, adds or (with ``None``) drops by name."""
        for hook in self._hook_list.named(parts.default_hooks(hooks)):
            self.register_hook(hook)  # without the name, which a user's override does not take

    def register_custom_hooks(self, hooks: Sequence[Any]) -> None:
        """Add further hooks."""
        for hook in hooks:
            self.register_hook(hook)

    def register_hooks(
        self,
        default_hooks: Mapping[str, Any] | None = None,
        custom_hooks: Sequence[Any] | None = None,
    ) -> None:
        """Add the default hooks and further ones."""
        self.register_default_hooks(default_hooks)
        self.register_custom_hooks(custom_hooks or [])

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Call every hook that has a method of this name, documented or of the user's own."""
        within, self.unfinished = self.unfinished, self.unfinished or fn_name in UNFINISHED
        try:
            for method in self._hook_list.methods(fn_name):
                method(self, **kwargs)
        finally:
            self.unfinished = within

    call_hooks = call_hook  # the name in an example of the manual

    # ---- checkpoints -----------------------------------------------------------------------

    def load_or_resume(self) -> None:
        """Resume, load weights, or do neither, as ``resume`` and ``load_from`` say; once."""
        load_from, resumes = self._settings.load_from, self._settings.resume
        source, resumes = self.checkpointer.source(self, load_from, resumes=resumes)
        if source is not None:
            (self.resume if resumes else self.load_checkpoint)(source)

    @with_instances
    def load_checkpoint(
        self,
        filename: str,
        map_location: str | Callable[..., Any] = "cpu",
        strict: bool = False,
        revise_keys: list[tuple[str, str]] = _WITHOUT_MODULE,
    ) -> dict[str, Any]:
        """Load weights in place of ``load_from``; ``load_report`` has what did not fit."""
        return self.checkpointer.load(
            self, filename, map_location, strict=strict, revise_keys=revise_keys
        )

    @with_instances
    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str | Callable[..., Any] = "default",
    ) -> None:
        """Continue from a checkpoint: weights, counters and every state that it has.

        Raises:
            StateDictError: The checkpoint lacks weights, or has them in another shape.
            ValueError: The file has no counters, or other schedules than the run.
        """
        if self._parts.configured("train_cfg"):  # a call before the training
            parts.schedule_once(self, self._parts, self._settings)
        include = {"optimizer": resume_optimizer, "param_schedulers": resume_param_scheduler}
        self.checkpointer.check_resumable(self, filename, include)
        checkpoint = self.load_checkpoint(filename, map_location)
        way_out = "load_from with resume=False takes the weights that fit"
        self.checkpointer.check_weights(filename, self.model_name, way_out)
        states = checkpoints.run_states(self, self._parts, self._hook_list, include, saving=False)
        self.checkpointer.resume(self, checkpoint, states)

    @with_instances
    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: Mapping[str, Any] | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: Mapping[str, Any] | None = None,
        by_epoch: bool = True,
        backend_args: Mapping[str, Any] | None = None,
        *,
        progress: Progress | None = None,
    ) -> str:
        """Save a checkpoint, and return its path; all ranks must call this.

        It counts the epoch (``by_epoch``) or iteration that ends now, or else has ``progress``.
        """
        given = {name: value for name, value in locals().items() if name != "self"}
        return checkpoints.save_run(self, self._parts, self._hook_list, **given)

    def setup_env(self, env_cfg: Mapping[str, Any]) -> None:
        """Start the process group if a launcher is named, and apply ``env_cfg``."""
        environment.setup_environment(env_cfg, self._settings.launcher)

    def _log_env(self, env_cfg: Mapping[str, Any]) -> None:  # libraries override it, and the next
        environment.log_environment(self.logger, self.seed, self.cfg)

    def _init_model_weights(self) -> None:
        self.checkpointer.initialize(self.model)

    def set_randomness(
        self, seed: int | None, diff_rank_seed: bool = False, deterministic: bool = False
    ) -> None:
        """Seed every generator; ``None`` draws a seed that all ranks share."""
        self._info = self._info.seeded(
            seed, deterministic=deterministic, diff_rank_seed=diff_rank_seed
        )

    def scale_lr(self, optim_wrapper: Any, auto_scale_lr: Mapping[str, Any] | None = None) -> None:
        """Scale learning rates to the real batch size, if ``auto_scale_lr`` enables that."""
        parts.scale_learning_rate(self, optim_wrapper, auto_scale_lr)

    def dump_config(self) -> None:
        """Write the merged config, without secrets, to the work directory and the visualizer."""
        dump_config(self)
