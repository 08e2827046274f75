"""Recognize the error of a collective whose peer is lost."""

import torch.distributed as torch_dist

from engine_dist._errors import DistError

# Backends have no error class for a lost or late peer. Their messages contain these words.
_BROKEN = ("connection", "timed out", "timeout", "broken pipe", "socket", "aborted", "reset by")


def is_broken(error: BaseException) -> bool:
    """Return whether an error of a backend means that a peer is lost or late."""
    if isinstance(error, DistError):
        return False  # the lost rank has been searched already
    if isinstance(error, torch_dist.DistError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _BROKEN)
