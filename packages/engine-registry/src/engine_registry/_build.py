"""Build objects from configs."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from engine_registry._construct import construct
from engine_registry._not_found import not_found, unknown_default_scope
from engine_registry._registry import Registry
from engine_registry._scope import DefaultScope
from engine_registry._search import Search, log_found
from engine_utils import mask_secrets


def build_from_cfg(cfg: Any, registry: Registry, default_args: Any = None) -> Any:
    """Build an object from a config: construct its class, or call its function.

    The other keys of the config are the arguments. A name is looked up in the registry of the
    default scope first, then in ``registry``.

    Args:
        cfg: A mapping with the key ``type`` (a name, a dotted path, a class or a function), and
            optionally ``_scope_``, the default scope during the build. It is not changed.
        registry: The registry that looks up names.
        default_args: Values for the keys that ``cfg`` does not set, ``type`` included.

    Returns:
        The instance, or the result of the function. A subclass of `ManagerMixin` is built with
        ``get_instance``, so that the instance can be found by its name.

    Raises:
        TypeError: An argument is of the wrong type.
        KeyError: ``type`` is missing, or its value is not registered (`NotRegisteredError`).
        ConstructionError: The class or function raised. The error is also an instance of the
            original error's class.

    Example:
        >>> SHAPES = Registry("shape", scope="shapes")
        >>> build_from_cfg({"type": dict, "side": 3}, SHAPES, {"side": 1, "color": "red"})
        {'side': 3, 'color': 'red'}
    """
    arguments = merged_arguments(cfg, registry, default_args)
    scope = arguments.pop("_scope_", None)
    if scope is None:
        return _build(arguments, registry)
    with DefaultScope.overwrite_default_scope(scope):
        return _build(arguments, registry)


def _build(arguments: dict[str, Any], registry: Registry) -> Any:
    kind = arguments.pop("type")
    return construct(find_type(kind, registry), arguments, kind)


def merged_arguments(cfg: Any, registry: object, default_args: Any) -> dict[str, Any]:
    """Return a new dict: the defaults, updated with the config. It has the key ``type``."""
    if not isinstance(registry, Registry):
        raise TypeError(f"registry must be a Registry, got {type(registry).__name__}")
    arguments = to_dict(cfg, "cfg")
    if default_args is not None:
        arguments = {**to_dict(default_args, "default_args"), **arguments}
    if "type" not in arguments:
        raise KeyError(
            f'a config for the "{registry.name}" registry must have the key "type", the name to '
            f"build, got {sorted(map(str, arguments)) or 'no keys'}"
        )
    return arguments


def to_dict(cfg: Any, name: str) -> dict[str, Any]:
    """Return a new dict of the items of a mapping, read with the mapping's ``__getitem__``."""
    if type(cfg) is dict:
        return cfg.copy()
    if isinstance(cfg, Mapping) or (hasattr(cfg, "keys") and hasattr(cfg, "__getitem__")):
        # Not dict(cfg): for a subclass of dict it copies the stored values. A lazy config stores
        # placeholders.
        return {key: cfg[key] for key in cfg.keys()}  # noqa: SIM118 - not every one has __iter__
    shown = repr(mask_secrets(cfg))
    raise TypeError(f"{name} must be a mapping, got {type(cfg).__name__}: {shown:.200}")


def find_type(kind: Any, registry: Registry) -> Callable[..., Any]:
    """Return the class or function that the value of ``type`` names.

    Raises:
        NotRegisteredError: Nothing has that name.
        TypeError: The value is neither a string nor callable.
    """
    if isinstance(kind, str):
        home = registry.in_default_scope()
        found = home.find_loaded(kind)
        if found is None:
            found = _search(kind, home, registry)
        log_found(home, found)
        return checked_callable(found, kind)
    if callable(kind):
        return kind  # type: ignore[no-any-return]  # callable() narrows Any no further
    raise TypeError(
        "type must be a name, a dotted path, a class or a function, "
        f"got {type(kind).__name__}: {kind!r}"
    )


def checked_callable(found: Callable[..., Any], kind: str) -> Callable[..., Any]:
    """Return what a name stands for, and raise a TypeError for the path of a module."""
    if callable(found):
        return found
    raise TypeError(f"type must name a class or a function, got {kind!r}, which is a module")


def _search(kind: str, home: Registry, registry: Registry) -> Callable[..., Any]:
    search = Search()
    found = home.find(kind, search)
    if found is None and home is not registry:
        # A registry always builds its own entries, whatever the default scope.
        found = registry.find(kind, search)
    scope = unknown_default_scope(registry)
    if found is None and scope is not None:
        # An installed package of that name may create the scope when it is imported.
        found = registry.find(f"{scope}.{kind}", search)
    if found is None:
        raise not_found(kind, home, search)
    return found


def build_model_from_cfg(cfg: Any, registry: Registry, default_args: Any = None) -> Any:
    """Build a model from a config, or a sequence of modules from a list of configs.

    Args:
        cfg: A mapping as ``build_from_cfg`` takes, or a list of them.
        registry: Where names are looked up.
        default_args: Values for the keys that a config does not set.

    Returns:
        The module; for a list, an ``engine_model.Sequential`` of the modules
        (``torch.nn.Sequential`` where engine-model is not installed).
    """
    if not isinstance(cfg, list | tuple):
        return build_from_cfg(cfg, registry, default_args)
    modules = [build_from_cfg(item, registry, default_args) for item in cfg]
    try:
        package = importlib.import_module("engine_model")
    except ModuleNotFoundError as error:
        if error.name != "engine_model":
            raise  # engine-model is installed, but one of its dependencies is not
        package = importlib.import_module("torch.nn")
    return package.Sequential(*modules)


def build_runner_from_cfg(cfg: Any, registry: Registry) -> Any:
    """Build a runner: call ``from_cfg`` of its class.

    Args:
        cfg: The whole config. ``runner_type`` names the class, ``Runner`` by default. It is passed
            to the class unchanged, because a `Config` also holds the name of its file.
        registry: The registry that looks up the class.

    Raises:
        ValueError: The class is named with ``type``, as in the configs of other parts.
    """
    arguments = to_dict(cfg, "cfg")
    if "type" in arguments and "runner_type" not in arguments:
        raise ValueError(
            f"the class of a runner must be named by runner_type, got type={arguments['type']!r}; "
            f"rename the key"
        )
    with DefaultScope.overwrite_default_scope(arguments.get("_scope_")):
        runner: Any = find_type(arguments.get("runner_type", "Runner"), registry)
        return runner.from_cfg(cfg)


def build_scheduler_from_cfg(cfg: Any, registry: Registry, default_args: Any = None) -> Any:
    """Build a parameter scheduler with its constructor or with ``build_iter_from_epoch``.

    Args:
        cfg: A mapping as ``build_from_cfg`` takes. With ``convert_to_iter_based`` its numbers are
            epochs, and they are converted to iterations.
        registry: Where names are looked up.
        default_args: Must hold ``optimizer``, and ``epoch_length`` (iterations per epoch) for
            ``convert_to_iter_based``.

    Raises:
        ValueError: ``convert_to_iter_based`` is set, but ``epoch_length`` is missing or
            ``by_epoch`` is False.
    """
    arguments = merged_arguments(cfg, registry, default_args)
    convert = arguments.pop("convert_to_iter_based", False)
    epoch_length = arguments.pop("epoch_length", None)
    if not convert:
        return build_from_cfg(arguments, registry)
    if epoch_length is None:
        raise ValueError(
            "convert_to_iter_based needs epoch_length, the number of iterations per epoch; "
            "pass it in default_args"
        )
    if not arguments.get("by_epoch", True):
        raise ValueError(
            "by_epoch must be True with convert_to_iter_based, got False; remove one of the two"
        )
    with DefaultScope.overwrite_default_scope(arguments.pop("_scope_", None)):
        kind = arguments.pop("type")
        scheduler: Any = find_type(kind, registry)
        return construct(
            scheduler.build_iter_from_epoch, {**arguments, "epoch_length": epoch_length}, kind
        )
