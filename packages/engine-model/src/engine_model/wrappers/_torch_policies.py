"""Register torch's wrap policies; this imports `torch.distributed.fsdp`."""

from torch.distributed.fsdp.wrap import (
    ModuleWrapPolicy,
    always_wrap_policy,
    size_based_auto_wrap_policy,
    transformer_auto_wrap_policy,
)

from engine_model.wrappers._policies import FSDP_WRAP_POLICIES

for policy in (ModuleWrapPolicy, always_wrap_policy, transformer_auto_wrap_policy):
    FSDP_WRAP_POLICIES.register_module(module=policy)
FSDP_WRAP_POLICIES.register_module(
    name=["default_auto_wrap_policy", "size_based_auto_wrap_policy"],
    module=size_based_auto_wrap_policy,
)
