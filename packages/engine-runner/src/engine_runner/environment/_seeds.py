"""Set, capture and restore every random number generator a training step may draw from."""

import itertools
import logging
import random
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from engine_dist import all_gather_object, first_of_launch, get_rank, sync_random_seed

_log = logging.getLogger("engine.runner")

_draws = itertools.count()


def set_random_seed(
    seed: int | None = None, deterministic: bool = False, diff_rank_seed: bool = False
) -> int:
    """Seed Python, NumPy and PyTorch on all devices.

    Args:
        seed: The seed; ``None`` draws one, the same on all ranks.
        deterministic: Use deterministic algorithms only, and warn where PyTorch has none.
        diff_rank_seed: Add the rank to the seed of this process.

    Returns:
        The seed without the rank's share, equal on all ranks.
    """
    if seed is None:
        seed = _drawn_seed()
    own = seed + get_rank() if diff_rank_seed else seed
    random.seed(own)
    _numpy_random().seed(own % 2**32)  # NumPy takes 32 bits, PyTorch 64
    torch.manual_seed(own)
    if deterministic:
        if torch.backends.cudnn.benchmark:
            _log.info("deterministic=True turns cudnn.benchmark off")
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.use_deterministic_algorithms(True, warn_only=True)
    return int(seed)


def _drawn_seed() -> int:
    """Return a random seed, equal on all ranks; a run that torchrun restarted has its first one."""
    drawn = sync_random_seed()
    first = first_of_launch(f"seed:{next(_draws)}", str(drawn))
    return drawn if first is None else int(first)


def capture_random_states() -> list[dict[str, Any]]:
    """Return the generators' states of all ranks, in rank order, as tensors and plain values.

    All ranks must call this.
    """
    return all_gather_object(_capture())


def restore_random_states(states: Sequence[Mapping[str, Any]]) -> bool:
    """Set the generators of this rank back, and return whether that was possible.

    A rank that did not exist at capture has no state, and keeps its generators.

    Args:
        states: The states that `capture_random_states` returned.
    """
    rank = get_rank()
    if rank >= len(states):
        return False
    state = states[rank]
    restore_host_states(state)
    devices = state.get("cuda")
    if devices and len(devices) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([device.cpu() for device in devices])
    return True


def _capture() -> dict[str, Any]:
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {**capture_host_states(), "cuda": devices}


def capture_host_states() -> dict[str, Any]:
    """Return the states of the generators of Python, NumPy and PyTorch on the CPU."""
    # Lists in place of tuples and arrays: a checkpoint is loaded with weights_only=True.
    version, numbers, gauss = random.getstate()
    name, keys, *rest = _numpy_random().get_state()
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [name, keys.tolist(), *rest],
        "torch": torch.get_rng_state(),
    }


def restore_host_states(state: Mapping[str, Any]) -> None:
    """Set the generators on the CPU back.

    Args:
        state: What `capture_host_states` returned.
    """
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    torch.set_rng_state(state["torch"].cpu())
    numpy_state = state.get("numpy")
    if numpy_state is not None:
        _numpy_random().set_state(tuple(numpy_state))


def _numpy_random() -> Any:
    """Return NumPy's random module, whose global generator users' transforms draw from."""
    import numpy  # PyTorch runs without it; most pipelines do not

    return numpy.random
