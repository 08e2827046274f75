"""What the runner's builders add to a config, and what they take out, told to ``Config.check``."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine_registry import make_resolver
from engine_runner._places import OTHER_MEANING, PLACES

Resolve = Callable[[object, str], Callable[..., Any] | None]


@dataclass(frozen=True, kw_only=True)
class Supplied:
    """How a part of a run is built from its config.

    Attributes:
        adds: Arguments that the builder passes beside those of the config.
        takes: Keys of the config that are for the builder, not for what it builds.
        first: Whether what is built is called later with one more positional argument.
    """

    adds: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    first: bool = False


_PARTS: dict[str, Supplied] = {
    "sampler": Supplied(adds=("dataset", "seed")),
    "batch_sampler": Supplied(adds=("sampler", "batch_size")),
    "collate_fn": Supplied(first=True),
    "worker_init_fn": Supplied(adds=("num_workers", "rank", "seed"), first=True),
    "optimizer": Supplied(adds=("params",)),
    "optim_wrapper": Supplied(takes=("constructor", "paramwise_cfg")),
    "param_scheduler": Supplied(
        adds=("optimizer",), takes=("convert_to_iter_based", "epoch_length")
    ),
    "train_cfg": Supplied(adds=("runner", "dataloader")),
    "val_cfg": Supplied(adds=("runner", "dataloader", "evaluator")),
    "test_cfg": Supplied(adds=("runner", "dataloader", "evaluator")),
    "model": Supplied(takes=("data_preprocessor",)),
    "model_wrapper_cfg": Supplied(adds=("module", "device_ids")),
    "strategy": Supplied(adds=("device",)),
    "default_hooks": Supplied(takes=("priority",)),
    "custom_hooks": Supplied(takes=("priority",)),
}
_RUNNER = Supplied(
    takes=("custom_imports", "model_wrapper_cfg", "runner_type", "strategy", "sync_bn")
)
_HOLDERS = ("param_scheduler", "default_hooks", "custom_hooks")


def runner_resolver() -> Resolve:
    """Return a resolver for ``Config.check`` that knows what the runner's builders add."""
    resolve = make_resolver(PLACES, other_meaning=OTHER_MEANING)

    def resolve_part(type_value: object, key_path: str) -> Callable[..., Any] | None:
        found = resolve(type_value, key_path)
        supplied = _part(key_path)
        return found if found is None or supplied is None else _adapted(found, supplied)

    return resolve_part


def runner_root(runner: Callable[..., Any]) -> Callable[..., Any]:
    """Return what a whole config is passed to, with the keys that are read before that."""
    return _adapted(runner, _RUNNER)


def _part(key_path: str) -> Supplied | None:
    """Return the part at a key path: by its last key, or by the collection that holds it."""
    keys = [key for key in re.split(r"[.\[\]]+", key_path) if key]
    if keys[-1] in _PARTS and (len(keys) == 1 or keys[-1] != "model"):
        return _PARTS[keys[-1]]
    if len(keys) > 1 and keys[-2] in _HOLDERS:
        return _PARTS[keys[-2]]
    return None


def _adapted(found: Callable[..., Any], supplied: Supplied) -> Callable[..., Any]:
    """Return ``found`` with the arguments bound that the builder adds, or takes for itself."""
    try:
        parameters = inspect.signature(found).parameters
    except (ValueError, TypeError):
        return found
    adds = {name: None for name in supplied.adds if name in parameters}
    if supplied.first:
        adds |= dict.fromkeys(list(parameters)[:1])
    bound = partial(found, **adds)
    signature = inspect.signature(bound)
    kept = list(signature.parameters.values())
    variable = [item for item in kept if item.kind is inspect.Parameter.VAR_KEYWORD]
    named = [item for item in kept if item.kind is not inspect.Parameter.VAR_KEYWORD]
    taken = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None)
        for name in supplied.takes
        if name not in signature.parameters
    ]
    bound.__signature__ = signature.replace(  # type: ignore[attr-defined]  # read by inspect
        parameters=[*named, *taken, *variable]
    )
    return bound
