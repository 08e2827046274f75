"""Plain Python values in place of numpy's, without importing numpy."""

import sys
from typing import Any


def plain(value: Any) -> Any:
    """Return lists and scalars for sets, ranges, numpy arrays and numpy scalars.

    Sets are sorted where their members can be compared, so that equal sets give equal text.

    Raises:
        TypeError: ``value`` is of another type.
    """
    if isinstance(value, set | frozenset):
        try:
            return sorted(value)
        except TypeError:
            return list(value)
    if isinstance(value, range):
        return list(value)
    # A numpy value can only exist where numpy has been imported.
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic):
        return value.tolist()
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise TypeError(f"{value!r} of type {kind} is not plain data; convert it before dumping")
