"""The arguments of a run, checked as a whole and then finished."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from logging import getLevelNamesMapping
from pathlib import Path
from typing import Any

from engine_runner._errors import SettingsError
from engine_runner._spelling import closest
from engine_runner._types import Config

_GROUPS: dict[str, tuple[str, ...]] = {
    "training": ("train_dataloader", "train_cfg", "optim_wrapper"),
    "validation": ("val_dataloader", "val_cfg", "val_evaluator"),
    "test": ("test_dataloader", "test_cfg", "test_evaluator"),
}


_PARTS = (
    *("model", "train_dataloader", "val_dataloader", "test_dataloader"),
    *("train_cfg", "val_cfg", "test_cfg", "optim_wrapper", "param_scheduler"),
    *("val_evaluator", "test_evaluator", "custom_hooks", "log_processor", "visualizer"),
)
_MAPPINGS = {
    "auto_scale_lr": "dict(enable=True, base_batch_size=16)",
    "default_hooks": "dict(timer=dict(type='IterTimerHook'))",
    "env_cfg": "dict(cudnn_benchmark=False)",
    "randomness": "dict(seed=0)",
}
LAUNCHERS = ("none", "pytorch", "slurm", "mpi")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The arguments of `Runner`, which documents them; parts may be objects or configs.

    Settings that belong together are all given or all left out: those of training, of validation
    and of test. Building from settings never changes them.

    Raises:
        SettingsError: A setting is of the wrong kind, a group is incomplete, ``param_scheduler``
            comes without ``optim_wrapper``, or ``randomness`` holds what nothing reads.

    Example:
        >>> Settings(model=None, work_dir="runs", val_cfg={})
        Traceback (most recent call last):
        ...
        engine_runner._errors.SettingsError: validation needs val_dataloader, val_cfg and ...
    """

    model: Any
    work_dir: str | Path
    train_dataloader: Any = None
    val_dataloader: Any = None
    test_dataloader: Any = None
    train_cfg: Any = None
    val_cfg: Any = None
    test_cfg: Any = None
    auto_scale_lr: Config | None = None
    optim_wrapper: Any = None
    param_scheduler: Any = None
    val_evaluator: Any = None
    test_evaluator: Any = None
    default_hooks: Mapping[str, Any] | None = None
    custom_hooks: Sequence[Any] | Mapping[str, Any] | None = None
    data_preprocessor: Any = None
    load_from: str | None = None
    resume: bool = False
    launcher: str = "none"
    env_cfg: Config = field(default_factory=lambda: {"dist_cfg": {"backend": "nccl"}})
    log_processor: Any = None
    log_level: int | str = "INFO"
    visualizer: Any = None
    default_scope: str = "engine"
    randomness: Config = field(default_factory=lambda: {"seed": None})
    experiment_name: str | None = None
    cfg: Any = None

    def __post_init__(self) -> None:
        self._check_kinds()
        for purpose, names in _GROUPS.items():
            self._check_group(purpose, names)
        if self.param_scheduler is not None and self.optim_wrapper is None:
            raise SettingsError(
                "param_scheduler needs optim_wrapper, whose parameters it schedules"
            )
        seed = self.randomness.get("seed")
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
            raise SettingsError(f"randomness.seed is a whole number or None, got {seed!r}")
        unknown = sorted(set(self.randomness) - {"seed", "deterministic", "diff_rank_seed"})
        if unknown:
            raise SettingsError(
                f"randomness does not know {unknown}; its keys are seed, deterministic and "
                "diff_rank_seed"
            )

    @classmethod
    def from_cfg(cls, cfg: Any) -> "Settings":
        """Take the settings out of a config; other keys are the config's own business.

        Args:
            cfg: A mapping, or an `engine_config.Config`.

        Raises:
            SettingsError: The config has no ``model`` or no ``work_dir``, or a key that is nearly
                the name of a setting which it lacks.
        """
        names = [item.name for item in fields(cls)]
        _check_spelling(cfg, names)
        for name in ("model", "work_dir"):
            if cfg.get(name) is None:
                raise SettingsError(f"the config sets no {name!r}, without which nothing can run")
        given = {name: cfg[name] for name in names if name in cfg and cfg[name] is not None}
        return cls(**{**given, "cfg": cfg})

    @property
    def hooks(self) -> list[Any]:
        """The custom hooks as a list; a single config may stand for itself."""
        if self.custom_hooks is None:
            return []
        if isinstance(self.custom_hooks, Mapping):
            return [self.custom_hooks]
        return list(self.custom_hooks)

    def _check_kinds(self) -> None:
        for name in _PARTS:
            value = getattr(self, name)
            if isinstance(value, str | int | float):
                raise SettingsError(
                    f"{name} is a part of the run, or a config of one such as dict(type='...'), "
                    f"got {value!r}"
                )
        for name in _MAPPINGS:
            value = getattr(self, name)
            if value is not None and not isinstance(value, Mapping):
                raise SettingsError(f"{name} is a mapping such as {_MAPPINGS[name]}, got {value!r}")
        if self.launcher not in LAUNCHERS:
            raise SettingsError(f"launcher is one of {', '.join(LAUNCHERS)}, got {self.launcher!r}")
        if isinstance(self.log_level, str) and self.log_level not in getLevelNamesMapping():
            names = ", ".join(getLevelNamesMapping())
            raise SettingsError(f"log_level is one of {names} or a number, got {self.log_level!r}")

    def _check_group(self, purpose: str, names: tuple[str, ...]) -> None:
        given = [name for name in names if getattr(self, name) is not None]
        if given and len(given) != len(names):
            missing = [name for name in names if name not in given]
            raise SettingsError(
                f"{purpose} needs {names[0]}, {names[1]} and {names[2]} together, or none of them; "
                f"missing: {', '.join(missing)}"
            )


def _check_spelling(cfg: Mapping[str, Any], names: list[str]) -> None:
    """Refuse a config whose misspelt key would be passed over in silence.

    A config may hold keys of its own. Only one that is nearly the name of a setting, and a setting
    that the config lacks, can hardly be meant so.
    """
    lacking = [name for name in names if name not in cfg]
    for key in cfg:
        meant = None if key in names else closest(str(key), lacking, likeness=0.9)
        if meant:
            raise SettingsError(
                f"the config sets {key!r}, which nothing reads; did you mean {meant!r}? If it "
                "is meant to be another thing, give it another name"
            )
