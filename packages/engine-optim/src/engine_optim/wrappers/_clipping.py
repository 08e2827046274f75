"""Choose the function that clips gradients, and check its arguments."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from engine_utils import call_mistakes

_CLIP: dict[str, Callable[..., Tensor | None]] = {
    "norm": torch.nn.utils.clip_grad_norm_,
    "value": torch.nn.utils.clip_grad_value_,
}


def clipping(
    clip_grad: Mapping[str, Any] | None,
) -> tuple[Callable[..., Tensor | None] | None, dict[str, Any] | None]:
    """Return the function that clips and its arguments, or ``None`` for both."""
    if clip_grad is None:
        return None, None
    if not isinstance(clip_grad, Mapping) or not clip_grad:
        raise ValueError(
            "clip_grad must be a dict such as dict(max_norm=1.0) or dict(clip_value=0.2), got "
            f"{clip_grad!r}"
        )
    arguments = dict(clip_grad)
    kind = arguments.pop("type", "value" if "clip_value" in arguments else "norm")
    if kind not in _CLIP:
        raise ValueError(f"type of clip_grad must be one of {', '.join(_CLIP)}, got {kind!r}")
    # The first parameter of both functions is the parameters themselves.
    for mistake in call_mistakes(partial(_CLIP[kind], ()), arguments):
        # Torch accepts more types than its annotations list, such as a tensor for a number.
        if mistake.kind != "wrong type":
            raise ValueError(f"clip_grad of type {kind!r}: {mistake.message}")
    return _CLIP[kind], arguments
