"""Initialize a module from init configs."""

import copy
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from engine_model._compiled import original
from engine_model.init._initializers import BaseInit
from engine_registry import WEIGHT_INITIALIZERS

logger = logging.getLogger("engine.model")

InitConfig = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""One config of an initializer, or several."""


def initialize(module: nn.Module, init_cfg: InitConfig) -> None:
    """Initialize ``module`` in place with the initializers of ``init_cfg``.

    Args:
        module: The module.
        init_cfg: One or more dicts with ``type``, the name of an initializer, and its arguments.
            ``layer`` lists the classes of layers to initialize. ``override``, a dict or a list of
            dicts, initializes single sub-modules differently. Each dict has ``name``, the path of a
            sub-module, and ``type`` with arguments. A dict with ``name`` alone initializes the
            sub-module by the outer dict. The dicts are not changed.

    Raises:
        TypeError: ``init_cfg`` or an ``override`` is not a dict or a list of dicts.
        ValueError: An ``override`` lacks ``name``, or has arguments but no ``type``.
        AttributeError: The module has no sub-module of the ``name`` of an ``override``.

    Example:
        >>> net = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
        >>> other = dict(type="Constant", name="1", val=3, bias=4)
        >>> initialize(net, dict(type="Constant", layer="Linear", val=1, override=other))
        >>> [layer.weight.item() for layer in net]
        [1.0, 3.0]
    """
    for cfg in as_dicts(init_cfg, "init_cfg"):
        override = cfg.pop("override", None)
        initializer = WEIGHT_INITIALIZERS.build(copy.deepcopy(cfg))
        if override is None and isinstance(initializer, BaseInit) and not initializer.layer:
            logger.warning(
                "init_cfg %r initializes nothing in %s; list classes in `layer`, or sub-modules in "
                "`override`",
                cfg,
                type(original(module)).__name__,
            )
        initializer(module)
        for single in as_dicts(override, "override") if override is not None else ():
            _initialize_named(module, single, cfg)


def as_dicts(cfg: object, name: str) -> list[dict[str, Any]]:
    """Return shallow copies of one dict or of a list of dicts.

    Args:
        cfg: The dict or dicts.
        name: The name of ``cfg`` in the message.

    Raises:
        TypeError: ``cfg`` has another type.
    """
    several = cfg if isinstance(cfg, list | tuple) else [cfg]
    copies: list[dict[str, Any]] = []
    for one in several:
        if not isinstance(one, Mapping):
            raise TypeError(f"{name} must be a dict or a list of dicts, got {one!r}")
        copies.append(dict(one))
    return copies


def is_pretrained(cfg: Mapping[str, Any]) -> bool:
    """Return whether ``cfg`` is the config of a `PretrainedInit`."""
    # Compare the name, because the initializer is not built yet. The name may have a scope.
    kind = cfg.get("type")
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    return name.rpartition(".")[2] in ("Pretrained", "PretrainedInit")


def _initialize_named(module: nn.Module, override: dict[str, Any], cfg: dict[str, Any]) -> None:
    """Initialize the sub-module ``name`` of ``override``, by ``override`` or by ``cfg``."""
    name = override.pop("name", None)
    if name is None:
        raise ValueError(f"override must have `name`, the path of a sub-module, got {override!r}")
    if override and "type" not in override:
        raise ValueError(f"override of {name!r} must have `type`, an initializer, got {override!r}")
    # Drop `layer`: it selects layers of the whole module, and the name has selected already.
    own = override or {key: value for key, value in cfg.items() if key != "layer"}
    initializer = WEIGHT_INITIALIZERS.build(copy.deepcopy(own))
    if isinstance(initializer, BaseInit):
        initializer.wholly_init = not initializer.layer
    initializer(original(_submodule(module, name)))


def _submodule(module: nn.Module, name: str) -> nn.Module:
    try:
        return module.get_submodule(name)
    except AttributeError as error:
        names = ", ".join(child for child, _ in module.named_children())
        raise AttributeError(
            f"override names {name!r}, but {type(module).__name__} has no such sub-module; "
            f"it has {names or 'none'}"
        ) from error
