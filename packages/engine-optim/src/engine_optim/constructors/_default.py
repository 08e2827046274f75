"""The default constructor: build a wrapper from configs, with options per parameter."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.optim import Optimizer

from engine_optim.constructors._custom import (
    DECAY_KEYS,
    first_argument,
    freeze_parameters,
    ordered_keys,
    unknown_options,
    wrong_factors,
)
from engine_optim.constructors._groups import is_listed, merge_equal_groups
from engine_optim.wrappers import OptimWrapper
from engine_registry import (
    MODEL_WRAPPERS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    Registry,
)
from engine_utils import plain_name

logger = logging.getLogger("engine.optim")

_NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class DefaultOptimWrapperConstructor:
    """Build an optimizer wrapper for a model, with options per parameter.

    ``paramwise_cfg`` may hold factors of the optimizer's ``lr`` or ``weight_decay``:

    - ``lr_mult``, ``decay_mult``: for all parameters;
    - ``bias_lr_mult``, ``bias_decay_mult``: for biases, except those of norms and of the offsets of
      deformable convolutions;
    - ``norm_decay_mult``: for all parameters of normalization layers;
    - ``dwconv_decay_mult``: for depth-wise convolutions, and for their biases where
      ``bias_decay_mult`` is not given;
    - ``flat_decay_mult``: for one-dimensional parameters for which none of the above is given;
    - ``dcn_offset_lr_mult``: for the offset layers of deformable convolutions;

    and

    - ``custom_keys``: options by a part of the parameter's name, as in
      ``{"backbone": dict(lr_mult=0.1)}``. The longest key that occurs in the name applies; of
      equally long keys, the first in alphabetical order. The factors above are then ignored.
      ``requires_grad=False`` freezes the parameters. Arguments of the optimizer are possible, too;
    - ``bypass_duplicate``: skip repeated parameters, such as tied weights, with a warning, instead
      of raising an error;
    - ``merge_equal``: put parameters with equal options into one group, instead of one group per
      parameter. Optimizers that update whole groups are then as fast as without options.

    Frozen parameters (``requires_grad=False``) have no group. A learning rate of 0 stays 0 under
    each schedule. ``custom_keys`` that match no parameter are logged as warnings. A subclass
    overrides `add_params`, and may read its own keys. The first call gets an empty list and the
    whole model.

    Args:
        optim_wrapper_cfg: ``type`` (`OptimWrapper` by default), ``optimizer`` (a config, or an
            optimizer), and arguments of the wrapper.
        paramwise_cfg: Options by parameter, as above.

    Raises:
        TypeError: A config or ``custom_keys`` is not a mapping, a factor is not a number, or
            ``optimizer`` is missing.
        ValueError: A setting does not exist, or a factor of the decay is given, but the optimizer's
            config has no ``weight_decay``.

    Example:
        >>> from torch import nn
        >>> constructor = DefaultOptimWrapperConstructor(
        ...     dict(optimizer=dict(type="SGD", lr=0.1, weight_decay=0.01)),
        ...     dict(norm_decay_mult=0.0),
        ... )
        >>> optim_wrapper = constructor(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
        >>> [group["weight_decay"] for group in optim_wrapper.param_groups]
        [0.01, 0.01, 0.0, 0.0]
    """

    def __init__(
        self,
        optim_wrapper_cfg: Mapping[str, Any],
        paramwise_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(optim_wrapper_cfg, Mapping):
            raise TypeError(
                "optim_wrapper_cfg must be a dict with the key 'optimizer', got "
                f"{type(optim_wrapper_cfg).__name__}"
            )
        # Read key by key: a lazy config resolves a value when it is read, and a copy does not read.
        self.optim_wrapper_cfg = {key: optim_wrapper_cfg[key] for key in optim_wrapper_cfg}
        optimizer = self.optim_wrapper_cfg.pop("optimizer", None)
        if not isinstance(optimizer, Mapping | Optimizer):
            raise TypeError(
                "optimizer of optim_wrapper_cfg must be an optimizer or a config such as "
                f"dict(type='SGD', lr=0.01), got {optimizer!r}"
            )
        self.optimizer_cfg = optimizer
        given = {} if paramwise_cfg is None else paramwise_cfg
        if not isinstance(given, Mapping):
            raise TypeError(
                f"paramwise_cfg must be a dict such as dict(bias_lr_mult=2.0), got {given!r}"
            )
        self.paramwise_cfg = {key: given[key] for key in given}
        options = {} if isinstance(optimizer, Optimizer) else optimizer
        self.base_lr: float | None = options.get("lr")
        self.base_wd: float | None = options.get("weight_decay")
        self._custom_keys: dict[str, Mapping[str, Any]] = {}
        self._check()

    def _check(self) -> None:
        if self.paramwise_cfg and isinstance(self.optimizer_cfg, Optimizer):
            raise ValueError(
                "paramwise_cfg must be empty for an optimizer that is built already; give the "
                "optimizer as a config"
            )
        custom = self.paramwise_cfg.get("custom_keys", {})
        if not isinstance(custom, Mapping) or not all(
            isinstance(value, Mapping) for value in custom.values()
        ):
            raise TypeError(
                "custom_keys must be a dict such as {'backbone': dict(lr_mult=0.1)}, got "
                f"{custom!r}"
            )
        self._custom_keys = ordered_keys(custom)
        # A subclass may read its own keys.
        if type(self) is DefaultOptimWrapperConstructor:
            for message in unknown_options(self.paramwise_cfg, self.optimizer_cfg):
                raise ValueError(message)
        for message in wrong_factors(self.paramwise_cfg):
            raise TypeError(message)
        settings = [self.paramwise_cfg, *custom.values()]
        factors = sorted({key for each in settings for key in DECAY_KEYS if key in each})
        if factors and self.base_wd is None:
            raise ValueError(
                f"paramwise_cfg has {', '.join(factors)}, but the optimizer's config has no "
                "weight_decay to multiply; give it one"
            )

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper.

        Args:
            model: The model, or a wrapper of it such as `DistributedDataParallel`. Names of
                parameters are those in the model itself.
        """
        freeze_parameters(model, self.paramwise_cfg)
        model = _unwrapped(model)
        cfg = {"type": "OptimWrapper", **self.optim_wrapper_cfg}
        if isinstance(self.optimizer_cfg, Optimizer):
            optimizer = self.optimizer_cfg
        else:
            params = {first_argument(self.optimizer_cfg): self._params(model)}
            optimizer = OPTIMIZERS.build(self.optimizer_cfg, default_args=params)
        wrapper: OptimWrapper = OPTIM_WRAPPERS.build({**cfg, "optimizer": optimizer})
        # If all groups have their own rates, none shows the schedule of the default rate.
        if self.paramwise_cfg and "lr" in optimizer.defaults:
            wrapper.track_base_lr()
        return wrapper

    def _params(self, model: nn.Module) -> list[Any]:
        if not self.paramwise_cfg:
            return list(model.parameters())
        self._warn_of_unused_keys(model)
        params: list[dict[str, Any]] = []
        self.add_params(params, model)
        if not self.paramwise_cfg.get("merge_equal"):
            return params
        return merge_equal_groups(params, {"lr": self.base_lr, "weight_decay": self.base_wd})

    def _warn_of_unused_keys(self, model: nn.Module) -> None:
        """Log custom keys without a parameter: most of them are spelling mistakes."""
        named = model.named_parameters(remove_duplicate=False)
        names = [plain_name(name) for name, _ in named]
        for key in self._custom_keys:
            if not any(key in name for name in names):
                logger.warning("custom_keys has %r, which matches no parameter", key)

    def add_params(
        self,
        params: list[dict[str, Any]],
        module: nn.Module,
        prefix: str = "",
        is_dcn_module: bool | float | None = None,
    ) -> None:
        """Add one group per parameter of a module and its sub-modules.

        Args:
            params: The groups so far; new ones are appended.
            module: The module.
            prefix: Its name in the model.
            is_dcn_module: Whether it lies inside a deformable convolution.
        """
        in_dcn = bool(is_dcn_module)
        for name, param in module.named_parameters(recurse=False):
            full_name = plain_name(f"{prefix}.{name}" if prefix else name)
            if not param.requires_grad:
                continue
            if is_listed(param, params):
                self._skip_duplicate(full_name)
                continue
            group: dict[str, Any] = {"params": [param]}
            params.append(group)
            group.update(self._options(full_name, param, module, in_dcn))
            for key, value in group.items():
                if key != "params":
                    logger.info(
                        "paramwise_options -- %s:%s=%s",
                        *(full_name, key, value),
                        extra={"file_only": True},  # a line per option of each parameter
                    )
        is_dcn = in_dcn or _is_deformable(module)
        for name, child in module.named_children():
            child_prefix = f"{prefix}.{name}" if prefix else name
            self.add_params(params, child, prefix=child_prefix, is_dcn_module=is_dcn)

    def _skip_duplicate(self, full_name: str) -> None:
        """Log that a parameter keeps its first group, or raise where that is not configured."""
        if not self.paramwise_cfg.get("bypass_duplicate"):
            raise ValueError(
                f"some parameters appear in more than one parameter group: {full_name} is a tied "
                "weight that has a group already; set bypass_duplicate=True in paramwise_cfg, and "
                "it keeps its first group"
            )
        logger.warning("%s is duplicate: it keeps its first group.", full_name)

    def _is_in(
        self, param_group: Mapping[str, Any], param_group_list: list[dict[str, Any]]
    ) -> bool:
        """Return whether a parameter of a group is in one of the other groups."""
        # For the `add_params` of subclasses, which call it by this name.
        return any(is_listed(param, param_group_list) for param in param_group["params"])

    def _options(
        self, full_name: str, param: nn.Parameter, module: nn.Module, in_dcn: bool
    ) -> dict[str, Any]:
        """Return the options of a parameter that differ from those of the optimizer."""
        # A custom key replaces all other rules for its parameters.
        for key, custom in self._custom_keys.items():
            if key in full_name:
                return self._custom_options(custom)
        options: dict[str, Any] = {}
        lr_mult = self._lr_mult(full_name, module, in_dcn)
        decay_mult = self._decay_mult(full_name, param, module, in_dcn)
        if lr_mult is not None and self.base_lr is not None:
            options["lr"] = self.base_lr * lr_mult
        if decay_mult is not None and self.base_wd is not None:
            options["weight_decay"] = self.base_wd * decay_mult
        return options

    def _custom_options(self, custom: Mapping[str, Any]) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self.base_lr is not None:
            options["lr"] = self.base_lr * custom.get("lr_mult", 1.0)
        if self.base_wd is not None:
            options["weight_decay"] = self.base_wd * custom.get("decay_mult", 1.0)
        # The factors stay in the group, where tables and users read them.
        own = {key: value for key, value in custom.items() if key != "requires_grad"}
        return {**options, **own}

    def _lr_mult(self, full_name: str, module: nn.Module, in_dcn: bool) -> float | None:
        """Return the factor of the learning rate; ``None`` where no rule applies."""
        cfg = self.paramwise_cfg
        general: float | None = cfg.get("lr_mult")
        special: float | None = None
        # Biases of norms follow the rules of norms.
        if in_dcn and "conv_offset" in full_name and isinstance(module, _ConvNd):
            special = cfg.get("dcn_offset_lr_mult", 1.0)
        elif _is_bias(full_name) and not isinstance(module, _NORMS):
            special = cfg.get("bias_lr_mult", 1.0)
        return _product(general, special)

    def _decay_mult(
        self, full_name: str, param: nn.Parameter, module: nn.Module, in_dcn: bool
    ) -> float | None:
        """Return the factor of the weight decay, from the most specific configured rule."""
        cfg = self.paramwise_cfg
        general: float | None = cfg.get("decay_mult")
        # From the most specific to the most general rule: the first configured one applies.
        rules = {
            "norm_decay_mult": isinstance(module, _NORMS),
            "bias_decay_mult": _is_bias(full_name) and not (in_dcn or isinstance(module, _NORMS)),
            "dwconv_decay_mult": _is_depthwise(module),
            "flat_decay_mult": param.ndim == 1,
        }
        applicable = [key for key, applies in rules.items() if applies]
        special = next((float(cfg[key]) for key in applicable if key in cfg), None)
        # If rules apply and none is configured, the factor is 1: the group lists its decay.
        return _product(general, 1.0 if special is None and applicable else special)


def _product(general: float | None, special: float | None) -> float | None:
    if general is None or special is None:
        return special if general is None else general
    return general * special


def _unwrapped(model: nn.Module) -> nn.Module:
    # Wrappers may be nested. Registered wrapper classes store the model as `module` too.
    wrappers = (DataParallel, DistributedDataParallel)
    registered = list(_wrapper_classes(MODEL_WRAPPERS))
    while isinstance(model, wrappers) or type(model) in registered:
        inner = getattr(model, "module", None)
        if not isinstance(inner, nn.Module):
            break
        model = inner
    return model


def _wrapper_classes(registry: Registry) -> Iterator[object]:
    """Yield the classes of a registry and of those below it, which belong to libraries."""
    yield from registry.module_dict.values()
    for child in registry.children.values():
        yield from _wrapper_classes(child)


def _is_bias(full_name: str) -> bool:
    return full_name.rpartition(".")[2] == "bias"


def _is_depthwise(module: nn.Module) -> bool:
    # A convolution with one input channel also has as many groups as channels, but is ordinary.
    return isinstance(module, _ConvNd) and 1 < module.in_channels == module.groups


def _is_deformable(module: nn.Module) -> bool:
    # Compare names: the classes are in libraries that may not be installed.
    names = {"DeformConv2d", "ModulatedDeformConv2d"}
    return any(kind.__name__ in names for kind in type(module).__mro__)
