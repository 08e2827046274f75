"""Rules about the values of settings that no signature shows.

Each rule yields the key path and the message of every mistake. `Settings` and the builders raise
the first one, the check reports all of them with file and line.
"""

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from logging import getLevelNamesMapping
from multiprocessing import get_all_start_methods
from os import PathLike
from typing import Any

import torch
from torch.optim import Optimizer

from engine_config import Config as EngineConfig
from engine_fileio import uri_of
from engine_model import module_selectors
from engine_optim import DefaultOptimWrapperConstructor
from engine_registry import FUNCTIONS
from engine_runner._integer import integer
from engine_runner._priority import get_priority
from engine_runner._types import LAUNCHERS, Config
from engine_utils import MissingExtraError, call_mistakes, did_you_mean
from engine_visualization.backends import check_installed

SYNC_BN = ("torch", "mmcv")
SCALING_RULES = ("linear", "sqrt")
_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
_INDUCTOR = (None, "inductor")  # other backends have modes of their own

Mistakes = Iterator[tuple[str, str]]


def train_cfg_rule(key: str, value: Any) -> Mistakes:
    """Yield what keeps the training loop from being chosen."""
    if not isinstance(value, Mapping):
        return
    if "type" in value and "by_epoch" in value:
        yield (
            f"{key}.by_epoch",
            f"{key} sets type={value['type']!r} and by_epoch={value['by_epoch']!r}; "
            "by_epoch only chooses a type, so remove one of them",
        )
    elif "type" not in value and "by_epoch" not in value:
        yield key, f"{key} needs by_epoch=True or False, or the type of a loop"


def scale_lr(
    *, enable: bool = False, base_batch_size: int | None = None, rule: str = "linear"
) -> None:
    """State the keys of the setting ``auto_scale_lr``; `scale_learning_rate` acts on them."""


def auto_scale_lr_rule(key: str, value: Any) -> Mistakes:
    """Yield an unknown rule, and a scaling that is enabled without a batch size to scale from."""
    if not isinstance(value, Mapping):
        return
    if value.get("rule", SCALING_RULES[0]) not in SCALING_RULES:
        yield (
            f"{key}.rule",
            f"{key}.rule must be one of {', '.join(SCALING_RULES)}, got {value['rule']!r}",
        )
    if not value.get("enable"):
        return
    base = value.get("base_batch_size")
    if base is None:
        yield (
            key,
            f"{key} needs base_batch_size: samples per batch times ranks, for which lr is chosen",
        )
    else:
        yield from integer_mistakes(key, value, base_batch_size=1)


def env_cfg_rule(key: str, value: Any) -> Mistakes:
    """Yield limits that are not positive, and a start method that this system does not have."""
    if not isinstance(value, Mapping):
        return
    yield from integer_mistakes(key, value, torch_num_threads=1, resource_limit=1)
    workers = value.get("mp_cfg")
    method = workers.get("mp_start_method", "fork") if isinstance(workers, Mapping) else "fork"
    choices = get_all_start_methods()
    if method not in choices and sys.platform != "win32":  # there the setting is ignored
        yield (
            f"{key}.mp_cfg.mp_start_method",
            f"mp_start_method must be one of {', '.join(choices)}, got {method!r}",
        )


def optim_wrapper_rule(key: str, value: Any) -> Mistakes:
    """Yield an optimizer's config that nothing can be built from."""
    if not isinstance(value, Mapping) or "constructor" in value:
        return
    optimizer = value.get("optimizer")
    if optimizer is not None and not isinstance(optimizer, Mapping | Optimizer):
        yield (
            f"{key}.optimizer",
            f"{key}.optimizer must be an Optimizer or a config, got {optimizer!r}",
        )
    parts = [part for name, part in value.items() if name != "type"]
    if optimizer is None and (not parts or any(isinstance(part, Mapping) for part in parts)):
        yield (
            key,
            f"{key} needs an 'optimizer'; configs of several optimizers need a 'constructor' that "
            f"distributes the parameters among them; got the keys {sorted(value)}",
        )
    if isinstance(optimizer, Mapping | Optimizer):
        try:
            DefaultOptimWrapperConstructor({"optimizer": optimizer}, value.get("paramwise_cfg"))
        except (TypeError, ValueError) as error:
            yield f"{key}.paramwise_cfg", str(error)


def schedules_rule(key: str, value: Any) -> Mistakes:
    """Yield entries that are not schedules, and a conversion from epochs of what counts none."""
    separate = isinstance(value, Mapping) and "type" not in value
    for path, part in [(f"{key}.{n}", v) for n, v in value.items()] if separate else [(key, value)]:
        numbered = isinstance(part, Sequence) and not isinstance(part, str)
        entries = {f"{path}.{n}": v for n, v in enumerate(part)} if numbered else {path: part}
        yield from object_mistakes(entries)
        for name, entry in entries.items():
            if (
                isinstance(entry, Mapping)
                and entry.get("convert_to_iter_based")
                and not entry.get("by_epoch", True)
            ):
                yield (
                    f"{name}.by_epoch",
                    f"{name} sets by_epoch=False and convert_to_iter_based=True, which converts "
                    "epochs; remove one of the two",
                )


def visualizer_rule(key: str, value: Any) -> Mistakes:
    """Yield backends that are neither objects nor configs in a list, or lack their library."""
    backends = value.get("vis_backends") if isinstance(value, Mapping) else None
    if isinstance(backends, str | Mapping):
        yield (
            f"{key}.vis_backends",
            f"{key}.vis_backends must be a list of backends or configs, got {backends!r}",
        )
    elif isinstance(backends, Sequence):
        yield from object_mistakes(
            {f"{key}.vis_backends.{n}": one for n, one in enumerate(backends)}
        )
        for number, backend in enumerate(backends):
            kind = backend.get("type") if isinstance(backend, Mapping) else None
            try:
                check_installed(kind)
            except MissingExtraError as error:
                yield f"{key}.vis_backends.{number}.type", str(error)


def work_dir_rule(key: str, value: Any) -> Mistakes:
    """Yield what is not a path, and an address: logs are appended to, and folders locked."""
    if not isinstance(value, str | PathLike):
        yield key, f"{key} must be a path, got {value!r}"
        return
    address = uri_of(value)
    scheme, found, place = address.partition("://")
    if not found or scheme == "file":
        return
    root, _, name = place.rstrip("/").rpartition("/")
    parent = f"{scheme}://{root}" if root else address.rstrip("/")
    yield (
        key,
        f"{key} must be a folder of this machine, got {address!r}; set {key}="
        f"{'work_dirs/' + (name or 'run')!r}, default_hooks.checkpoint.out_dir={parent!r} for the "
        f"checkpoints, from which resume=True continues on any machine, and "
        f"default_hooks.logger.out_dir={parent!r} for a copy of the logs",
    )


def resume_rule(key: str, value: Any) -> Mistakes:
    """Yield what is neither True nor False, such as the path of a checkpoint."""
    if value not in (None, True, False):
        yield (
            key,
            f"{key} must be True or False, got {value!r}; to continue a certain checkpoint, set "
            f"{key}=True and load_from to its path",
        )


def sync_bn_rule(key: str, value: Any) -> Mistakes:
    """Yield an implementation that does not exist."""
    if value not in SYNC_BN:
        yield key, f"{key} must be one of {', '.join(SYNC_BN)} or None, got {value!r}"


def hooks_rule(key: str, value: Any) -> Mistakes:
    """Yield entries that are neither a hook nor the config of one."""
    entries = value.items() if key == "default_hooks" else enumerate(_listed(value))
    for name, hook in entries:
        if isinstance(hook, Mapping) and hook.get("priority") is not None:
            try:
                get_priority(hook["priority"])
            except (TypeError, ValueError) as error:
                yield f"{key}.{name}.priority", str(error)
        plain = isinstance(hook, str | int | float | Sequence)
        if plain or (isinstance(hook, Mapping) and "type" not in hook):
            yield (
                f"{key}.{name}",
                f"{key}.{name} must be a Hook or a config such as dict(type='EMAHook'), "
                f"got {hook!r}",
            )


def launcher_rule(key: str, value: Any) -> Mistakes:
    """Yield a launcher that does not exist."""
    if value not in LAUNCHERS:
        yield key, f"{key} must be one of {', '.join(LAUNCHERS)}, got {value!r}"


def log_level_rule(key: str, value: Any) -> Mistakes:
    """Yield a level that does not exist."""
    names = getLevelNamesMapping()
    if not isinstance(value, int) and value not in names:
        yield key, f"{key} must be one of {', '.join(names)} or a number, got {value!r}"


def randomness_rule(key: str, value: Any) -> Mistakes:
    """Yield a seed that is not an integer, or not one that PyTorch takes."""
    seed = value.get("seed") if isinstance(value, Mapping) else None
    if seed is None:
        return
    if isinstance(seed, bool) or not isinstance(seed, int):
        yield f"{key}.seed", f"{key}.seed must be an integer or None, got {seed!r}"
    elif not -(2**63) <= seed < 2**64:
        yield f"{key}.seed", f"{key}.seed must be >= -2**63 and < 2**64, got {seed!r}"


def compile_rule(key: str, value: Any) -> Mistakes:
    """Yield a value that is neither a switch nor options."""
    if not isinstance(value, bool | Mapping):
        yield (
            key,
            f"{key} must be True, False or options such as dict(mode='default'), got {value!r}",
        )
        return
    options = dict(value) if isinstance(value, Mapping) else {}
    target = options.pop("target", "model")
    named = isinstance(target, list | tuple) and target and all(map(_is_name, target))
    if not (_is_name(target) or named):
        yield (
            f"{key}.target",
            f"{key}.target must be 'model', 'step' or a list of names of modules such as "
            f"['backbone'], got {target!r}",
        )
    for mistake in call_mistakes(partial(torch.compile, None), options):
        yield f"{key}.{mistake.key}", mistake.message
    yield from _compile_mode(key, options)
    backend = options.get("backend")
    # The list is asked for only if it is needed, as it loads the compiler, which takes seconds.
    if isinstance(backend, str) and backend != "inductor":
        known = torch.compiler.list_backends(exclude_tags=())
        if backend not in known:
            usual = torch.compiler.list_backends()
            yield (
                f"{key}.backend",
                f"{key}.backend must be one of {', '.join(usual)}, got {backend!r}"
                f"{did_you_mean(backend, known)}",
            )


def _compile_mode(key: str, options: Mapping[str, Any]) -> Mistakes:
    mode = options.get("mode")
    if mode is not None and options.get("options") is not None:
        yield (
            f"{key}.mode",
            f"{key}.mode must be left out beside {key}.options, got {mode!r}; give one of them",
        )
    if not isinstance(mode, str) or mode in _MODES or options.get("backend") not in _INDUCTOR:
        return
    # Asked for only if it is needed: a later torch may have further modes.
    known = list(importlib.import_module("torch._inductor").list_mode_options())
    if mode not in known:
        yield (
            f"{key}.mode",
            f"{key}.mode must be one of {', '.join(known)}, got {mode!r}"
            f"{did_you_mean(mode, known)}",
        )


def activation_checkpointing_rule(key: str, value: Any) -> Mistakes:
    """Yield what names no module, class or function that chooses modules."""
    if isinstance(value, Mapping):
        kind = value.get("type")
        function = FUNCTIONS.in_default_scope().get(kind) if isinstance(kind, str) else kind
        if not callable(function):
            yield (
                f"{key}.type" if "type" in value else key,
                f"{key} must have a type, the name of a function in FUNCTIONS that takes a module "
                f"and its name, got {kind!r}; register it with FUNCTIONS.register_module()",
            )
            return
        others = {name: part for name, part in value.items() if name != "type"}
        for mistake in call_mistakes(partial(function, None, ""), others):
            yield f"{key}.{mistake.key}", mistake.message
    elif isinstance(value, type) or not callable(value):
        try:
            module_selectors(value, key)
        except ValueError as error:
            yield key, str(error)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def object_mistakes(entries: Mapping[str, Any]) -> Mistakes:
    """Yield the key paths whose values can be neither an object of the run nor its config."""
    for path, value in entries.items():
        if isinstance(value, str | int | float):
            yield path, f"{path} must be an object or a config with a type, got {value!r}"
        elif isinstance(value, Mapping) and "type" not in value:
            yield path, f"{path} must be a config with a type, got the keys {sorted(value)}"


def integer_mistakes(key: str, value: Mapping[str, Any], **least: int) -> Mistakes:
    """Yield the entries that are set, and are not integers from their least value on."""
    for name, bound in least.items():
        if value.get(name) is not None:
            try:
                integer(f"{key}.{name}", value[name], at_least=bound)
            except ValueError as error:
                yield f"{key}.{name}", str(error)


def _listed(value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping):
        return [value]
    return value if isinstance(value, Sequence) else ()  # reading an iterator would empty it


def strategy_mistakes(values: EngineConfig | Config) -> Mistakes:
    """Yield the settings that do not act beside a strategy.

    Args:
        values: The settings by name.
    """
    strategy = values.get("strategy")
    if strategy is None:
        return
    arguments = {"model_wrapper_cfg": "model_wrapper", "sync_bn": "sync_bn"}
    of_config = isinstance(strategy, Mapping | str)  # the builder passes compile to it
    if not of_config or (isinstance(strategy, Mapping) and strategy.get("compile")):
        arguments["compile"] = "compile"
    checkpointing = values.get("activation_checkpointing")
    given = isinstance(strategy, Mapping) and strategy.get("activation_checkpointing") is not None
    if checkpointing is not None and (given or not isinstance(strategy, Mapping | str)):
        yield (
            "activation_checkpointing",
            "activation_checkpointing must be an argument of the strategy that is given, got "
            f"{checkpointing!r} in the settings; remove it there",
        )
    for name, argument in arguments.items():
        if values.get(name) not in (None, False):
            yield (
                name,
                f"{name} and strategy are both set; give the strategy its own {argument} instead",
            )
