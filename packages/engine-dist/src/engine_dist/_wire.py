"""Gather any data as a pickled header and the concatenated bytes of all tensors.

Each rank first sends a frame of fixed length. It holds the lengths of header and bytes, and also
header and bytes if they fit. Otherwise one more collective per part sends them, padded to the
longest.
"""

import pickle
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as torch_dist

from engine_dist._groups import Group, get_comm_device, get_world_size
from engine_dist._pickling import bytes_of, dumps_tensors, is_plain
from engine_dist._tensors import Data, list_tensors, map_tensors

_ALIGNMENT = 16  # bytes of the longest dtype, so that each tensor can be viewed in place
# In bytes. Large enough for the header of usual data. Small, because each gather sends it.
_FRAME = 1024
_LENGTHS = 16  # two int64 at the start of a frame


class _Slot:
    """A placeholder in a header for a tensor, whose bytes are sent separately."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self.shape, self.dtype = shape, dtype

    def __reduce__(self) -> tuple[type["_Slot"], tuple[tuple[int, ...], torch.dtype]]:
        return _Slot, (self.shape, self.dtype)


def gather_data(data: Data, group: Group, *, root: int | None = None) -> list[Data]:
    """Gather nested containers from all ranks, for all ranks or for one.

    Returns:
        Each rank's data, its tensors on this rank's device; an empty list on other ranks than
            ``root``.
    """
    tensors: list[torch.Tensor] = []

    def take(tensor: torch.Tensor) -> _Slot | torch.Tensor:
        if not is_plain(tensor):
            return tensor  # stays in the header, pickled by torch
        tensors.append(bytes_of(tensor))
        return _Slot(tuple(tensor.shape), tensor.dtype)

    header = dumps_tensors(map_tensors(take, data))
    own = list_tensors(data)
    home = own[0].device if own else torch.device("cpu")
    device = get_comm_device(group)
    parts = exchange(header, _join(tensors, device), group, root=root)
    return [_rebuild(pickle.loads(head), body, home) for head, body in parts]


def _rebuild(frame: Data, payload: torch.Tensor, home: torch.device) -> Data:
    at = 0

    def fill(slot: _Slot) -> torch.Tensor:
        nonlocal at
        count = torch.Size(slot.shape).numel() * slot.dtype.itemsize
        # A copy, so that one tensor does not keep the bytes of all others alive.
        part = payload[at : at + count].clone()
        at += _padded(count)
        return part.view(slot.dtype).view(slot.shape).to(home)

    return map_tensors(fill, frame, leaves=_Slot)


def gather_objects(
    value: object, group: Group, *, root: int | None = None, device: torch.device | None = None
) -> list[Any]:
    """Gather picklable objects from all ranks, for all ranks or for one.

    Args:
        value: This rank's object.
        group: The process group.
        root: The global rank that receives; None for all ranks.
        device: The device from which the bytes are sent; None for that of the group.
    """
    nothing = torch.empty(0, dtype=torch.uint8, device=device or get_comm_device(group))
    parts = exchange(dumps_tensors(value), nothing, group, root=root)
    return [pickle.loads(head) for head, _ in parts]


def exchange(
    header: bytes, body: torch.Tensor, group: Group, *, root: int | None = None
) -> list[tuple[bytes, torch.Tensor]]:
    """Send a header and a byte tensor of any length to all ranks, or to one.

    Returns:
        Each rank's header and bytes in the order of the ranks; an empty list on other ranks than
            ``root``.
    """
    mine = _frame(header, body)
    # all_gather even for one root, because every rank needs the lengths to decide whether another
    # message follows.
    frames = [torch.empty_like(mine) for _ in range(get_world_size(group))]
    torch_dist.all_gather(frames, mine, group)
    # Stacked into one copy, because each copy from an accelerator waits for the device.
    texts = [bytes(text) for text in torch.stack(frames).cpu().numpy()]
    heads = [int.from_bytes(text[:8], "little") for text in texts]
    bodies = [int.from_bytes(text[8:_LENGTHS], "little") for text in texts]
    ends = [_LENGTHS + head for head in heads]
    if all(end + size <= _FRAME for end, size in zip(ends, bodies, strict=True)):
        if root is not None and root != torch_dist.get_rank():
            return []
        return [
            (text[_LENGTHS:end], frame[end : end + size])
            for text, frame, end, size in zip(texts, frames, ends, bodies, strict=True)
        ]
    if max(ends) <= _FRAME:
        headers = [text[_LENGTHS:end] for text, end in zip(texts, ends, strict=True)]
    else:
        long = _gather_bytes(to_tensor(header, body.device), heads, group, root=root)
        headers = [to_bytes(head) for head in long]
    parts = _gather_bytes(body, bodies, group, root=root)
    return list(zip(headers, parts, strict=False))  # only the root has parts


def _frame(header: bytes, body: torch.Tensor) -> torch.Tensor:
    """Build the first message of a rank: both lengths, then header and bytes if they fit."""
    frame = bytearray(_FRAME)
    frame[:_LENGTHS] = len(header).to_bytes(8, "little") + len(body).to_bytes(8, "little")
    inline = header[: _FRAME - _LENGTHS]
    end = _LENGTHS + len(inline)
    frame[_LENGTHS:end] = inline
    tensor = to_tensor(frame, body.device)
    if 0 < len(body) <= _FRAME - end:
        tensor[end : end + len(body)] = body
    return tensor


def _gather_bytes(
    mine: torch.Tensor, lengths: Sequence[int], group: Group, *, root: int | None
) -> list[torch.Tensor]:
    """Gather byte tensors of unequal lengths, padded to the longest for sending."""
    receives = root is None or root == torch_dist.get_rank()
    longest = max(lengths)
    if longest == 0:
        return [mine for _ in lengths] if receives else []
    # `all_gather` and `gather` of torch need tensors of one shape.
    padded = mine
    if len(mine) < longest:
        padded = mine.new_zeros(longest)
        padded[: len(mine)] = mine
    parts = [mine.new_empty(longest) for _ in lengths] if receives else []
    if root is None:
        torch_dist.all_gather(parts, padded, group)
    else:
        torch_dist.gather(padded, parts if receives else None, root, group)
    return [part[:length] for part, length in zip(parts, lengths, strict=receives)]


def to_tensor(data: bytes | bytearray, device: torch.device) -> torch.Tensor:
    """Copy bytes into a uint8 tensor of shape ``(len(data),)``."""
    if not data:
        return torch.empty(0, dtype=torch.uint8, device=device)
    # Copied into a bytearray, because `frombuffer` warns about read-only memory.
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).to(device)


def to_bytes(data: torch.Tensor) -> bytes:
    """Copy a uint8 tensor into bytes."""
    return data.cpu().numpy().tobytes()


def _padded(count: int) -> int:
    return -(-count // _ALIGNMENT) * _ALIGNMENT


def _join(tensors: Sequence[torch.Tensor], device: torch.device) -> torch.Tensor:
    size = sum(_padded(len(tensor)) for tensor in tensors)
    joined = torch.zeros(size, dtype=torch.uint8, device=device)
    at = 0
    for tensor in tensors:
        joined[at : at + len(tensor)] = tensor
        at += _padded(len(tensor))
    return joined
