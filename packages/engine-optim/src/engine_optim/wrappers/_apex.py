"""The wrapper of NVIDIA's Apex, which this package replaces by `AmpOptimWrapper`."""

from typing import Any

from engine_optim.wrappers._amp import AmpOptimWrapper
from engine_registry import OPTIM_WRAPPERS

_INSTEAD = {
    "O0": "OptimWrapper()",
    "O1": "AmpOptimWrapper(loss_scale={scale!r})",
    "O2": "AmpOptimWrapper(loss_scale={scale!r})",
    "O3": "AmpOptimWrapper(dtype='bfloat16')",
}


@OPTIM_WRAPPERS.register_module()
class ApexOptimWrapper(AmpOptimWrapper):
    """Raise an error that names the wrapper in place of that of Apex.

    Apex has no release for today's PyTorch, which has mixed precision of its own. The name exists
    so that a config with it gets this message.

    Args:
        opt_level: The level of Apex, from ``"O0"`` (full precision) to ``"O3"``.
        loss_scale: ``"dynamic"``, or a number.
        enabled: Whether mixed precision is used.
        **kwargs: The other arguments of Apex, and those of `OptimWrapper`.

    Raises:
        RuntimeError: Always.

    Example:
        >>> ApexOptimWrapper(opt_level="O1")
        Traceback (most recent call last):
        ...
        RuntimeError: type of optim_wrapper must be a wrapper of Engine, got 'ApexOptimWrapper'...
    """

    def __init__(
        self,
        opt_level: str = "O1",
        loss_scale: str | float = "dynamic",
        enabled: bool = True,
        **kwargs: Any,
    ) -> None:
        level = opt_level if enabled else "O0"
        instead = _INSTEAD.get(level, _INSTEAD["O1"]).format(scale=loss_scale or "dynamic")
        raise RuntimeError(
            f"type of optim_wrapper must be a wrapper of Engine, got 'ApexOptimWrapper'; Apex is "
            f"not maintained, and torch has mixed precision itself; use {instead} for "
            f"opt_level={opt_level!r}, enabled={enabled}"
        )
