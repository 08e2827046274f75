"""Initialize the weight and bias of one module with `torch.nn.init`."""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn

from engine_model._uninitialized import require_shapes

Distribution = Literal["uniform", "normal"]
FanMode = Literal["fan_in", "fan_out"]


def constant_init(module: nn.Module, val: float, bias: float = 0) -> None:
    """Fill the weight of ``module`` with ``val`` and its bias with ``bias``.

    Args:
        module: Any module; a weight or bias that it lacks is skipped.
        val: The value of the weight.
        bias: The value of the bias.
    """
    _initialize(module, partial(nn.init.constant_, val=val), bias)


def xavier_init(
    module: nn.Module, gain: float = 1, bias: float = 0, distribution: Distribution = "normal"
) -> None:
    """Draw the weight of ``module`` by the rule of Glorot and Bengio (2010).

    Args:
        module: A module whose weight has at least two dimensions.
        gain: The factor on the standard deviation.
        bias: The value of the bias.
        distribution: Whether to draw from a normal or a uniform distribution.

    Raises:
        ValueError: ``distribution`` is neither ``"normal"`` nor ``"uniform"``.
    """
    _check_distribution(distribution)
    draw = nn.init.xavier_uniform_ if distribution == "uniform" else nn.init.xavier_normal_
    _initialize(module, partial(draw, gain=gain), bias)


def normal_init(module: nn.Module, mean: float = 0, std: float = 1, bias: float = 0) -> None:
    """Draw the weight of ``module`` from the normal distribution N(mean, std²).

    Args:
        module: Any module; a weight or bias that it lacks is skipped.
        mean: The mean of the distribution.
        std: The standard deviation of the distribution.
        bias: The value of the bias.
    """
    _initialize(module, partial(nn.init.normal_, mean=mean, std=std), bias)


def trunc_normal_init(
    module: nn.Module,
    mean: float = 0,
    std: float = 1,
    a: float = -2,
    b: float = 2,
    bias: float = 0,
) -> None:
    """Draw the weight of ``module`` from N(mean, std²) truncated to ``[a, b]``.

    Args:
        module: Any module; a weight or bias that it lacks is skipped.
        mean: The mean of the distribution before truncation.
        std: The standard deviation of the distribution.
        a: The lower bound, not scaled by ``std``.
        b: The upper bound, not scaled by ``std``.
        bias: The value of the bias.
    """
    _initialize(module, partial(nn.init.trunc_normal_, mean=mean, std=std, a=a, b=b), bias)


def uniform_init(module: nn.Module, a: float = 0, b: float = 1, bias: float = 0) -> None:
    """Draw the weight of ``module`` from the uniform distribution U(a, b).

    Args:
        module: Any module; a weight or bias that it lacks is skipped.
        a: The lower bound.
        b: The upper bound.
        bias: The value of the bias.
    """
    _initialize(module, partial(nn.init.uniform_, a=a, b=b), bias)


def kaiming_init(
    module: nn.Module,
    a: float = 0,
    mode: FanMode = "fan_out",
    nonlinearity: str = "relu",
    bias: float = 0,
    distribution: Distribution = "normal",
) -> None:
    """Draw the weight of ``module`` by the rule of He et al. (2015).

    Args:
        module: A module whose weight has at least two dimensions.
        a: The negative slope of the ``leaky_relu`` after this layer.
        mode: ``fan_in`` keeps the variance in the forward pass, ``fan_out`` in the backward pass.
        nonlinearity: The name of the function in `torch.nn.functional`.
        bias: The value of the bias.
        distribution: Whether to draw from a normal or a uniform distribution.

    Raises:
        ValueError: ``distribution`` is neither ``"normal"`` nor ``"uniform"``.
    """
    _check_distribution(distribution)
    draw = nn.init.kaiming_uniform_ if distribution == "uniform" else nn.init.kaiming_normal_
    # torch's stub needs a Literal of function names. torch checks the name and lists the choices.
    fill = partial(draw, a=a, mode=mode, nonlinearity=nonlinearity)  # type: ignore[arg-type]
    _initialize(module, fill, bias)


def caffe2_xavier_init(module: nn.Module, bias: float = 0) -> None:
    """Draw the weight of ``module`` as the ``XavierFill`` of Caffe2 does.

    That is U(-b, b) with b = sqrt(3 / fan_in): Kaiming's rule with a slope of 1.

    Args:
        module: A module whose weight has at least two dimensions.
        bias: The value of the bias.
    """
    kaiming_init(
        module,
        a=1,
        mode="fan_in",
        nonlinearity="leaky_relu",
        bias=bias,
        distribution="uniform",
    )


def bias_init_with_prob(prior_prob: float) -> float:
    """Return the bias with which a sigmoid unit initially outputs ``prior_prob``.

    Args:
        prior_prob: The probability, in (0, 1).

    Raises:
        ValueError: ``prior_prob`` is not in (0, 1).
    """
    if not 0 < prior_prob < 1:
        raise ValueError(f"prior_prob must be strictly between 0 and 1, got {prior_prob}")
    return -math.log((1 - prior_prob) / prior_prob)


def _initialize(module: nn.Module, fill: Callable[[Tensor], object], bias_value: float) -> None:
    """Fill the weight of a module by a function and its bias with a value, if they exist."""
    require_shapes(module)
    weight = getattr(module, "weight", None)
    if isinstance(weight, Tensor):
        fill(weight)
    bias = getattr(module, "bias", None)
    if isinstance(bias, Tensor):
        nn.init.constant_(bias, bias_value)


def _check_distribution(distribution: str) -> None:
    if distribution not in ("uniform", "normal"):
        raise ValueError(f"distribution must be 'uniform' or 'normal', got {distribution!r}")
