"""Resolve the value of ``type`` to a class or function, without building anything."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from engine_registry import _roots as roots
from engine_registry._build import find_type
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
        registry: Where a name is looked up; by default in all root registries.
        scope: The default scope of the look-up; the current one if not given.

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

    The last key of the path that is in ``places`` decides where a name is looked up. A name in
    the dict of that key must be in one of its registries. A dict below it may be built by code
    of the user, so its name may be in any root registry.

    Args:
        places: The registries, or the one, of the parts that are built from the dict of a key.
        scope: The default scope of the look-ups; the current one if not given.
        other_meaning: Keys of dicts whose ``type`` does not name something to build.

    Returns:
        A function of the value of ``type`` and the key path of the dict that holds it. It returns
        the class or function, or None where there is nothing to build: a dict without ``type``
        (the value is None), a key of ``other_meaning``, or a name that is unknown where no place
        asks for one, as outside of all places and in or below a ``norm_cfg``. It raises the
        errors of `resolve_type`.

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
        # Code of the user may use `type` as it likes outside of all places, and in settings such
        # as `norm_cfg` or the `test_cfg` of a detector, which a model reads itself.
        below = keys[len(keys) - keys[::-1].index(place) :] if place is not None else keys
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
    # Two names may mean one registry, as OPTIM_WRAPPER does.
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
                return found
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
    # One search covers all registries: without a place, the list of them would say nothing.
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
