"""Choose the sub-modules of a model that are sharded as separate units, by a policy."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from engine_registry import Registry
from engine_utils import did_you_mean

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


def wrap_policy(value: str | WrapPolicy | Mapping[str, Any]) -> WrapPolicy:
    """Return a policy from a callable, a name or a config.

    Args:
        value: The policy, its name in `FSDP_WRAP_POLICIES`, or a dict of ``type`` and arguments.

    Raises:
        TypeError: ``value`` is none of these.
        ValueError: The name is not registered.
    """
    if isinstance(value, str):
        value = {"type": value}
    if isinstance(value, Mapping):
        arguments = dict(value)
        name = arguments.pop("type", None)
        policy = FSDP_WRAP_POLICIES.get(name) if isinstance(name, str) else name
        if policy is None:
            FSDP_WRAP_POLICIES.import_from_location()  # the message lists the policies of torch too
            names = sorted(FSDP_WRAP_POLICIES.module_dict)
            raise ValueError(
                f"fsdp_auto_wrap_policy must be a name in FSDP_WRAP_POLICIES ({', '.join(names)}), "
                f"got {name!r}{did_you_mean(name, names)}; register your own policy there"
            )
        value = functools.partial(policy, **arguments)
    if not callable(value):
        raise TypeError(
            f"fsdp_auto_wrap_policy must be a callable, a name or a dict, got {value!r}"
        )
    return value
