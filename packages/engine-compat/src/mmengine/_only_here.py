"""Names that the packages of Engine have no use for, but that code of the field imports.

They are here and not in a package, so that no package carries a name for the sake of an import.
"""

import re
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.pool import Pool

DATA_BATCH = dict[str, Any] | tuple[Any, ...] | list[Any] | None
"""The type of a batch in the annotations of hooks."""


def init_pool(
    process_num: int,
    initializer: Callable[..., object] | None = None,
    initargs: Iterable[Any] | None = None,
) -> "Pool":
    """Return a pool of processes, each of which calls ``initializer`` first.

    Args:
        process_num: The number of processes.
        initializer: A function to call in each process when it starts.
        initargs: Its arguments.

    Raises:
        TypeError: ``initargs`` is not iterable.
    """
    from multiprocessing import Pool  # slow to import

    return Pool(process_num, initializer, () if initargs is None else tuple(initargs))


def is_rocm_pytorch() -> bool:
    """Return whether torch is built for GPUs of AMD."""
    import torch

    return torch.version.hip is not None


def mmcv_full_available() -> bool:
    """Return whether the package mmcv is installed with its compiled operators."""
    return find_spec("mmcv") is not None and find_spec("mmcv._ext") is not None


def parse_version_info(version_str: str) -> tuple[int | str, ...]:
    """Return the levels of a version; a release candidate ends with ``"rc1"``.

    Args:
        version_str: A version such as ``"0.10.7"`` or ``"1.0.0rc1"``.

    Raises:
        ValueError: ``version_str`` has another form.

    Example:
        >>> parse_version_info("0.10.7"), parse_version_info("1.0.0rc1")
        ((0, 10, 7), (1, 0, 0, 'rc1'))
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)*)(rc\d+)?", version_str)
    if match is None:
        raise ValueError(
            f"version_str must be a version such as '0.10.7' or '1.0.0rc1', got {version_str!r}"
        )
    levels = tuple(map(int, match[1].split(".")))
    return (*levels, match[2]) if match[2] else levels


_UNITS = ((10**15, "P"), (10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "K"))


def _format_size(x: float, sig_figs: int = 3, hide_zero: bool = False) -> str:
    """Return a count as text with a unit, as in ``"4.089G"``.

    Args:
        x: The count.
        sig_figs: The digits after the point.
        hide_zero: Whether 0 is the empty text.

    Example:
        >>> _format_size(4089184256), _format_size(-1500, 1), _format_size(0, hide_zero=True)
        ('4.089G', '-1.5K', '')
    """
    if hide_zero and x == 0:
        return ""
    for size, unit in _UNITS:
        if abs(x) >= size:
            return f"{x / size:.{sig_figs}f}{unit}"
    return str(x)
