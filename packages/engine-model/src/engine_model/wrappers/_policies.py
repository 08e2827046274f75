"""Choose the sub-modules of a model that are sharded as separate units, by a policy."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn

from engine_model._select import Selector, module_selectors, select_modules
from engine_registry import FUNCTIONS, Registry
from engine_utils import call_mistakes, did_you_mean

WrapPolicy = Callable[[nn.Module, bool, int], bool]
"""A policy, called as ``policy(module, recurse, nonwrapped_numel)``.

``nonwrapped_numel`` counts the elements of the module's parameters that are in no child unit. If
``recurse`` is true, the policy returns whether to visit the children. Otherwise it returns whether
to shard the module as a unit.
"""

# A separate module registers torch's policies, because it imports torch.distributed.fsdp, which
# takes most of a second. The registry imports that module if a lookup finds nothing.
FSDP_WRAP_POLICIES = Registry(
    "fsdp_wrap_policy", scope="engine", locations=["engine_model.wrappers._torch_policies"]
)
"""The policies that a config may give as ``fsdp_auto_wrap_policy``."""


AutoWrapPolicy = str | int | WrapPolicy | Mapping[str, Any] | Iterable[Selector] | type[nn.Module]
"""What ``auto_wrap_policy`` takes; see `wrap_policy`."""

_SETTING = "auto_wrap_policy"


def wrap_policy(value: AutoWrapPolicy, model: nn.Module) -> WrapPolicy:
    """Return a policy from what a config or a script gives.

    Args:
        value: The policy: a callable; its name in `FSDP_WRAP_POLICIES` or ``FUNCTIONS``, or a dict
            of this ``type`` and arguments; an integer, the least number of elements in a unit; or
            the names of modules, the names of classes, or the classes of the units.
        model: The model, in which modules and classes are found.

    Raises:
        TypeError: ``value`` is none of these, or the policy has no such arguments.
        ValueError: The name is neither registered nor in the model, or the integer is less than 1.
    """
    if isinstance(value, bool) or value is None:
        raise TypeError(
            f"{_SETTING} must be a callable, a name, an integer, a dict or classes, got {value!r}"
        )
    if isinstance(value, int):
        return _by_size(value)
    if isinstance(value, Mapping):
        return _from_config(value, model)
    if isinstance(value, str):
        policy = _registered(value)
        if policy is None and not _names_modules(value, model):
            raise ValueError(_unknown(value, model))
        value = value if policy is None else policy
    # A class of modules is callable, too.
    if callable(value) and not isinstance(value, type):
        return value
    chosen = select_modules(model, module_selectors(value, _SETTING), _SETTING)
    return lambda module, recurse, nonwrapped_numel: recurse or module in chosen


def _by_size(least: int) -> WrapPolicy:
    if least < 1:
        raise ValueError(f"{_SETTING} must be an integer >= 1, got {least}")
    return functools.partial(_registered("size_based_auto_wrap_policy"), min_num_params=least)


def _registered(name: str) -> Any:
    policy = FSDP_WRAP_POLICIES.get(name)
    return FUNCTIONS.in_default_scope().get(name) if policy is None else policy


def _from_config(config: Mapping[str, Any], model: nn.Module) -> WrapPolicy:
    arguments = dict(config)
    name = arguments.pop("type", None)
    policy = _registered(name) if isinstance(name, str) else name
    if not callable(policy):
        raise ValueError(_unknown(name, None))
    for key in ("transformer_layer_cls", "module_classes"):  # of the policies of torch
        if key in arguments:
            found = select_modules(model, module_selectors(arguments[key], key), key)
            arguments[key] = {type(module) for module in found}
    target = policy if isinstance(policy, type) else functools.partial(policy, None, True, 0)
    for mistake in call_mistakes(target, arguments):
        if mistake.kind != "wrong type":  # such as 1e8 for an integer
            raise TypeError(f"{_SETTING} of type {name!r}: {mistake.message}")
    made: WrapPolicy = (
        policy(**arguments) if isinstance(policy, type) else functools.partial(policy, **arguments)
    )
    return made


def _names_modules(name: str, model: nn.Module) -> bool:
    return any(
        name in (path, type(module).__name__)
        for path, module in model.named_modules(remove_duplicate=False)
        if path or name
    )


def _unknown(name: object, model: nn.Module | None) -> str:
    FSDP_WRAP_POLICIES.import_from_location()  # the message lists the policies of torch too
    policies = sorted(FSDP_WRAP_POLICIES.module_dict)
    message = f"{_SETTING} must be a name in FSDP_WRAP_POLICIES ({', '.join(policies)})"
    if model is None:
        similar = did_you_mean(name, policies)
        return f"{message} or FUNCTIONS, got {name!r}{similar}; register your own policy there"
    kinds = dict.fromkeys(type(module).__name__ for module in model.modules())
    paths = [path for path, _ in model.named_modules() if path]
    return (
        f"{message} or FUNCTIONS, a module or a class of modules of {type(model).__name__}, got "
        f"{name!r}{did_you_mean(name, [*policies, *kinds, *paths])}; the model has the classes "
        f"{', '.join(kinds)}; register your own policy in FUNCTIONS"
    )
