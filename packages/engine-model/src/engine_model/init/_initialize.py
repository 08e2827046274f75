"""From init configs to initialised modules."""

import copy
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from engine_model.init._initializers import BaseInit
from engine_registry import WEIGHT_INITIALIZERS

logger = logging.getLogger("engine.model")

InitConfig = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""One config of an initializer, or several."""


def initialize(module: nn.Module, init_cfg: InitConfig) -> None:
    """Initialise ``module`` in place as ``init_cfg`` says.

    Args:
        module: The module.
        init_cfg: One or more dicts with ``type``, the name of an initializer, and its arguments.
            ``layer`` names the classes of layers it is for. ``override``, a dict or a list of
            dicts, treats single sub-modules otherwise: each gives ``name``, the path of a
            sub-module, and a ``type`` with arguments; with ``name`` alone, the sub-module gets
            what the outer dict says. The dicts are not changed.

    Raises:
        TypeError: If ``init_cfg`` or an ``override`` is no dict or list of dicts.
        ValueError: If an ``override`` lacks ``name``, or has arguments but no ``type``.
        AttributeError: If there is no sub-module of an overriding ``name``.

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
                "init_cfg %r initialises nothing in %s: name the classes to initialise with "
                "`layer`, or sub-modules with `override`",
                cfg,
                type(module).__name__,
            )
        initializer(module)
        for single in as_dicts(override, "override") if override is not None else ():
            _initialize_named(module, single, cfg)


def as_dicts(cfg: object, what: str) -> list[dict[str, Any]]:
    """Return shallow copies of one dict or of a list of dicts.

    Raises:
        TypeError: If ``cfg`` is something else; ``what`` names it in the message.
    """
    several = cfg if isinstance(cfg, list | tuple) else [cfg]
    copies: list[dict[str, Any]] = []
    for one in several:
        if not isinstance(one, Mapping):
            raise TypeError(f"{what} must be a dict or a list of dicts, not {one!r}")
        copies.append(dict(one))
    return copies


def is_pretrained(cfg: Mapping[str, Any]) -> bool:
    """Return whether ``cfg`` loads weights from a file, which goes before all other ways."""
    kind = cfg.get("type")
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    return name.rpartition(".")[2] in ("Pretrained", "PretrainedInit")


def _initialize_named(module: nn.Module, override: dict[str, Any], cfg: dict[str, Any]) -> None:
    """Initialise the sub-module that ``override`` names, by it or else by ``cfg``."""
    name = override.pop("name", None)
    if name is None:
        raise ValueError(f"override {override!r} must say `name`, the sub-module that it is for")
    if override and "type" not in override:
        raise ValueError(f"override {override!r} of {name!r} must say `type`, an initializer")
    own = override or {key: value for key, value in cfg.items() if key != "layer"}
    initializer = WEIGHT_INITIALIZERS.build(copy.deepcopy(own))
    if isinstance(initializer, BaseInit):
        initializer.wholly_init = not initializer.layer
    initializer(_submodule(module, name))


def _submodule(module: nn.Module, name: str) -> nn.Module:
    try:
        return module.get_submodule(name)
    except AttributeError as error:
        names = ", ".join(child for child, _ in module.named_children())
        raise AttributeError(
            f"override names {name!r}, but {type(module).__name__} has no such sub-module; "
            f"it has {names or 'none'}"
        ) from error
