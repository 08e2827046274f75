"""State dicts of modules that hold parallel wrappers somewhere inside."""

import logging
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from engine_model._dtensor import spread_like, whole
from engine_model._model_wrapper import is_model_wrapper
from engine_model.weights._errors import StateDictError
from engine_model.weights._loader import resolve_logger
from engine_model.weights._report import LoadReport


def wrapper_prefixes(module: nn.Module) -> list[str]:
    """The names, with a dot at the end, under which wrappers keep the module they wrap.

    Args:
        module: The outermost module.
    """
    return [
        f"{name}.module." if name else "module."
        for name, child in module.named_modules(remove_duplicate=False)
        if is_model_wrapper(child) and isinstance(getattr(child, "module", None), nn.Module)
    ]


def _without_wrappers(key: str, prefixes: list[str]) -> str:
    """Take the ``module.`` of each wrapper out of a key, the innermost first."""
    for prefix in sorted(prefixes, key=len, reverse=True):
        if key.startswith(prefix):
            key = prefix.removesuffix("module.") + key.removeprefix(prefix)
    return key


def get_state_dict(
    module: nn.Module,
    destination: dict[str, Any] | None = None,
    prefix: str = "",
    keep_vars: bool = False,
) -> dict[str, Any]:
    """Return the state of a module under the names it would have without any wrapper.

    ``nn.Module.state_dict``, but the ``module.`` that ``DistributedDataParallel`` and the like add
    is left out, wherever in the tree they are. Sharded weights stay sharded;
    :func:`weights_to_cpu` gathers them.

    Args:
        module: The module.
        destination: A dict to be filled and returned; a new one if left out.
        prefix: Put before each key.
        keep_vars: Keep parameters as they are, with their graph.

    Example:
        >>> model = nn.Sequential(nn.DataParallel(nn.Linear(2, 1)))
        >>> list(model.state_dict()), list(get_state_dict(model))
        (['0.module.weight', '0.module.bias'], ['0.weight', '0.bias'])
    """
    state: Any = module.state_dict(keep_vars=keep_vars)
    inner = wrapper_prefixes(module)
    result: Any = OrderedDict() if destination is None else destination
    result.update({prefix + _without_wrappers(key, inner): v for key, v in state.items()})
    metadata = {
        prefix_of(prefix, _without_wrappers(f"{name}.", inner)): version
        for name, version in getattr(state, "_metadata", {}).items()
    }
    if isinstance(result, OrderedDict):
        known: dict[str, Any] = getattr(result, "_metadata", {})
        result._metadata = OrderedDict({**known, **metadata})  # type: ignore[attr-defined]  # torch's way
    return result  # type: ignore[no-any-return]  # Any only to carry _metadata


def prefix_of(prefix: str, name: str) -> str:
    """Join a prefix and a module's name, both with a dot at the end; the last dot goes."""
    return (prefix + name.removeprefix(".")).rstrip(".")


def load_state_dict(
    module: nn.Module,
    state_dict: Mapping[str, Any],
    strict: bool = False,
    logger: logging.Logger | str | None = None,
) -> LoadReport:
    """Load weights into a module, and tell which did not fit.

    Keys have the names that :func:`get_state_dict` gives. Weights of another shape are left out
    and reported, where torch would raise. A module made on the device ``meta`` takes the tensors
    themselves. Whole weights go into a sharded module as well, of which each rank takes its part
    of what it was given; sharded ones into a whole module, if all ranks call this.

    Args:
        module: The module, or a wrapper of it.
        state_dict: Weights by name; it is not changed.
        strict: Raise if anything does not fit, after loading what does.
        logger: Who is warned of what does not fit; ``"silent"`` for nobody.

    Returns:
        What did not fit.

    Raises:
        StateDictError: If ``strict`` and something does not fit.
        TypeError: If ``state_dict`` is no mapping.

    Example:
        >>> import torch
        >>> weights = {"weight": torch.zeros(1, 2)}
        >>> report = load_state_dict(nn.Linear(2, 1), weights, logger="silent")
        >>> report.missing
        ['bias']
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"state_dict is a {type(state_dict).__name__}; give a dict of weights")
    report = _load(module, state_dict)
    if report.fits:
        return report
    message = f"the weights do not fit {type(module).__name__} exactly\n{report}"
    if strict:
        raise StateDictError(message)
    chosen = resolve_logger(logger)
    if chosen is not None:
        chosen.warning("%s", message)
    return report


def _load(module: nn.Module, state_dict: Mapping[str, Any]) -> LoadReport:
    inner = wrapper_prefixes(module)
    current = module.state_dict(keep_vars=True)
    actual = {_without_wrappers(key, inner): key for key in current}
    given: Any = OrderedDict((actual.get(key, key), value) for key, value in state_dict.items())
    if hasattr(state_dict, "_metadata"):
        given._metadata = _metadata_for(module, inner, state_dict._metadata)
    for key, value in given.items():
        given[key] = spread_like(value, current.get(key))
    missing, unexpected, errors = _load_all_that_fits(module, given)
    mismatched = {
        key: (tuple(given[key].shape), tuple(current[key].shape))
        for key in given
        if _differ(given[key], current.get(key)) and any(f" {key}:" in text for text in errors)
    }
    return LoadReport(
        missing=[_without_wrappers(key, inner) for key in missing],
        unexpected=[_without_wrappers(key, inner) for key in unexpected],
        mismatched={_without_wrappers(key, inner): s for key, s in mismatched.items()},
        errors=[text for text in errors if not any(f" {key}:" in text for key in mismatched)],
    )


def _metadata_for(
    module: nn.Module, inner: list[str], metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """The versions of modules, under the names that they have with their wrappers."""
    names = {
        name: prefix_of("", _without_wrappers(f"{name}.", inner))
        for name, _ in module.named_modules()
    }
    return {name: metadata[clean] for name, clean in names.items() if clean in metadata}


def _differ(given: Any, wanted: Any) -> bool:
    return isinstance(given, Tensor) and isinstance(wanted, Tensor) and given.shape != wanted.shape


def _load_all_that_fits(
    module: nn.Module, state_dict: Mapping[str, Any]
) -> tuple[list[str], list[str], list[str]]:
    """Load; return missing keys, unexpected keys, and what modules reported.

    torch raises at the end for what modules reported, shapes for the most part, and drops its lists
    of keys then. A hook of the outermost module sees all three lists while they are filled.
    """
    lists: list[list[str]] = []

    def keep(_module: nn.Module, *arguments: Any) -> None:
        lists.extend(arguments[-3:])

    handle = module.register_load_state_dict_pre_hook(keep)  # type: ignore[no-untyped-call]  # torch
    # Parameters without memory take the weights themselves: there is nothing to copy into.
    state = module.state_dict().values()
    without_memory = any(isinstance(value, Tensor) and value.is_meta for value in state)
    try:
        module.load_state_dict(state_dict, strict=False, assign=without_memory)
    except RuntimeError:
        if not lists or not lists[2]:
            raise
    finally:
        handle.remove()
    return lists[0], lists[1], lists[2]


def weights_to_cpu(state_dict: dict[str, Any]) -> dict[str, Any]:
    """Return the weights on the CPU, in a new dict; those that are there already are not copied.

    Sharded ones become whole, one after another; then all ranks must call this, with the same keys.

    Args:
        state_dict: Weights by name, such as :func:`get_state_dict` returns.

    Example:
        >>> import torch
        >>> weights_to_cpu({"weight": torch.zeros(2)})["weight"].device
        device(type='cpu')
    """
    result: Any = OrderedDict(
        (key, whole(value).cpu() if isinstance(value, Tensor) else value)
        for key, value in state_dict.items()
    )
    if hasattr(state_dict, "_metadata"):
        result._metadata = state_dict._metadata
    return result  # type: ignore[no-any-return]  # Any only to carry _metadata
