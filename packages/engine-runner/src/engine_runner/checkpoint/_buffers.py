"""The buffers of a model that differ between the ranks, as a checkpoint saves and restores them."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine_dist import (
    all_gather,
    all_gather_object,
    all_reduce_params,
    gather,
    get_rank,
    get_world_size,
)
from engine_model import is_model_wrapper, is_sharded


class BufferStates:
    """The buffers of each rank, such as running statistics of its own data.

    All ranks must save together. `CheckpointHook` averages these statistics when it saves, so that
    nothing differs. A checkpoint that is saved elsewhere, such as that of a run that a signal
    stops, has those of each rank: as many ranks then continue to the bit. Another number of ranks
    continues with their mean.

    Args:
        model: The model, also in its wrapper.
        whole: Whether the main rank alone gets the state, which it writes.

    Example:
        >>> BufferStates(nn.BatchNorm1d(2)).state_dict()
        []
    """

    def __init__(self, model: nn.Module, *, whole: bool = True) -> None:
        self._model = model
        self._whole = whole

    def state_dict(self) -> list[dict[str, Tensor]]:
        """Return the buffers that differ, in the order of the ranks; empty if none does."""
        return values_of_ranks(saved_buffers(self._model), whole=self._whole)

    def load_state_dict(self, state_dict: Sequence[Mapping[str, Tensor]]) -> None:
        """Give this rank its buffers back; without saved ones they stay as they are."""
        own = saved_buffers(self._model)
        with torch.no_grad():
            for name, value in values_of_this_rank(state_dict).items():
                if name in own and own[name].shape == value.shape:
                    own[name].copy_(value)


def saved_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Return the buffers that a checkpoint has, by name, without sharded ones.

    Args:
        model: The model, also in its wrapper.
    """
    plain: Any = model.module if is_model_wrapper(model) else model
    saved = plain.state_dict().keys()  # without the buffers that no checkpoint has
    return {
        name: one for name, one in plain.named_buffers() if name in saved and not is_sharded(one)
    }


def values_of_ranks(own: Mapping[str, Tensor], *, whole: bool) -> list[dict[str, Tensor]]:
    """Return copies of the values that differ between the ranks; all ranks must call this.

    Args:
        own: The values of this rank.
        whole: Whether the main rank alone gets them.

    Returns:
        The values in the order of the ranks; empty if none differs.
    """
    if get_world_size() == 1:
        return []
    digests = all_gather_object({name: _digest(item) for name, item in own.items()})
    first = digests[0]
    differ = [name for name in first if any(one.get(name) != first[name] for one in digests)]
    if not differ:
        return []
    values = {name: own[name].detach().clone() for name in differ if name in own}
    return (gather if whole else all_gather)(values) or []


def values_of_this_rank(saved: Sequence[Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    """Return what this rank continues with: its own values, or the mean of another number of ranks.

    Args:
        saved: What `values_of_ranks` has returned.
    """
    if not saved:
        return {}
    if len(saved) == get_world_size():
        return saved[get_rank()]
    return {name: _mean([one.get(name) for one in saved]) for name in saved[0]}


def average_buffers(model: nn.Module) -> None:
    """Average the floating-point buffers over the ranks, in place; all ranks must call this.

    Args:
        model: The model, also in its wrapper.
    """
    if get_world_size() == 1:
        return
    buffers = [item for item in model.buffers() if item.is_floating_point()]
    # Counters are integers and equal.
    all_reduce_params([item for item in buffers if not is_sharded(item)], op="mean")


def _digest(tensor: Tensor) -> str:
    content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    return f"{tuple(tensor.shape)} {hashlib.blake2b(content, digest_size=16).hexdigest()}"


def _mean(values: Sequence[Tensor | None]) -> Tensor:
    """Return the mean of floating-point buffers; of others, the first one."""
    present = [value for value in values if value is not None]
    first = present[0]
    alike = all(value.shape == first.shape for value in present)
    return torch.stack(present).mean(0) if alike and first.is_floating_point() else first
