"""The state of every random number generator a training step may draw from."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from engine_dist import all_gather_object, get_rank
from engine_runner._environment import numpy_random


def capture_random_states() -> list[dict[str, Any]]:
    """Return the generators' states of all ranks, in rank order, as tensors and plain values.

    A collective: every rank has to call it.
    """
    return all_gather_object(_capture())


def restore_random_states(states: Sequence[Mapping[str, Any]]) -> bool:
    """Set this rank's generators back, and return whether that was possible.

    With another number of ranks than at capture the states belong to nobody, and nothing is set.
    """
    rank = get_rank()
    if rank >= len(states):
        return False
    state = states[rank]
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    torch.set_rng_state(state["torch"].cpu())
    numpy_state = state.get("numpy")
    if numpy_state is not None:
        numpy_random().set_state(tuple(numpy_state))
    devices = state.get("cuda")
    if devices and len(devices) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([device.cpu() for device in devices])
    return True


def _capture() -> dict[str, Any]:
    version, numbers, gauss = random.getstate()
    name, keys, *rest = numpy_random().get_state()
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [name, keys.tolist(), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
