"""Initializers for configs: apply a function to the layers that a config selects."""

import logging
from collections.abc import Sequence
from typing import TypedDict, Unpack

from torch import Tensor, nn

from engine_model._compiled import is_compiled, original
from engine_model.init._functions import (
    Distribution,
    FanMode,
    bias_init_with_prob,
    constant_init,
    kaiming_init,
    normal_init,
    trunc_normal_init,
    uniform_init,
    xavier_init,
)
from engine_model.init._record import is_recording, update_init_info
from engine_registry import WEIGHT_INITIALIZERS
from engine_utils import plain_name

logger = logging.getLogger("engine.model")


class LayerOptions(TypedDict, total=False):
    """The arguments of `BaseInit`, which every initializer accepts."""

    bias: float
    bias_prob: float | None
    layer: str | Sequence[str] | None


class BaseInit:
    """Initialize the layers of the given classes in a module.

    A subclass implements `initialize_layer`, which initializes one layer, or its own `__call__`.
    `describe` returns the line of the init log.

    Args:
        bias: The value of biases.
        bias_prob: A probability. If given, ``bias`` is the value with which a sigmoid unit
            initially outputs this probability.
        layer: The class name, or names, of the layers to initialize. Names of base classes match
            too.

    Attributes:
        wholly_init: Whether to ignore ``layer`` and initialize every layer.

    Raises:
        TypeError: ``bias`` or ``bias_prob`` is not a number, or ``layer`` is neither a string nor a
            list of strings, or a subclass implements neither `initialize_layer` nor `__call__`.

    Example:
        >>> @WEIGHT_INITIALIZERS.register_module(name="Orthogonal")
        ... class OrthogonalInit(BaseInit):
        ...     def initialize_layer(self, layer):
        ...         nn.init.orthogonal_(layer.weight)
        ...     def describe(self):
        ...         return "OrthogonalInit"
        >>> net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        >>> initializer = WEIGHT_INITIALIZERS.build(dict(type="Orthogonal", layer="Linear"))
        >>> initializer(net)
        >>> round(abs(net[0].weight.det().item()), 3)
        1.0
    """

    needs_fans = False
    """Whether the weight must have two dimensions, so that fan-in and fan-out exist."""

    def __init__(
        self,
        *,
        bias: float = 0,
        bias_prob: float | None = None,
        layer: str | Sequence[str] | None = None,
    ) -> None:
        if type(self).__call__ is BaseInit.__call__ and (
            type(self).initialize_layer is BaseInit.initialize_layer
        ):
            raise TypeError(
                f"{type(self).__name__} must implement initialize_layer(layer), or __call__(module)"
            )
        if not isinstance(bias, int | float):
            raise TypeError(f"bias must be a number, got {type(bias).__name__}")
        if not isinstance(bias_prob, int | float | None):
            raise TypeError(f"bias_prob must be a number or None, got {type(bias_prob).__name__}")
        if not isinstance(layer, str | list | tuple | None):
            raise TypeError(f"layer must be a class name or a list, got {type(layer).__name__}")
        self.wholly_init = False
        self.layer = [layer] if isinstance(layer, str) else list(layer or ())
        self.bias = bias if bias_prob is None else bias_init_with_prob(bias_prob)

    def __call__(self, module: nn.Module) -> None:
        """Initialize the chosen layers of ``module``, itself included."""
        layers = [(n, layer) for n, layer in module.named_modules() if not is_compiled(layer)]
        chosen = [(name, layer) for name, layer in layers if self._is_chosen(layer)]
        if self.layer and not chosen:
            logger.warning(
                "%s initializes nothing: %s has no layer of the class %s; its classes are %s",
                type(self).__name__,
                type(original(module)).__name__,
                " or ".join(self.layer),
                ", ".join(sorted({type(layer).__name__ for _, layer in layers})),
            )
        for name, layer in chosen:
            try:
                self.initialize_layer(layer)
            except Exception as error:
                where = f"{plain_name(name) or 'the module itself'} ({type(layer).__name__})"
                error.add_note(f"in the initialization of {where} by {self._get_init_info()}")
                raise
        # The table exists only while `BaseModule.init_weights` runs.
        if is_recording(module):
            update_init_info(module, self._get_init_info())

    def initialize_layer(self, layer: nn.Module) -> None:
        """Initialize one layer in place."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement initialize_layer(layer), which its __call__ uses"
        )

    def describe(self) -> str:
        """Return the line that the init log shows for this initializer."""
        return f"{type(self).__name__}: bias={self.bias}"

    def _get_init_info(self) -> str:
        return self.describe()  # by this name for subclasses

    def _is_chosen(self, layer: nn.Module) -> bool:
        if not self.wholly_init:
            # Compare names: isinstance would need to import the classes that a config lists.
            return any(base.__name__ in self.layer for base in type(layer).__mro__)
        if not self.needs_fans:
            return True
        # Skip layers such as norms, whose weight has one dimension and therefore no fan-in.
        weight = getattr(layer, "weight", None)
        return isinstance(weight, Tensor) and weight.dim() >= 2


@WEIGHT_INITIALIZERS.register_module(name="Constant")
class ConstantInit(BaseInit):
    """Fill weights with a constant.

    Args:
        val: The value of the weights.
        **kwargs: ``bias``, ``bias_prob`` and ``layer`` of `BaseInit`.

    Example:
        >>> linear = nn.Linear(1, 2)
        >>> ConstantInit(val=3, bias=1, layer="Linear")(linear)
        >>> linear.weight.tolist(), linear.bias.tolist()
        ([[3.0], [3.0]], [1.0, 1.0])
    """

    def __init__(self, val: float, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.val = val

    def initialize_layer(self, layer: nn.Module) -> None:
        """Initialize one layer in place."""
        constant_init(layer, self.val, self.bias)

    def describe(self) -> str:
        """Return the line that the init log shows for this initializer."""
        return f"{type(self).__name__}: val={self.val}, bias={self.bias}"


@WEIGHT_INITIALIZERS.register_module(name="Xavier")
class XavierInit(BaseInit):
    """Draw weights by the rule of Glorot and Bengio (2010); see `xavier_init`.

    Args:
        gain: The factor on the standard deviation.
        distribution: ``"normal"`` or ``"uniform"``.
        **kwargs: ``bias``, ``bias_prob`` and ``layer`` of `BaseInit`.

    Example:
        >>> linear = nn.Linear(3, 3)
        >>> XavierInit(distribution="uniform", layer="Linear")(linear)
        >>> bool(linear.weight.abs().max() <= 1)  # sqrt(6 / (fan_in + fan_out))
        True
    """

    needs_fans = True

    def __init__(
        self, gain: float = 1, distribution: Distribution = "normal", **kwargs: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**kwargs)
        self.gain = gain
        self.distribution = distribution

    def initialize_layer(self, layer: nn.Module) -> None:
        """Initialize one layer in place."""
        xavier_init(layer, self.gain, self.bias, self.distribution)

    def describe(self) -> str:
        """Return the line that the init log shows for this initializer."""
        return (
            f"{type(self).__name__}: gain={self.gain}, "
            f"distribution={self.distribution}, bias={self.bias}"
        )


@WEIGHT_INITIALIZERS.register_module(name="Normal")
class NormalInit(BaseInit):
    """Draw weights from N(mean, std²).

    Args:
        mean: The mean of the distribution.
        std: The standard deviation of the distribution.
        **kwargs: ``bias``, ``bias_prob`` and ``layer`` of `BaseInit`.

    Example:
        >>> linear = nn.Linear(2, 1)
        >>> NormalInit(mean=3, std=0, bias=1, layer="Linear")(linear)
        >>> linear.weight.tolist(), linear.bias.tolist()
        ([[3.0, 3.0]], [1.0])
    """

    def __init__(self, mean: float = 0, std: float = 1, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.mean = mean
        self.std = std

    def initialize_layer(self, layer: nn.Module) -> None:
        """Initialize one layer in place."""
        normal_init(layer, self.mean, self.std, self.bias)

    def describe(self) -> str:
        """Return the line that the init log shows for this initializer."""
        return f"{type(self).__name__}: mean={self.mean}, std={self.std}, bias={self.bias}"


@WEIGHT_INITIALIZERS.register_module(name="TruncNormal")
class TruncNormalInit(BaseInit):
    """Draw weights from N(mean, std²) truncated to ``[a, b]``.

    Args:
        mean: The mean of the distribution before truncation.
        std: The standard deviation of the distribution.
        a: The lower bound, not scaled by ``std``.
        b: The upper bound, not scaled by ``std``.
        **kwargs: ``bias``, ``bias_prob`` and ``layer`` of `BaseInit`.

    Example:
        >>> linear = nn.Linear(8, 8)
        >>> TruncNormalInit(a=-1, b=1, layer="Linear")(linear)
        >>> bool(linear.weight.abs().max() <= 1)
        True
    """

    def __init__(
        self,
        mean: float = 0,
        std: float = 1,
        a: float = -2,
        b: float = 2,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.mean = mean
        self.std = std
        self.a = a
        self.b = b

    def initialize_layer(self, layer: nn.Module) -> None:
        """Initialize one layer in place."""
        trunc_normal_init(layer, self.mean, self.std, self.a, self.b, self.bias)

    def describe(self) -> str:
        """Return the line that the init log shows for this initializer."""
        return (
            f"{type(self).__name__}: a={self.a}, b={self.b}, "
            f"mean={self.mean}, std={self.std}, bias={self.bias}"
        )


@WEIGHT_INITIALIZERS.register_module(name="Uniform")
class UniformInit(BaseInit):
    """Draw weights from U(a, b).

    Args:
        a: The lower bound.
        b: The upper bound.
        **kwargs: ``bias``, ``bias_prob`` and ``layer`` of `BaseInit`.

    Example:
        >>> linear = nn.Linear(8, 8)
        >>> UniformInit(a=2, b=3, layer="Linear")(linear)
        >>> bool(linear.weight.min() >= 2) and bool(linear.weight.max() <= 3)
        True
    """

    def __init__(self, a: float = 0, b: float = 1, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.a = a
        self.b = b

    def initialize_layer(self, layer: nn.Module) -> None:
        """Initialize one layer in place."""
        uniform_init(layer, self.a, self.b, self.bias)

    def describe(self) -> str:
        """Return the line that the init log shows for this initializer."""
        return f"{type(self).__name__}: a={self.a}, b={self.b}, bias={self.bias}"


@WEIGHT_INITIALIZERS.register_module(name="Kaiming")
class KaimingInit(BaseInit):
    """Draw weights by the rule of He et al. (2015); see `kaiming_init`.

    Args:
        a: The negative slope of the ``leaky_relu`` after the layer.
        mode: ``fan_in`` keeps the variance in the forward pass, ``fan_out`` in the backward pass.
        nonlinearity: The name of the function in `torch.nn.functional`.
        distribution: ``"normal"`` or ``"uniform"``.
        **kwargs: ``bias``, ``bias_prob`` and ``layer`` of `BaseInit`.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Linear(4, 2))
        >>> before = net[1].weight.clone()
        >>> KaimingInit(layer="Conv2d")(net)
        >>> bool((net[1].weight == before).all())
        True
    """

    needs_fans = True

    def __init__(
        self,
        a: float = 0,
        mode: FanMode = "fan_out",
        nonlinearity: str = "relu",
        distribution: Distribution = "normal",
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.a = a
        self.mode: FanMode = mode
        self.nonlinearity = nonlinearity
        self.distribution: Distribution = distribution

    def initialize_layer(self, layer: nn.Module) -> None:
        """Initialize one layer in place."""
        kaiming_init(layer, self.a, self.mode, self.nonlinearity, self.bias, self.distribution)

    def describe(self) -> str:
        """Return the line that the init log shows for this initializer."""
        # The blank before the equals sign is part of the documented log line.
        return (
            f"{type(self).__name__}: a={self.a}, mode={self.mode}, "
            f"nonlinearity={self.nonlinearity}, distribution ={self.distribution}, "
            f"bias={self.bias}"
        )


@WEIGHT_INITIALIZERS.register_module(name="Caffe2Xavier")
class Caffe2XavierInit(KaimingInit):
    """Draw weights as the ``XavierFill`` of Caffe2 does: U(-b, b) with b = sqrt(3 / fan_in).

    Args:
        **kwargs: ``bias``, ``bias_prob`` and ``layer`` of `BaseInit`.

    Example:
        >>> linear = nn.Linear(3, 4)
        >>> Caffe2XavierInit(layer="Linear")(linear)
        >>> bool(linear.weight.abs().max() <= 1)
        True
    """

    def __init__(self, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(
            a=1, mode="fan_in", nonlinearity="leaky_relu", distribution="uniform", **kwargs
        )
