"""Find the reason of a failed export in the errors of torch."""

import traceback
from pathlib import Path

import torch

_OF_TORCH = str(Path(torch.__file__).parent)
_OURS = str(Path(__file__).parent)


def reason_of(error: BaseException, way_out: str = "") -> str:
    """Return the reason of an error of torch's exporters, in one line.

    A branch on the values of a tensor is named with its place in the model, which torch hides among
    hints for its own developers.

    Args:
        error: The error.
        way_out: What to do if the reason may be the batch size.

    Example:
        >>> reason_of(RuntimeError("no kernel for x" + chr(10) + "see the docs"), "; use another")
        'no kernel for x; use another'
    """
    while error.__cause__ is not None:  # the first one names the operation
        error = error.__cause__
    text = str(error).strip() or repr(error)
    if "data-dependent" in text:
        return (
            f"its computation depends on the values of a tensor{_place(error)}; choose among "
            "tensors with torch.where, or among functions with torch.cond"
        )
    if "Constraints violated" in text:
        return (
            f"its code makes a constant of the batch size, as len(x) does; use x.shape[0]{way_out}"
        )
    return f"{text.splitlines()[0]}{way_out}"


def _place(error: BaseException) -> str:
    """Return the line of the user's code in which an error arose."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((_OF_TORCH, _OURS, "<")):
            code = f" ({frame.line})" if frame.line else ""
            return f" at {frame.filename}:{frame.lineno}{code}"
    return ""
