"""Run a convolution and the batch normalization after it as one convolution, in evaluation mode."""

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

logger = logging.getLogger("engine.model")


def turn_on_efficient_conv_bn_eval(model: nn.Module, modules: str | Sequence[str]) -> None:
    """Let convolutions compute the batch normalization after them, where that is in eval mode.

    One convolution with scaled weights replaces the two layers at each call, so that a training
    with frozen statistics keeps one tensor less per pair. Both layers still get gradients, and
    names and values of weights stay as they are. In training mode the layers run as before. The
    source: "Efficient ConvBN Blocks for Transfer Learning" (https://arxiv.org/abs/2305.11624).

    Pairs are found with `torch.fx`: a convolution whose output only the normalization reads. A
    warning in the log names a part whose code `torch.fx` cannot follow; it runs as before.

    Args:
        model: The model, which is changed in place.
        modules: The names of the parts in which to look; ``""`` is the model itself.

    Raises:
        AttributeError: The model has no part of that name.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
        >>> image = torch.ones(1, 3, 2, 2)
        >>> before = net(image)
        >>> turn_on_efficient_conv_bn_eval(net, "")
        >>> torch.allclose(net(image), before, atol=1e-6)
        True
    """
    for name in [modules] if isinstance(modules, str) else modules:
        part = model.get_submodule(name)
        try:
            pairs = list(_pairs(part))
        except Exception as error:  # torch.fx raises errors of any kind
            logger.warning(
                "turn_on_efficient_conv_bn_eval changes nothing in %r, whose code torch.fx cannot "
                "follow: %s",
                *(name or type(part).__name__, error),
            )
            continue
        for conv, norm in pairs:
            # As attributes of the objects: classes, names and the state dict stay the same.
            conv.forward = partial(_conv_forward, conv, norm)
            norm.forward = partial(_norm_forward, norm)


def _pairs(part: nn.Module) -> Iterator[tuple[Any, Any]]:
    """Yield each convolution with the batch normalization that alone reads its output."""
    graph, members = fx.symbolic_trace(part).graph, dict(part.named_modules())
    calls = [node for node in graph.nodes if node.op == "call_module"]
    called = [members[node.target] for node in calls]
    for node in calls:
        norm = members[node.target]
        source = node.args[0] if node.args else None
        if not isinstance(norm, _BatchNorm) or not isinstance(source, fx.Node):
            continue
        conv = members.get(source.target) if source.op == "call_module" else None
        if (
            isinstance(conv, _ConvNd)
            and not isinstance(conv, _ConvTransposeNd)
            and len(source.users) == 1
            and norm.track_running_stats
            # A layer that runs at two places has two neighbors.
            and called.count(conv) == called.count(norm) == 1
        ):
            yield conv, norm


def _conv_forward(conv: Any, norm: Any, inputs: Tensor) -> Tensor:
    if norm.training:
        return type(conv).forward(conv, inputs)  # type: ignore[no-any-return]  # as for any module
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight
    bias = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    bias = bias * scale if norm.bias is None else torch.addcmul(norm.bias, bias, scale)
    weight = conv.weight * scale.reshape(-1, *[1] * (conv.weight.ndim - 1))
    return conv._conv_forward(inputs, weight, bias)  # type: ignore[no-any-return]  # as above


def _norm_forward(norm: Any, inputs: Tensor) -> Tensor:
    if norm.training:
        return type(norm).forward(norm, inputs)  # type: ignore[no-any-return]  # as above
    return inputs
