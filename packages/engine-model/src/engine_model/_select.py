"""Select modules of a model by name, by class or by the name of a class."""

from collections.abc import Iterable, Iterator
from typing import Any

from torch import nn

from engine_utils import did_you_mean

Selector = str | type[nn.Module]
"""The name of a module, the name of a class, or a class."""


def module_selectors(value: object, setting: str) -> list[Selector]:
    """Return the names and classes that a setting has, one or several.

    Args:
        value: The setting.
        setting: Its name, for the message.

    Raises:
        ValueError: It names nothing, or has other values.

    Example:
        >>> module_selectors("Linear", "activation_checkpointing")
        ['Linear']
    """
    several: Any = value  # a setting may have any type
    single = isinstance(several, str | type) or not isinstance(several, Iterable)
    given: list[Any] = [several] if single else list(several)
    wrong = [
        one
        for one in given
        if not (one and isinstance(one, str))
        and not (isinstance(one, type) and issubclass(one, nn.Module))
    ]
    if wrong or not given:
        raise ValueError(
            f"{setting} must be names of modules, names of classes or classes, got "
            f"{wrong[0] if wrong else value!r}; leave it out for none"
        )
    return given


def select_modules(
    model: nn.Module, wanted: Iterable[Selector], setting: str
) -> dict[nn.Module, str]:
    """Return the modules that compute among those selected, with their names, in order.

    A `ModuleList`, `ModuleDict` or other module without a forward stands for the modules in it.

    Args:
        model: The model.
        wanted: Names of modules, names of classes, and classes.
        setting: The setting that has them, for the message.

    Raises:
        ValueError: The model has no module of a name or class, or a container has no module.

    Example:
        >>> model = nn.ModuleList([nn.Linear(1, 1), nn.ReLU()])
        >>> list(select_modules(model, ["ReLU"], "setting").values())
        ['1']
    """
    found: dict[nn.Module, str] = {}
    for one in wanted:
        for name, module in _find(model, one, setting):
            found.setdefault(module, name)
    return found


def _find(model: nn.Module, wanted: Selector, setting: str) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules that a name or a class stands for."""
    modules = dict(model.named_modules(remove_duplicate=False))
    if isinstance(wanted, str) and wanted in modules:
        matches = {wanted: modules[wanted]}
    elif isinstance(wanted, str):
        matches = {n: one for n, one in modules.items() if type(one).__name__ == wanted}
    else:
        matches = {n: one for n, one in modules.items() if isinstance(one, wanted)}
    if not matches:
        raise ValueError(_unknown(wanted, modules, setting))
    found = [pair for name, module in matches.items() for pair in with_forward(module, name)]
    if not found:
        raise ValueError(
            f"{setting} must name modules that compute, got {wanted!r}, which has "
            "no module in it; remove it"
        )
    yield from found


def with_forward(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield a module that has a forward, or else those in it, with their names.

    Args:
        module: The module.
        name: Its name.
    """
    if type(module).forward is not nn.Module.forward:
        yield name, module
    else:
        for child, inner in module.named_children():
            yield from with_forward(inner, f"{name}.{child}" if name else child)


def _unknown(wanted: Selector, modules: dict[str, nn.Module], setting: str) -> str:
    name = wanted if isinstance(wanted, str) else wanted.__name__
    kinds = dict.fromkeys(type(module).__name__ for module in modules.values())
    names = [*filter(None, modules), *kinds]
    return (
        f"{setting} must name modules of {type(modules['']).__name__}, got {name!r}"
        f"{did_you_mean(name, names)}; it has the classes {', '.join(kinds)}"
    )
