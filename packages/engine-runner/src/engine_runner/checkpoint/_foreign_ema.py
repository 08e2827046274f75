"""Read the averages of weights that another library has saved."""

import logging
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import Tensor

_log = logging.getLogger("engine.runner")

_PREFIX = "module."


def ema_state(checkpoint: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return ``ema_state_dict`` of a checkpoint in the documented layout, or None.

    There, the ``state_dict`` has the averages, and ``ema_state_dict`` the weights as trained, under
    ``module.<name>``, and the number of updates as ``steps``. A file without the version that
    writes this layout in its ``meta`` may have them the other way round, which nothing in it shows.

    Args:
        checkpoint: The checkpoint; it is not changed.
    """
    saved = checkpoint.get("ema_state_dict")
    if saved is None:
        return None
    weights = {str(k): v for k, v in saved.items()} if isinstance(saved, Mapping) else {}
    weights = {name: value for name, value in weights.items() if isinstance(value, Tensor)}
    if not weights:
        _log.warning("ema_state_dict of the checkpoint has no weights; it is skipped.")
        return None
    meta = checkpoint.get("meta")
    if not isinstance(meta, Mapping) or "mmengine_version" not in meta:
        _log.warning(
            "the checkpoint has no mmengine_version in its meta: its state_dict is taken as the "
            "average, and its ema_state_dict as the weights as trained. If it has them the other "
            "way round, exchange them before you resume"
        )
    steps = weights.pop("steps", None)
    if not all(name.startswith(_PREFIX) for name in weights):
        weights = {f"{_PREFIX}{name}": value for name, value in weights.items()}
    if steps is not None:
        weights["steps"] = steps
    return OrderedDict(weights)
