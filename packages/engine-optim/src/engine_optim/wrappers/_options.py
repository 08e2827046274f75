"""The options of parameter groups as they were configured."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor


def configured_options(groups: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the numbers among the options of each group, before schedules change them.

    Args:
        groups: Parameter groups.

    Example:
        >>> configured_options([{"params": [], "lr": 0.1, "foreach": None, "betas": (0.9, 0.99)}])
        [{'lr': 0.1, 'betas': (0.9, 0.99)}]
    """
    return [
        {key: _plain(value) for key, value in group.items() if _is_option(key, value)}
        for group in groups
    ]


def _is_option(key: str, value: Any) -> bool:
    if key == "params" or key.startswith("initial_") or isinstance(value, bool):
        return False
    if isinstance(value, tuple):
        return all(_is_option(key, item) for item in value)
    return isinstance(value, int | float) or (isinstance(value, Tensor) and value.numel() == 1)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return value.item() if isinstance(value, Tensor) else value
