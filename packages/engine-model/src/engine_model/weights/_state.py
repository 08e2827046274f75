"""Get and load state dicts of modules that contain model wrappers at any depth."""

import logging
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from engine_model._compiled import original
from engine_model._sharded_tensors import shard_like, whole
from engine_model.weights._errors import StateDictError
from engine_model.weights._loader import resolve_logger
from engine_model.weights._names import prefix_of, versions_for, without_wrappers, wrapper_prefixes
from engine_model.weights._report import LoadReport, nothing_fits
from engine_utils import plain_name


def get_state_dict(
    module: nn.Module,
    destination: dict[str, Any] | None = None,
    prefix: str = "",
    keep_vars: bool = False,
) -> dict[str, Any]:
    """Return the state dict of a module, with the names that it would have without wrappers.

    It is `nn.Module.state_dict` without the ``module.`` that wrappers such as
    `DistributedDataParallel` add at any depth, and without the ``_orig_mod.`` of `torch.compile`.
    Sharded weights stay sharded. `weights_to_cpu` gathers them.

    Args:
        module: The module.
        destination: A dict to fill and return; by default a new one.
        prefix: The text before each key.
        keep_vars: Whether to return the parameters themselves, instead of detached tensors.

    Example:
        >>> model = nn.Sequential(nn.DataParallel(nn.Linear(2, 1)))
        >>> list(model.state_dict()), list(get_state_dict(model))
        (['0.module.weight', '0.module.bias'], ['0.weight', '0.bias'])
    """
    # Any, because torch stores the versions of modules in an attribute of the dict, `_metadata`.
    state: Any = module.state_dict(keep_vars=keep_vars)
    inner = wrapper_prefixes(module)
    result: Any = OrderedDict() if destination is None else destination
    result.update({prefix + without_wrappers(key, inner): v for key, v in state.items()})
    # torch reads the versions to convert old weights: a batch norm of version 1 counts no batches.
    metadata = {
        prefix_of(prefix, without_wrappers(f"{name}.", inner)): version
        for name, version in getattr(state, "_metadata", {}).items()
    }
    if isinstance(result, OrderedDict):
        given: dict[str, Any] = getattr(result, "_metadata", {})
        result._metadata = OrderedDict({**given, **metadata})  # type: ignore[attr-defined]  # torch's way
    return result  # type: ignore[no-any-return]  # Any only to carry _metadata


def load_state_dict(
    module: nn.Module,
    state_dict: Mapping[str, Any],
    strict: bool = False,
    logger: logging.Logger | str | None = None,
) -> LoadReport:
    """Load weights into a module, and report the keys that did not fit.

    Keys are the names that `get_state_dict` returns. Keys of a compiled module are accepted too.
    Weights of another shape are skipped and reported, while torch would raise an error. A lazy
    module takes its shapes from the weights. A module on the device ``meta`` uses the given tensors
    themselves.

    If the module is sharded and the weights are not, each rank loads its part of the weights.
    If the weights are sharded and the module is not, all ranks must call this.

    Args:
        module: The module, or a wrapper of it.
        state_dict: Weights by name; it is not changed.
        strict: Whether to raise an error if a key does not fit, after loading the others.
        logger: The logger of the warning about keys that do not fit; ``"silent"`` logs nothing.

    Returns:
        The keys that did not fit.

    Raises:
        StateDictError: No key fits, or ``strict`` is true and a key does not fit.
        TypeError: ``state_dict`` is not a mapping.

    Example:
        >>> import torch
        >>> weights = {"weight": torch.zeros(1, 2)}
        >>> report = load_state_dict(nn.Linear(2, 1), weights, logger="silent")
        >>> report.missing
        ['bias']
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"state_dict must be a dict of weights, got {type(state_dict).__name__}")
    module = original(module)
    inner = wrapper_prefixes(module)
    current = module.state_dict(keep_vars=True)  # the parameters, without a detached copy of each
    name = type(module).__name__
    expected = [without_wrappers(key, inner) for key in current]
    try:
        report = _load(module, state_dict, current, inner)
    except Exception as error:
        # A module that converts old weights may expect its own names. Others come first.
        if expected and not {plain_name(key) for key in state_dict} & set(expected):
            message = nothing_fits(name, state_dict, expected, LoadReport())
            raise StateDictError(message) from error
        raise
    if report.fits:
        return report
    message = f"the weights do not fit {name} exactly\n{report}"
    if strict:
        raise StateDictError(message)
    # A module may fill in what is missing, as batch normalization does with its count of batches.
    unused = len(report.unexpected) + len(report.mismatched) >= len(state_dict)
    if current and (unused or len(report.missing) + len(report.mismatched) >= len(current)):
        raise StateDictError(nothing_fits(name, state_dict, expected, report))
    chosen = resolve_logger(logger)
    if chosen is not None:
        chosen.warning("%s", message)
    return report


def _load(
    module: nn.Module,
    state_dict: Mapping[str, Any],
    current: Mapping[str, Any],
    inner: list[str],
) -> LoadReport:
    actual = {without_wrappers(key, inner): key for key in current}
    given: Any = OrderedDict()
    for key, value in state_dict.items():
        plain = plain_name(key)
        # If the weights have both names, only the plain one is loaded.
        name = key if key in actual or plain in state_dict else plain
        given[actual.get(name, name)] = value
    if hasattr(state_dict, "_metadata"):
        given._metadata = versions_for(module, inner, state_dict._metadata)
    for key, value in list(given.items()):
        if isinstance(value, Tensor) and is_lazy(value):
            del given[key]  # it has no values: its module was never called
        else:
            given[key] = shard_like(value, current.get(key))
    missing, unexpected, errors = _load_all_that_fits(module, given)
    # Report only the shapes in torch's errors: a module may accept another shape, as a lazy one
    # does. torch names the key only in the text of the error.
    mismatched = {
        key: (tuple(given[key].shape), tuple(current[key].shape))
        for key in given
        if any(f" {key}:" in text for text in errors) and _differ(given[key], current.get(key))
    }
    return LoadReport(
        missing=[without_wrappers(key, inner) for key in missing],
        unexpected=[without_wrappers(key, inner) for key in unexpected],
        mismatched={without_wrappers(key, inner): s for key, s in mismatched.items()},
        errors=[text for text in errors if not any(f" {key}:" in text for key in mismatched)],
    )


def _differ(given: object, current: object) -> bool:
    if not isinstance(given, Tensor) or not isinstance(current, Tensor) or is_lazy(current):
        return False
    return given.shape != current.shape


def _load_all_that_fits(
    module: nn.Module, state_dict: Mapping[str, Any]
) -> tuple[list[str], list[str], list[str]]:
    """Load weights; return the missing keys, the unexpected keys, and the errors of modules."""
    # If a module reports an error, usually about a shape, torch raises it at the end and drops its
    # lists of keys. A hook of the outermost module gets the lists before torch fills them.
    lists: list[list[str]] = []

    def keep(_module: nn.Module, *arguments: Any) -> None:
        lists.extend(arguments[-3:])

    handle = module.register_load_state_dict_pre_hook(keep)  # type: ignore[no-untyped-call]  # torch
    # Meta parameters have no memory to copy to, so the weights replace them (assign=True).
    state = module.state_dict().values()
    without_memory = any(isinstance(value, Tensor) and value.is_meta for value in state)
    try:
        module.load_state_dict(state_dict, strict=False, assign=without_memory)
    except RuntimeError:
        # Raise errors of other origin, which are not in the list.
        if not lists or not lists[2]:
            raise
    finally:
        handle.remove()
    return lists[0], lists[1], lists[2]


def weights_to_cpu(state_dict: dict[str, Any]) -> dict[str, Any]:
    """Return the weights on the CPU in a new dict, without copying weights that are there already.

    Sharded weights are gathered one after another. If any weight is sharded, all ranks must call
    this, with the same keys.

    Args:
        state_dict: Weights by name, such as `get_state_dict` returns.

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
