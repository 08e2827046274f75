"""Resolve the value of ``type`` to a class or function, without building anything."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from engine_registry import _roots as roots
from engine_registry._build import checked_callable, find_type
from engine_registry._errors import NotRegisteredError
from engine_registry._not_found import closest, error_of, import_lines, reachable_names
from engine_registry._registry import Registry
from engine_registry._scope import DefaultScope
from engine_registry._search import Search

Resolver = Callable[[object, str], Callable[..., Any] | None]


def resolve_type(
    type_value: object, *, registry: Registry | None = None, scope: str | None = None
) -> object:
    """Return the class or function that the value of ``type`` names, without calling it.

    Args:
        type_value: A name, a dotted path, a class or a function.
        registry: The registry that looks up a name; by default all root registries.
        scope: The default scope of the look-up; None for the current one.

    Raises:
        NotRegisteredError: Nothing has that name. The message lists the closest names.
        TypeError: The value is neither a string nor callable.

    Example:
        >>> resolve_type("collections.OrderedDict").__name__
        'OrderedDict'
    """
    return _resolve(type_value, [registry] if registry else _all_roots(), scope)


def make_resolver(
    places: Mapping[str, Sequence[Registry] | Registry] = {},
    *,
    scope: str | None = None,
    other_meaning: Collection[str] = (),
) -> Resolver:
    """Return a function that resolves the ``type`` at a key path of a config.

    The last key of the path that is in ``places`` selects the registries. A name in the dict of
    that key must be in one of them. User code may build a dict below it, so its name may be in any
    root registry.

    Args:
        places: For each key, the registry or registries for the objects that its dict builds.
        scope: The default scope of the look-ups; None for the current one.
        other_meaning: Keys whose dicts use ``type`` for something else than a class or function.

    Returns:
        A function of the value of ``type`` and the key path of the dict that holds it. It returns
        the class or function, or None where nothing is built. This is the case for a dict without
        ``type`` (the value is None) and for a key of ``other_meaning``. It is also the case for an
        unknown name outside of all places, or in or below a setting such as ``norm_cfg``. It
        raises the errors of `resolve_type`.

    Example:
        >>> from engine_registry import HOOKS
        >>> resolve = make_resolver({"hooks": HOOKS}, other_meaning=["clip_grad"])
        >>> resolve("collections.OrderedDict", "hooks[0]").__name__
        'OrderedDict'
        >>> resolve("norm", "clip_grad") is None
        True
    """
    registries = {
        key: (place,) if isinstance(place, Registry) else tuple(place)
        for key, place in places.items()
    }

    def resolve(type_value: object, key_path: str) -> Callable[..., Any] | None:
        keys = [key for key in re.split(r"[.\[\]]+", key_path) if key and not key.isdecimal()]
        key = keys[-1] if keys else ""
        if type_value is None or key in other_meaning:
            return None
        place = next((k for k in reversed(keys) if k in registries), None)
        expected = () if place is None else registries[place]
        # Outside of all places, and in settings that a model reads itself, such as `norm_cfg` or
        # the `test_cfg` of a detector, user code may give `type` another meaning.
        below = keys if place is None else keys[len(keys) - keys[::-1].index(place) :]
        optional = not expected or any(k.endswith("_cfg") for k in below)
        if optional and not (isinstance(type_value, str) or callable(type_value)):
            return None
        anywhere = [] if key in registries else _all_roots()
        try:
            return _resolve(type_value, [*expected, *anywhere], scope, shown=expected)
        except NotRegisteredError:
            if optional:
                return None
            raise

    return resolve


def _all_roots() -> list[Registry]:
    # Two names may refer to one registry: OPTIM_WRAPPER is OPTIM_WRAPPERS.
    return list(dict.fromkeys(roots.ROOTS.values()))


def _resolve(
    type_value: object,
    registries: Iterable[Registry],
    scope: str | None,
    shown: Iterable[Registry] = (),
) -> Callable[..., Any]:
    searched = list(dict.fromkeys(registries))
    with DefaultScope.overwrite_default_scope(scope):
        if not isinstance(type_value, str) or len(searched) == 1:
            return find_type(type_value, searched[0])
        search = Search()
        for registry in searched:
            home = registry.in_default_scope()
            found = home.find(type_value, search) or registry.find(type_value, search)
            if found is not None:
                return checked_callable(found, type_value)
        raise _unknown(type_value, searched, list(shown), search)


def _unknown(
    key: str, searched: list[Registry], shown: list[Registry], search: Search
) -> NotRegisteredError:
    holders = {
        name: registry
        for registry in reversed(searched)
        for name in reachable_names(registry, search)
    }
    expected = [name for registry in shown for name in reachable_names(registry, search)]
    where = " or ".join(f'"{registry.name}"' for registry in shown)
    # Without a place, all registries were searched, so a list of them would not help.
    lines = [f"{key!r} is not in the registry {where}" if shown else f"{key!r} is not registered"]
    close = closest(key, expected) or closest(key, holders)
    if close:
        places = {name: f' (in "{holders[name].name}")' for name in close if name in holders}
        hints = [f"{name!r}{places.get(name, '')}" for name in close]
        lines.append(f"did you mean {' or '.join(hints)}?")
    lines += import_lines(search)
    if not close:
        lines.append("is its module imported? Name it in `custom_imports` of the config")
    return error_of(lines, search)
