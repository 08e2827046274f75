"""The facts that a checkpoint has in its ``meta``, about the run and its data."""

import logging
from collections.abc import Mapping
from typing import Any

from engine_runner._loaders import metainfo_of
from engine_runner._protocols import Run
from engine_runner._version import __version__
from engine_runner.environment import shown_config
from engine_runner.parts import Parts
from engine_utils import plain_value

# Tools of the field read this key to choose how they read the others, which have that layout.
_LAYOUT = "0.10.7"

_log = logging.getLogger("engine.runner")


def run_facts(run: Run) -> dict[str, Any]:
    """Return the facts of a run that its checkpoints have in their ``meta``.

    Args:
        run: The run.
    """
    return {
        "cfg": shown_config(run.cfg).pretty_text,
        "seed": run.seed,
        "world_size": run.world_size,
        "experiment_name": run.experiment_name,
        "engine_version": __version__,
        "mmengine_version": _LAYOUT,
    }


def dataset_meta(parts: Parts) -> dict[str, Any]:
    """Return ``{"dataset_meta": ...}``: class names and other metainfo of the data.

    They are those of the training data, or else of the validation or test data of the run. Only
    loops that are built are asked. The result is empty if none has metainfo.

    Args:
        parts: The parts of the run.
    """
    for key in ("train_cfg", "val_cfg", "test_cfg"):
        metainfo = metainfo_of(getattr(parts.built(key), "dataloader", None))
        if isinstance(metainfo, Mapping) and metainfo:
            return {"dataset_meta": _plain(metainfo)}
    return {}


def _plain(metainfo: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a checkpoint can hold, as plain Python values."""
    plain = {}
    for name, value in metainfo.items():
        converted = value if _is_plain(value) else plain_value(value)
        if _is_plain(converted):
            plain[str(name)] = converted
        else:
            _log.debug("metainfo %r is not saved: it holds %s", name, type(value).__name__)
    return plain


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return type(value) is dict and all(map(_is_plain, [*value, *value.values()]))
    if isinstance(value, list | tuple):
        return type(value) in (list, tuple) and all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str, bytes)
