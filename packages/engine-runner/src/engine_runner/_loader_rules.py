"""Rules about data loaders: one, or several by name, and the evaluators of those."""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch.utils.data import DataLoader, IterableDataset

from engine_config import Config as EngineConfig
from engine_evaluator import BaseMetric, Evaluator
from engine_registry import DATASETS
from engine_runner._loaders import LIMIT, is_batches, is_sets
from engine_runner._rules import Mistakes, integer_mistakes, object_mistakes
from engine_runner._types import Config
from engine_utils import call_mistakes, did_you_mean

_OUR_LOOPS = ("EpochBasedTrainLoop", "IterBasedTrainLoop", "ValLoop", "TestLoop")
_LOADER_PARTS = ("dataset", "sampler", "batch_sampler", "collate_fn")
NO_SAMPLER = (
    "a dataloader config needs a 'sampler', such as "
    "sampler=dict(type='DefaultSampler', shuffle=False)"
)
"""The mistake of a config whose dataset has indices."""

# The arguments of a data loader that are plain values, which PyTorch checks.
_LOADER_NUMBERS = (
    "batch_size",
    "drop_last",
    "multiprocessing_context",
    "num_workers",
    "persistent_workers",
    "pin_memory",
    "prefetch_factor",
    "timeout",
)


def is_our_loop(loop: Any) -> bool:
    """Return whether the setting of a loop chooses one of this package, not of the user's own."""
    chosen = loop.get("type", _OUR_LOOPS[0]) if isinstance(loop, Mapping) else loop
    return getattr(chosen, "__name__", chosen) in _OUR_LOOPS


def loader_arguments(**arguments: Any) -> None:
    """State the keys of a data loader's config, which are those of torch's loader and a limit."""


_LIMIT = inspect.Parameter(LIMIT, inspect.Parameter.KEYWORD_ONLY, default=None)
_TORCH = inspect.signature(DataLoader)
loader_arguments.__signature__ = _TORCH.replace(  # type: ignore[attr-defined]  # read by inspect
    parameters=[*_TORCH.parameters.values(), _LIMIT]
)


def dataloader_rule(key: str, value: Any) -> Mistakes:
    """Yield the mistakes of a data loader's config, or of several by name; a built one has none."""
    if is_sets(value):
        yield from _sets_rule(key, value)
    elif isinstance(value, Mapping):
        yield from _config_rule(key, value)


def _sets_rule(key: str, sets: Mapping[str, Any]) -> Mistakes:
    if key.startswith("train"):
        yield (
            key,
            f"{key} must be one data loader, got several: {', '.join(map(str, sets))}; train on "
            "all of them with dataset=dict(type='ConcatDataset', datasets=[...])",
        )
        return
    for name, loader in sets.items():
        if not isinstance(name, str) or not name or "/" in name:
            yield key, f"{key} must have names without '/' as keys, got {name!r}"
        elif isinstance(loader, Mapping):
            yield from _config_rule(f"{key}.{name}", loader)
        elif not is_batches(loader):
            yield (
                f"{key}.{name}",
                f"{key}.{name} must be a data loader or its config, got {loader!r}",
            )


def _config_rule(key: str, value: Mapping[str, Any]) -> Mistakes:
    for mistake in call_mistakes(loader_arguments, value):
        path = key if mistake.kind == "missing argument" else f"{key}.{mistake.key}"
        yield path, mistake.message.replace(loader_arguments.__qualname__, key, 1)
    yield from integer_mistakes(key, value, **{LIMIT: 1})
    if value.get("shuffle"):
        yield (
            f"{key}.shuffle",
            "a dataloader config takes no 'shuffle', because a sampler sets the order; write "
            "sampler=dict(type='DefaultSampler', shuffle=True)",
        )
    elif not _has_order(value):
        yield key, NO_SAMPLER
    yield from object_mistakes({f"{key}.{name}": value.get(name) for name in _LOADER_PARTS})
    numbers = {name: value[name] for name in _LOADER_NUMBERS if name in value}
    if value.get("batch_sampler") is not None:
        numbers["batch_sampler"] = [[0]]
        numbers.pop("batch_size", None)  # the builder passes it to the batch sampler
    try:
        DataLoader([0], **numbers)  # type: ignore[arg-type]  # a list is a dataset, too
    except (TypeError, ValueError) as error:
        word = next((word for word in re.findall(r"\w+", str(error)) if word in numbers), "")
        yield f"{key}.{word}".rstrip("."), f"{key}: {error}"


def _has_order(config: Mapping[str, Any]) -> bool:
    given = any(config.get(name) is not None for name in ("sampler", "batch_sampler"))
    return given or _may_be_stream(config.get("dataset"))


def _may_be_stream(dataset: Any) -> bool:
    """Return whether a dataset, or the one of a config, may be a stream, which has no sampler."""
    if not isinstance(dataset, Mapping):
        return isinstance(dataset, IterableDataset)
    kind = dataset.get("type")
    if isinstance(kind, str):
        try:
            kind = DATASETS.in_default_scope().get(kind)
        except Exception:  # a name that another rule reports
            return False
    # What a function returns is checked when it is built.
    return issubclass(kind, IterableDataset) if isinstance(kind, type) else callable(kind)


def evaluation_rule(key: str, value: Any) -> Mistakes:
    """Yield a limit of a validation or test loop that is not a positive integer."""
    if isinstance(value, Mapping):
        yield from integer_mistakes(key, value, **{LIMIT: 1})


def set_mistakes(values: EngineConfig | Config) -> Mistakes:
    """Yield limits that are set twice, and evaluators that do not fit the sets of an evaluation.

    Args:
        values: The settings by name.
    """
    for mode in ("train", "val", "test"):
        yield from _limit_mistakes(mode, values)
    for mode in ("val", "test"):
        yield from _evaluator_mistakes(mode, values)


def evaluators_by_set(evaluator: Any) -> bool:
    """Return whether the setting of an evaluation has an evaluator for each set by name."""
    if not isinstance(evaluator, Mapping) or {"type", "metrics"} & evaluator.keys():
        return False
    return bool(evaluator) and all(_may_evaluate(one) for one in evaluator.values())


def _may_evaluate(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool({"type", "metrics"} & value.keys())
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    return listed or isinstance(value, BaseMetric | Evaluator)


def _limit_mistakes(mode: str, values: EngineConfig | Config) -> Mistakes:
    loop, loader = values.get(f"{mode}_cfg"), values.get(f"{mode}_dataloader")
    given = loop.get(LIMIT) if isinstance(loop, Mapping) else None
    if given is None or loader is None:
        return
    parts = loader.items() if is_sets(loader) else [("", loader)]
    for name, part in parts:
        own = part.get(LIMIT) if isinstance(part, Mapping) else getattr(part, LIMIT, None)
        if own is not None and own != given:
            path = f"{mode}_dataloader.{name}".rstrip(".")
            yield (
                f"{mode}_cfg.{LIMIT}",
                f"{LIMIT} must be set once, got {own} in {path} and {given} in {mode}_cfg; remove "
                "one of them",
            )


def _evaluator_mistakes(mode: str, values: EngineConfig | Config) -> Mistakes:
    loader: Any = values.get(f"{mode}_dataloader")
    evaluator: Any = values.get(f"{mode}_evaluator")
    key = f"{mode}_evaluator"
    ours = loader is not None and is_our_loop(values.get(f"{mode}_cfg"))
    if ours and not evaluators_by_set(evaluator):
        yield from _shared_file_mistakes(mode, loader, evaluator)
    if not ours or not evaluators_by_set(evaluator):
        return
    if not is_sets(loader):
        yield (
            key,
            f"{key} must be one evaluator for one data loader, got evaluators by the names "
            f"{', '.join(map(str, evaluator))}; give {mode}_dataloader by these names, too",
        )
        return
    for name in evaluator:
        if name not in loader:
            yield (
                f"{key}.{name}",
                f"{key} must have the sets of {mode}_dataloader ({', '.join(loader)}), got "
                f"{name!r}{did_you_mean(name, loader)}",
            )
    missing = [name for name in loader if name not in evaluator]
    if missing:
        yield (
            key,
            f"{key} must have an evaluator for each set of {mode}_dataloader, but lacks "
            f"{', '.join(missing)}; add it, or give one evaluator for all sets",
        )


def _shared_file_mistakes(mode: str, loader: Any, evaluator: Any) -> Mistakes:
    """Yield the file that each of several sets would write, and the next one replace."""
    path = _file_of(evaluator)
    if path is not None and is_sets(loader) and len(loader) > 1:
        key = f"{mode}_evaluator"
        yield (
            key,
            f"{key} must not write one file for several sets, got {str(path)!r} for "
            f"{', '.join(loader)}; give an evaluator for each set by its name",
        )


def _file_of(evaluator: Any) -> Any:
    if isinstance(evaluator, Mapping):
        own = evaluator.get("out_file_path")
        return _file_of(evaluator["metrics"]) if "metrics" in evaluator else own
    if isinstance(evaluator, Sequence) and not isinstance(evaluator, str):
        return next(filter(None, map(_file_of, evaluator)), None)
    if isinstance(evaluator, Evaluator):
        return _file_of(evaluator.metrics)
    return getattr(evaluator, "out_file_path", None)
