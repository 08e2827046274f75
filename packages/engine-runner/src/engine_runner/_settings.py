"""The table of parts at the top level of a config, and the settings of one run.

A new part of a run is one field here, with its row, and one argument of `Runner`.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from engine_config import Config as EngineConfig
from engine_dist import is_distributed
from engine_registry import (
    EVALUATOR,
    HOOKS,
    LOG_PROCESSORS,
    LOOPS,
    METRICS,
    MODEL_WRAPPERS,
    MODELS,
    OPTIM_WRAPPERS,
    PARAM_SCHEDULERS,
    STRATEGIES,
    VISUALIZERS,
    DefaultScope,
)
from engine_runner import _implied as implied
from engine_runner import _rules as rules
from engine_runner import _stand_ins as stand_ins
from engine_runner._errors import SettingsError
from engine_runner._loader_rules import (
    dataloader_rule,
    evaluation_rule,
    is_our_loop,
    set_mistakes,
)
from engine_runner._safeguards import (
    max_time_rule,
    on_bad_loss_rule,
    safeguard_mistakes,
    with_safeguards,
)
from engine_runner._table import READ_BEFORE, Row, setting
from engine_runner._time_limit import MaxTime
from engine_runner._types import Config
from engine_runner.environment import prepare_process, set_random_seed
from engine_utils import closest_name, mask_secrets

Mistakes = Iterator[tuple[str, str]]

_EVALUATION: Mapping[str, Any] = {
    "registries": (LOOPS,),
    "adds": ("runner", "dataloader", "evaluator"),
    "rule": evaluation_rule,
}
_SCHEDULE_KEYS = ("convert_to_iter_based", "epoch_length")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The arguments of `Runner`; a part may be an object or a config.

    Settings that belong together are given together or not at all: those of training, of
    validation and of test. Building from settings never changes them.

    Attributes:
        model: The model.
        work_dir: Local folder of the checkpoints; logs go to ``work_dir/<timestamp>``.
        train_dataloader: Training data.
        val_dataloader: Validation data: one loader, or several sets by name.
        test_dataloader: Test data: one loader, or several sets by name.
        train_cfg: The training loop: ``by_epoch=True`` with ``max_epochs``, ``by_epoch=False``
            with ``max_iters``, or a ``type``; and ``val_begin``, ``val_interval``.
        val_cfg: The validation loop; ``{}`` for `ValLoop`.
        test_cfg: The test loop; ``{}`` for `TestLoop`.
        auto_scale_lr: ``base_batch_size``, ``enable``, ``rule``: scale rates to the batch size.
        optim_wrapper: Optimizers, with accumulation, clipping and precision.
        param_scheduler: Schedules of learning rate, momentum and other options.
        val_evaluator: Metrics of the validation, for each set, or by the names of the sets.
        test_evaluator: Metrics of the test, for each set, or by the names of the sets.
        default_hooks: Hooks by name, which replace default ones or are added; ``None`` drops one.
            The default ones are ``runtime_info``, ``timer``, ``sampler_seed``, ``logger``,
            ``param_scheduler``, ``finite_loss``, ``checkpoint``, ``save_on_interrupt`` and
            ``progress_bar``.
        custom_hooks: Further hooks.
        data_preprocessor: The preprocessor of a model config that has none.
        load_from: A checkpoint to load weights from, or to resume.
        resume: Continue ``load_from``, or else the newest checkpoint of the run if any: in
            ``work_dir`` and the ``out_dir`` of `CheckpointHook`.
        launcher: ``"none"``, ``"pytorch"``, ``"slurm"`` or ``"mpi"``.
        env_cfg: ``cudnn_benchmark``, ``mp_cfg``, ``dist_cfg``, ``resource_limit``,
            ``torch_num_threads``, ``device``.
        log_processor: Statistics and format of the log.
        log_level: The least severe level that is logged.
        visualizer: Records scalars and pictures.
        default_scope: Registry scope of names without a prefix.
        randomness: ``seed``, ``deterministic`` and ``diff_rank_seed``.
        experiment_name: Name of the experiment; the config file's by default.
        strategy: How the model is placed, compiled, wrapped, saved and loaded: a `Strategy`, its
            config or its name; chosen by the number of processes by default.
        model_wrapper_cfg: The wrapper of a model in several processes; by default
            `MMDistributedDataParallel`.
        sync_bn: Normalize batches over all ranks: ``"torch"`` or ``"mmcv"``.
        compile: Compile the model: ``True``, or ``target`` and arguments of `torch.compile`; see
            `Strategy`.
        activation_checkpointing: The modules whose activations are computed again in the backward
            pass; see `turn_on_activation_checkpointing`.
        on_bad_loss: What to do if a loss is NaN or infinite: ``"raise"`` (the default), ``"skip"``,
            ``"rollback"``, or options such as ``dict(type="rollback", jump=10)``; see
            `FiniteLossHook`.
        max_time: Stop before this time with a checkpoint: ``"HH:MM:SS"``, ``"D-HH:MM:SS"``,
            seconds, a `datetime.timedelta`, or options of `TimeLimitHook`.
        cfg: The whole config, to be dumped and logged.

    Raises:
        SettingsError: A setting is of the wrong kind, a group is incomplete, two settings
            contradict each other, or a mapping has an unknown key.

    Example:
        >>> Settings(model=None, work_dir="runs", val_cfg={})
        Traceback (most recent call last):
        ...
        engine_runner._errors.SettingsError: validation needs val_dataloader, val_cfg and ...
    """

    model: Any = setting(registries=(MODELS,), takes=("data_preprocessor",))
    work_dir: str | Path = setting(shape="value", rule=rules.work_dir_rule)
    train_dataloader: Any = setting(None, group="training", rule=dataloader_rule)
    val_dataloader: Any = setting(None, group="validation", rule=dataloader_rule)
    test_dataloader: Any = setting(None, group="test", rule=dataloader_rule)
    train_cfg: Any = setting(
        None,
        registries=(LOOPS,),
        implied=implied.train_loop,
        adds=("runner", "dataloader"),
        takes=("by_epoch",),
        group="training",
        rule=rules.train_cfg_rule,
        trial=stand_ins.for_loop,
    )
    val_cfg: Any = setting(None, implied="ValLoop", group="validation", **_EVALUATION)
    test_cfg: Any = setting(None, implied="TestLoop", group="test", **_EVALUATION)
    auto_scale_lr: Config | None = setting(
        None,
        target=rules.scale_lr,
        shape="mapping",
        example="dict(enable=True, base_batch_size=16)",
        rule=rules.auto_scale_lr_rule,
    )
    optim_wrapper: Any = setting(
        None,
        registries=(OPTIM_WRAPPERS,),
        implied=implied.optim_wrapper,
        takes=("constructor", "paramwise_cfg"),
        many=True,
        group="training",
        rule=rules.optim_wrapper_rule,
        trial=stand_ins.for_optim_wrapper,
    )
    param_scheduler: Any = setting(
        None,
        registries=(PARAM_SCHEDULERS,),
        adds=("optimizer",),
        takes=_SCHEDULE_KEYS,
        many=True,
        rule=rules.schedules_rule,
        trial=stand_ins.for_schedule,
    )
    val_evaluator: Any = setting(
        None,
        registries=(EVALUATOR, METRICS),
        implied=implied.evaluator,
        group="validation",
        many=True,
    )
    test_evaluator: Any = setting(
        None, registries=(EVALUATOR, METRICS), implied=implied.evaluator, group="test", many=True
    )
    default_hooks: Config | None = setting(
        None,
        registries=(HOOKS,),
        takes=("priority",),
        many=True,
        shape="mapping",
        example="dict(timer=dict(type='IterTimerHook'))",
        rule=rules.hooks_rule,
        trial=stand_ins.for_nothing,
    )
    custom_hooks: Sequence[Any] | Config | None = setting(
        None,
        registries=(HOOKS,),
        takes=("priority",),
        many=True,
        rule=rules.hooks_rule,
        trial=stand_ins.for_nothing,
    )
    data_preprocessor: Any = setting(None, registries=(MODELS,), trial=stand_ins.for_nothing)
    load_from: str | None = setting(None, shape="value")
    resume: bool = setting(False, shape="value", rule=rules.resume_rule)
    launcher: str = setting("none", shape="value", rule=rules.launcher_rule)
    env_cfg: Config = setting(
        factory=lambda: {"dist_cfg": {"backend": "nccl"}},
        target=prepare_process,
        adds=("launcher",),
        shape="mapping",
        rule=rules.env_cfg_rule,
        example="dict(cudnn_benchmark=False)",
    )
    log_processor: Any = setting(
        None,
        registries=(LOG_PROCESSORS,),
        implied="LogProcessor",
        trial=stand_ins.for_nothing,
    )
    log_level: int | str = setting("INFO", shape="value", rule=rules.log_level_rule)
    visualizer: Any = setting(
        None, registries=(VISUALIZERS,), implied=implied.visualizer, rule=rules.visualizer_rule
    )
    default_scope: str = setting("engine", shape="value")
    randomness: Config = setting(
        factory=lambda: {"seed": None},
        target=set_random_seed,
        shape="mapping",
        example="dict(seed=0)",
        rule=rules.randomness_rule,
    )
    experiment_name: str | None = setting(None, shape="value")
    strategy: Any = setting(
        None,
        registries=(STRATEGIES,),
        adds=("device",),
        example="'DDPStrategy'",
        by_name=True,
        trial=stand_ins.for_strategy,
    )
    model_wrapper_cfg: Any = setting(
        None,
        registries=(MODEL_WRAPPERS,),
        implied="MMDistributedDataParallel",
        adds=("module", "device_ids"),
        by_name=True,
        example="dict(type='MMDistributedDataParallel')",
    )
    sync_bn: str | None = setting(None, shape="value", rule=rules.sync_bn_rule)
    compile: bool | Config = setting(False, shape="value", rule=rules.compile_rule)
    activation_checkpointing: Any = setting(
        None, shape="value", rule=rules.activation_checkpointing_rule
    )
    on_bad_loss: str | Config | None = setting(None, shape="value", rule=on_bad_loss_rule)
    max_time: MaxTime | Config | None = setting(None, shape="value", rule=max_time_rule)
    cfg: Any = setting(None, shape="value")

    def __post_init__(self) -> None:
        scope = self.default_scope if isinstance(self.default_scope, str) else None
        with DefaultScope.overwrite_default_scope(scope):
            for _, message in setting_mistakes({name: getattr(self, name) for name in TABLE}):
                raise SettingsError(message)

    @classmethod
    def arguments_of(cls, cfg: EngineConfig | Config) -> dict[str, Any]:
        """Return the settings of a config by name; its other keys belong to the user.

        Args:
            cfg: A mapping, or an `engine_config.Config`.

        Raises:
            SettingsError: The config has no ``model`` or no ``work_dir``, or a key that is nearly
                the name of a setting.
        """
        for _, message in key_mistakes(cfg):
            raise SettingsError(message)
        given = {name: cfg[name] for name in TABLE if name in cfg and cfg[name] is not None}
        return {**given, "cfg": cfg}

    @classmethod
    def from_cfg(cls, cfg: EngineConfig | Config) -> "Settings":
        """Return the settings of a config; see `arguments_of`."""
        return cls(**cls.arguments_of(cfg))

    def config(self) -> EngineConfig:
        """Return a config of the run's own: changes to it do not reach the caller's."""
        if isinstance(self.cfg, EngineConfig):
            return deepcopy(self.cfg)
        return EngineConfig(dict(self.cfg or {}))

    @property
    def distributed(self) -> bool:
        """Whether there is a process group, or one is to be started."""
        return self.launcher != "none" or is_distributed()

    @property
    def of_strategy(self) -> dict[str, Any]:
        """The settings that `choose_strategy` takes."""
        names = ("strategy", "model_wrapper_cfg", "sync_bn", "compile", "activation_checkpointing")
        return {name: getattr(self, name) for name in names}

    @property
    def named_hooks(self) -> Config:
        """The setting ``default_hooks``, with the hooks of ``on_bad_loss`` and ``max_time``."""
        return with_safeguards(self.default_hooks, self.on_bad_loss, self.max_time)

    @property
    def hooks(self) -> list[Any]:
        """The custom hooks as a list; a single config may stand for itself."""
        if self.custom_hooks is None:
            return []
        if isinstance(self.custom_hooks, Mapping):
            return [self.custom_hooks]
        return list(self.custom_hooks)


TABLE: Mapping[str, Row] = {item.name: item.metadata["row"] for item in fields(Settings)}
"""The row of each setting by its key."""

_REQUIRED = tuple(
    item.name
    for item in fields(Settings)
    if item.default is MISSING and item.default_factory is MISSING
)
_TYPED = ("data_preprocessor", "model", "strategy", "visualizer")  # built by their type alone
_LIKENESS = 0.85  # a transposition in ``train_cfg`` has 0.89, an optimizer's own key far less


def key_mistakes(cfg: EngineConfig | Config) -> Mistakes:
    """Yield the settings that a config lacks, and its keys that are nearly those of settings.

    A config may have keys of its own. One that is nearly the name of a setting is a mistake, also
    where the config has that setting, as bases and children write to one config.
    """
    known = [*TABLE, *READ_BEFORE]
    for key in cfg:
        # ``val_dataloader2`` is a second one, not a misspelling.
        own = key in known or not isinstance(key, str) or key.rstrip("_0123456789") in known
        meant = None if own else closest_name(key, known, likeness=_LIKENESS)
        if meant:
            yield (
                str(key),
                f"the config sets {key!r}, which nothing reads; did you mean {meant!r}? If it is a "
                "value of your own, give it another name",
            )
    for name in _REQUIRED:
        if cfg.get(name) is None:
            yield name, f"the config sets no {name!r}, which every run needs"


def setting_mistakes(values: EngineConfig | Config) -> Mistakes:
    """Yield the key path and the message of every mistake in settings; see their defaults."""
    yield from _group_mistakes(values)
    yield from set_mistakes(values)
    for name, row in TABLE.items():
        value = mask_secrets(values.get(name))  # messages show values
        if value is None:
            continue
        wrong = list(_shape_mistakes(name, row, value))
        yield from wrong
        if not wrong and not _is_of_the_loop(name, values):
            yield from row.mistakes(name, value)


def _is_of_the_loop(name: str, values: EngineConfig | Config) -> bool:
    """Return whether a loop of the user's own reads data in another form than one loader's config.

    It may take several loaders by name.
    """
    mode, _, kind = name.partition("_")
    loop, loader = values.get(f"{mode}_cfg"), values.get(name)
    if kind != "dataloader" or not isinstance(loader, Mapping) or "dataset" in loader:
        return False
    return not is_our_loop(loop)


def _shape_mistakes(name: str, row: Row, value: Any) -> Mistakes:
    if row.shape == "mapping" and not isinstance(value, Mapping):
        yield name, f"{name} must be a mapping such as {row.example}, got {value!r}"
    named = row.by_name and isinstance(value, str)
    if row.shape == "part" and isinstance(value, str | int | float) and not named:
        yield name, f"{name} must be an object or a config such as {row.example}, got {value!r}"
    typed = isinstance(value, Mapping) and ("type" in value or row.implied_type(value) is not None)
    if name in _TYPED and isinstance(value, Mapping) and not typed:
        yield name, f"{name} must have a type, as in {row.example}, got the keys {sorted(value)}"


def _group_mistakes(values: EngineConfig | Config) -> Mistakes:
    for purpose in ("training", "validation", "test"):
        names = [name for name, row in TABLE.items() if row.group == purpose]
        missing = [name for name in names if values.get(name) is None]
        if missing and len(missing) < len(names):
            *first, last = names
            given = next(name for name in names if name not in missing)
            yield (
                given,
                f"{purpose} needs {', '.join(first)} and {last} together, or none of them; "
                f"missing: {', '.join(missing)}",
            )
    if values.get("param_scheduler") is not None and values.get("optim_wrapper") is None:
        yield "param_scheduler", "param_scheduler needs optim_wrapper, which it schedules"
    yield from rules.strategy_mistakes(values)
    yield from safeguard_mistakes(values)
