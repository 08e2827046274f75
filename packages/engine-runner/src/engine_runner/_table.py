"""The rows of the table of parts: how one key of a config is read, built and checked.

`Settings` holds the rows of a config's top level, one per field; `NESTED` holds those of the keys
below. Settings, builders and the check all read these rows, so that a part is written down once.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field
from functools import partial
from typing import Any, Literal

from engine_dataset import worker_init_fn
from engine_registry import (
    DATA_SAMPLERS,
    DATASETS,
    FUNCTIONS,
    INFERENCERS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIMIZERS,
    RUNNER_CONSTRUCTORS,
    RUNNERS,
    TRANSFORMS,
    VISBACKENDS,
    WEIGHT_INITIALIZERS,
    Registry,
)
from engine_runner import _stand_ins as stand_ins
from engine_runner._types import Config
from engine_utils import call_mistakes
from engine_utils.dl_utils import set_multi_processing

Rule = Callable[[str, Any], Iterator[tuple[str, str]]]
"""Yields the key path and the message of each mistake in a value that a signature cannot show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How one key of a config is read, built and checked.

    Attributes:
        registries: Where the ``type`` of the config is looked up.
        implied: The ``type`` of a config that has none, or a function that chooses it.
        target: The callable that takes the keys of a config that is never built by a registry.
        adds: Arguments that the builder passes beside those of the config.
        takes: Keys of the config that the builder reads itself.
        first: Whether the built callable is called with one more positional argument.
        many: Whether the value may be a list or a mapping of configs.
        group: The purpose whose settings are given together: training, validation or test.
        shape: A ``part`` is an object or its config, a ``mapping`` is a dict, a ``value`` is plain.
        example: A right value, for messages.
        by_name: Whether a name may stand for a config.
        rule: Yields the mistakes that a signature cannot show.
        trial: Returns stand-ins for ``adds``, with which the check constructs a class of this
            project on trial; see `trial_mistake`.

    Example:
        >>> Row(registries=(DATA_SAMPLERS,), adds=("dataset", "seed")).shape
        'part'
    """

    registries: tuple[Registry, ...] = ()
    implied: str | Callable[[Config], str | None] | None = None
    target: Callable[..., Any] | None = None
    adds: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    first: bool = False
    many: bool = False
    group: str = ""
    shape: Literal["part", "mapping", "value"] = "part"
    example: str = "dict(type='...')"
    by_name: bool = False
    rule: Rule | None = None
    trial: stand_ins.StandIns | None = None

    def implied_type(self, config: Config) -> str | None:
        """Return the ``type`` of a config that names none, or None if it must name one."""
        return self.implied(config) if callable(self.implied) else self.implied

    def with_type(self, config: Config) -> dict[str, Any]:
        """Return a copy of a config, with the implied ``type`` where it names none."""
        implied = None if "type" in config else self.implied_type(config)
        return dict(config) if implied is None else {"type": implied, **config}

    def mistakes(self, key: str, value: Any) -> Iterator[tuple[str, str]]:
        """Yield the key path and the message of each mistake in a value of this row.

        Args:
            key: The key path of the value, which starts the messages.
            value: The value; only a config can have mistakes.
        """
        if self.target is not None and isinstance(value, Mapping) and "type" not in value:
            target = partial(self.target, **dict.fromkeys(self.adds))
            for mistake in call_mistakes(target, value):
                path = key if mistake.kind == "missing argument" else f"{key}.{mistake.key}"
                yield path, mistake.message.replace(self.target.__qualname__, key, 1)
        if self.rule is not None:
            yield from self.rule(key, value)


def setting(default: Any = MISSING, *, factory: Any = MISSING, **row: Any) -> Any:
    """Return a dataclass field of `Settings` that carries its row of the table.

    Args:
        default: The value of a setting that is not given; a setting without one is required.
        factory: Returns the default, where that is mutable.
        **row: The attributes of the `Row`.
    """
    metadata = {"row": Row(**row)}
    if factory is not MISSING:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


# The keys below the top level, at any depth.
NESTED: Mapping[str, Row] = {
    "batch_sampler": Row(registries=(DATA_SAMPLERS,), adds=("sampler", "batch_size")),
    "collate_fn": Row(registries=(FUNCTIONS,), first=True),
    "constructor": Row(registries=(OPTIM_WRAPPER_CONSTRUCTORS, RUNNER_CONSTRUCTORS), by_name=True),
    "data_preprocessor": Row(registries=(MODELS,), trial=stand_ins.for_nothing),
    "dataset": Row(registries=(DATASETS,)),
    "inferencer": Row(
        registries=(INFERENCERS,),
        implied="Inferencer",
        adds=("model", "weights", "device"),
        by_name=True,
    ),
    "init_cfg": Row(registries=(WEIGHT_INITIALIZERS,)),
    "mp_cfg": Row(target=set_multi_processing, adds=("distributed",), shape="mapping"),
    # First, as the class of a user may have another name for ``params``.
    "optimizer": Row(registries=(OPTIMIZERS,), first=True, trial=stand_ins.for_optimizer),
    "pipeline": Row(registries=(TRANSFORMS,)),
    "runner_type": Row(registries=(RUNNERS,), by_name=True),
    "sampler": Row(registries=(DATA_SAMPLERS,), adds=("dataset", "seed")),
    "transforms": Row(registries=(TRANSFORMS,)),
    "tta_cfg": Row(registries=(MODELS,), adds=("module",)),
    "tta_model": Row(registries=(MODELS,), adds=("module",)),
    "vis_backends": Row(registries=(VISBACKENDS,), adds=("save_dir",), takes=("name",), many=True),
    "worker_init_fn": Row(
        registries=(FUNCTIONS,),
        target=worker_init_fn,
        adds=("num_workers", "rank", "seed", "worker_id"),
        first=True,
    ),
}

# The key paths below the table of settings at which a name stands for a config.
BY_NAME = {
    "inferencer": NESTED["inferencer"],
    "optim_wrapper.constructor": NESTED["constructor"],
    "runner_type": NESTED["runner_type"],
}

# Here ``type`` says something else: the kind of clipping, of launcher, the writer of checkpoints.
OTHER_MEANING = frozenset({"clip_grad", "dist_cfg", "env_cfg", "writer"})

# Top-level keys that are read before the settings are made, or by ``engine predict``.
READ_BEFORE = ("custom_imports", "inferencer", "runner_type")
