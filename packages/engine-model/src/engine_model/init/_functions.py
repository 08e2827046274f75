"""Functions that initialise the weight and bias of one module, on `torch.nn.init`."""

import math
from typing import Literal

from torch import Tensor, nn

Distribution = Literal["uniform", "normal"]
FanMode = Literal["fan_in", "fan_out"]


def constant_init(module: nn.Module, val: float, bias: float = 0) -> None:
    """Fill the weight of ``module`` with ``val`` and its bias with ``bias``.

    Args:
        module: Any module; a weight or bias that it lacks is passed over.
        val: The value of the weight.
        bias: The value of the bias.
    """
    weight = _weight(module)
    if weight is not None:
        nn.init.constant_(weight, val)
    _fill_bias(module, bias)


def xavier_init(
    module: nn.Module, gain: float = 1, bias: float = 0, distribution: Distribution = "normal"
) -> None:
    """Draw the weight of ``module`` after Glorot and Bengio (2010).

    Args:
        module: A module whose weight has at least two dimensions.
        gain: The factor on the standard deviation.
        bias: The value of the bias.
        distribution: Whether to draw from a normal or a uniform distribution.

    Raises:
        ValueError: If ``distribution`` is neither of the two.
    """
    _check_distribution(distribution)
    draw = nn.init.xavier_uniform_ if distribution == "uniform" else nn.init.xavier_normal_
    weight = _weight(module)
    if weight is not None:
        draw(weight, gain=gain)
    _fill_bias(module, bias)


def normal_init(module: nn.Module, mean: float = 0, std: float = 1, bias: float = 0) -> None:
    """Draw the weight of ``module`` from the normal distribution N(mean, std²).

    Args:
        module: Any module; a weight or bias that it lacks is passed over.
        mean: The mean of the distribution.
        std: Its standard deviation.
        bias: The value of the bias.
    """
    weight = _weight(module)
    if weight is not None:
        nn.init.normal_(weight, mean, std)
    _fill_bias(module, bias)


def trunc_normal_init(
    module: nn.Module,
    mean: float = 0,
    std: float = 1,
    a: float = -2,
    b: float = 2,
    bias: float = 0,
) -> None:
    """Draw the weight of ``module`` from N(mean, std²), values outside ``[a, b]`` drawn again.

    Args:
        module: Any module; a weight or bias that it lacks is passed over.
        mean: The mean of the distribution before it is cut.
        std: Its standard deviation.
        a: The least value, not scaled by ``std``.
        b: The greatest value, not scaled by ``std``.
        bias: The value of the bias.
    """
    weight = _weight(module)
    if weight is not None:
        nn.init.trunc_normal_(weight, mean, std, a, b)
    _fill_bias(module, bias)


def uniform_init(module: nn.Module, a: float = 0, b: float = 1, bias: float = 0) -> None:
    """Draw the weight of ``module`` from the uniform distribution U(a, b).

    Args:
        module: Any module; a weight or bias that it lacks is passed over.
        a: The lower bound.
        b: The upper bound.
        bias: The value of the bias.
    """
    weight = _weight(module)
    if weight is not None:
        nn.init.uniform_(weight, a, b)
    _fill_bias(module, bias)


def kaiming_init(
    module: nn.Module,
    a: float = 0,
    mode: FanMode = "fan_out",
    nonlinearity: str = "relu",
    bias: float = 0,
    distribution: Distribution = "normal",
) -> None:
    """Draw the weight of ``module`` after He et al. (2015).

    Args:
        module: A module whose weight has at least two dimensions.
        a: The negative slope of the rectifier behind this layer, used with ``leaky_relu``.
        mode: ``fan_in`` keeps the variance in the forward pass, ``fan_out`` in the backward pass.
        nonlinearity: The name of the function in `torch.nn.functional`.
        bias: The value of the bias.
        distribution: Whether to draw from a normal or a uniform distribution.

    Raises:
        ValueError: If ``distribution`` is neither of the two.
    """
    _check_distribution(distribution)
    draw = nn.init.kaiming_uniform_ if distribution == "uniform" else nn.init.kaiming_normal_
    weight = _weight(module)
    if weight is not None:
        # The stub of torch lists the non-linearities; torch itself names the choices on a bad one.
        draw(weight, a=a, mode=mode, nonlinearity=nonlinearity)  # type: ignore[arg-type]
    _fill_bias(module, bias)


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
    """Return the bias at which a sigmoid unit starts at the probability ``prior_prob``.

    Args:
        prior_prob: The wanted probability, in (0, 1).

    Raises:
        ValueError: If ``prior_prob`` is not in (0, 1).
    """
    if not 0 < prior_prob < 1:
        raise ValueError(f"prior_prob must lie strictly between 0 and 1, not {prior_prob}")
    return -math.log((1 - prior_prob) / prior_prob)


def _weight(module: nn.Module) -> Tensor | None:
    weight = getattr(module, "weight", None)
    return weight if isinstance(weight, Tensor) else None


def _fill_bias(module: nn.Module, value: float) -> None:
    bias = getattr(module, "bias", None)
    if isinstance(bias, Tensor):
        nn.init.constant_(bias, value)


def _check_distribution(distribution: str) -> None:
    if distribution not in ("uniform", "normal"):
        raise ValueError(f"distribution must be 'uniform' or 'normal', not {distribution!r}")
