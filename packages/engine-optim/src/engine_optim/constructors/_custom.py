"""The settings of ``paramwise_cfg``: which there are, and which parameters they freeze."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from engine_registry import OPTIMIZERS
from engine_utils import did_you_mean, plain_name

OTHER_KEYS = (
    "lr_mult",
    "bias_lr_mult",
    "dcn_offset_lr_mult",
    "custom_keys",
    "bypass_duplicate",
    "merge_equal",
)
DECAY_KEYS = (
    "decay_mult",
    "bias_decay_mult",
    "norm_decay_mult",
    "flat_decay_mult",
    "dwconv_decay_mult",
)
_CUSTOM_OPTIONS = ("lr_mult", "decay_mult", "requires_grad")


def unknown_options(paramwise_cfg: Mapping[str, Any], optimizer: Any) -> Iterator[str]:
    """Yield a message for each setting that nothing reads.

    Args:
        paramwise_cfg: The settings, whose ``custom_keys`` are mappings.
        optimizer: The optimizer's config; its arguments may be set by ``custom_keys``.
    """
    keys = [*OTHER_KEYS, *DECAY_KEYS]
    for key in paramwise_cfg:
        if key not in keys:
            hint = did_you_mean(key, keys) or f"; it may hold {', '.join(keys)}"
            yield f"paramwise_cfg has no option {key!r}{hint}"
    arguments = _arguments(optimizer)
    for pattern, options in paramwise_cfg.get("custom_keys", {}).items():
        for key in options:
            known = [*_CUSTOM_OPTIONS, *(arguments or ())]
            if key not in known and (arguments is not None or did_you_mean(key, known)):
                hint = did_you_mean(key, known) or f"; there are {', '.join(known)}"
                yield f"custom_keys[{pattern!r}] has no option {key!r}{hint}"


def wrong_factors(paramwise_cfg: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each factor that is not a number.

    Args:
        paramwise_cfg: The settings, whose ``custom_keys`` are mappings.
    """
    factors = [key for key in (*OTHER_KEYS, *DECAY_KEYS) if key.endswith("_mult")]
    owners = {f"custom_keys[{key!r}]": value for key, value in _custom_keys(paramwise_cfg).items()}
    for owner, options in {"paramwise_cfg": paramwise_cfg, **owners}.items():
        for key in factors:
            value = options.get(key, 1.0)
            if isinstance(value, bool) or not isinstance(value, int | float):
                yield f"{key} of {owner} must be a number, got {value!r}"


def _custom_keys(paramwise_cfg: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return paramwise_cfg.get("custom_keys") or {}


def optimizer_class(optimizer: Any) -> Any:
    """Return what the config of an optimizer is passed to, or None if that is not known."""
    kind = optimizer.get("type") if isinstance(optimizer, Mapping) else None
    if not isinstance(kind, str):
        return kind
    try:
        return OPTIMIZERS.in_default_scope().get(kind)
    except (ImportError, LookupError):  # building it reports the error
        return None


def _arguments(optimizer: Any) -> list[str] | None:
    """Return the arguments of an optimizer, or None if it does not list them."""
    kind = optimizer_class(optimizer)
    try:
        parameters = list(inspect.signature(kind).parameters.values())
    except (TypeError, ValueError):
        return None
    if any(item.kind is inspect.Parameter.VAR_KEYWORD for item in parameters):
        return None
    return [item.name for item in parameters[1:]]


def first_argument(optimizer: Any) -> str:
    """Return the name by which an optimizer takes its parameters."""
    try:
        parameters = list(inspect.signature(optimizer_class(optimizer)).parameters.values())
    except (TypeError, ValueError):
        return "params"
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return parameters[0].name if parameters and parameters[0].kind in named else "params"


def ordered_keys(custom_keys: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return custom keys so that the first one that occurs in a name applies to it."""
    # The longest key, then the first in alphabetical order.
    ordered = sorted(custom_keys, key=lambda key: (-len(key), key))
    return {key: custom_keys[key] for key in ordered}


def freeze_parameters(model: nn.Module, paramwise_cfg: Mapping[str, Any] | None) -> None:
    """Set ``requires_grad`` of the parameters for which ``custom_keys`` has it.

    Call it before the model is wrapped for several processes: the wrapper waits for the gradient
    of each parameter that was trainable when it was built.

    Args:
        model: The model.
        paramwise_cfg: Its ``custom_keys`` may have ``requires_grad``.

    Raises:
        TypeError: ``requires_grad`` is not a bool.
        ValueError: The model is wrapped already, and a parameter would change.

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
        >>> freeze_parameters(model, dict(custom_keys={"0.": dict(requires_grad=False)}))
        >>> [name for name, weight in model.named_parameters() if weight.requires_grad]
        ['1.weight', '1.bias']
    """
    keys = ordered_keys((paramwise_cfg or {}).get("custom_keys") or {})
    if not any("requires_grad" in options for options in keys.values()):
        return
    wrapped = isinstance(model, DistributedDataParallel)
    for full_name, param in model.named_parameters():
        name = plain_name(full_name)
        options = next((value for key, value in keys.items() if key in name), {})
        wanted = options.get("requires_grad", param.requires_grad)
        if not isinstance(wanted, bool):
            raise TypeError(f"requires_grad of custom_keys must be True or False, got {wanted!r}")
        if wrapped and wanted != param.requires_grad:
            raise ValueError(
                f"requires_grad of {name} must be set before DistributedDataParallel wraps the "
                "model, which waits for its gradient; call freeze_parameters(model, paramwise_cfg) "
                "before"
            )
        param.requires_grad_(wanted)
