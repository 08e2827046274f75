"""From the value of ``type`` to what would be built, without building it."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from engine_registry import _roots as roots
from engine_registry._build import find_type
from engine_registry._errors import NotRegisteredError
from engine_registry._miss import closest, error_of, import_lines, names
from engine_registry._registry import Registry
from engine_registry._scope import DefaultScope
from engine_registry._search import Search

# Where in a config parts of a registry are named; the last of these in a key path counts.
_PLACES: dict[str, tuple[Registry, ...]] = {
    "batch_sampler": (roots.DATA_SAMPLERS,),
    "collate_fn": (roots.FUNCTIONS, roots.COLLATE_FUNCTIONS),
    "constructor": (roots.OPTIM_WRAPPER_CONSTRUCTORS, roots.RUNNER_CONSTRUCTORS),
    "custom_hooks": (roots.HOOKS,),
    "dataset": (roots.DATASETS,),
    "default_hooks": (roots.HOOKS,),
    "init_cfg": (roots.WEIGHT_INITIALIZERS,),
    "log_processor": (roots.LOG_PROCESSORS,),
    "model": (roots.MODELS,),
    "model_wrapper_cfg": (roots.MODEL_WRAPPERS,),
    "optim_wrapper": (roots.OPTIM_WRAPPERS,),
    "optimizer": (roots.OPTIMIZERS,),
    "param_scheduler": (roots.PARAM_SCHEDULERS,),
    "pipeline": (roots.TRANSFORMS,),
    "runner_type": (roots.RUNNERS,),
    "sampler": (roots.DATA_SAMPLERS,),
    "strategy": (roots.STRATEGIES,),
    "test_cfg": (roots.LOOPS,),
    "test_evaluator": (roots.EVALUATOR, roots.METRICS),
    "train_cfg": (roots.LOOPS,),
    "transforms": (roots.TRANSFORMS,),
    "tta_model": (roots.MODELS,),
    "val_cfg": (roots.LOOPS,),
    "val_evaluator": (roots.EVALUATOR, roots.METRICS),
    "vis_backends": (roots.VISBACKENDS,),
    "visualizer": (roots.VISUALIZERS,),
}

# `type` says something else here: a kind of clipping, of launcher.
_OTHER_MEANING = {"clip_grad", "dist_cfg", "env_cfg"}


_Resolver = Callable[[object, str], Callable[..., Any] | None]


def resolve_type(
    type_value: object, *, registry: Registry | None = None, scope: str | None = None
) -> object:
    """Return the class or function that the value of ``type`` names, without calling it.

    Args:
        type_value: A name, a dotted path, a class or a function.
        registry: Where a name is looked up; all root registries if not given.
        scope: The default scope of the look-up; the current one if not given.

    Raises:
        NotRegisteredError: nothing has that name; the closest names are given.
        TypeError: the value is neither a name nor can it be called.

    Example:
        >>> resolve_type("collections.OrderedDict").__name__
        'OrderedDict'
    """
    return _resolve(type_value, [registry] if registry else _all_roots(), scope)


def make_resolver(
    *, scope: str | None = None
) -> Callable[[object, str], Callable[..., Any] | None]:
    """Return a function that resolves the ``type`` at a key path of a config for the Runner.

    The key path decides where a name is looked up: ``optimizer`` among the optimizers,
    ``model.backbone`` among the models and then in all registries, as it may be built by any.

    Args:
        scope: The default scope of the look-ups; the current one if not given.

    Returns:
        A function of the value of ``type`` and the key path of the dict that holds it. It returns
        the class or function, or None where ``type`` does not name something to build, as in
        ``clip_grad``, and raises what ``resolve_type`` raises.

    Example:
        >>> resolve = make_resolver()
        >>> resolve("collections.OrderedDict", "model.backbone").__name__
        'OrderedDict'
        >>> resolve("norm", "optim_wrapper.clip_grad") is None
        True
    """

    def resolve(type_value: object, key_path: str) -> Callable[..., Any] | None:
        keys = [key for key in re.split(r"[.\[\]]+", key_path) if key and not key.isdecimal()]
        if keys and keys[-1] in _OTHER_MEANING:
            return None
        expected = next((_PLACES[key] for key in reversed(keys) if key in _PLACES), ())
        anywhere = [] if keys and keys[-1] in _PLACES else _all_roots()
        # Elsewhere than in a place of the Runner, `type` may be meant for the user's own code.
        free = not expected or _is_free(keys[-1])
        if free and not (isinstance(type_value, str) or callable(type_value)):
            return None
        try:
            return _resolve(type_value, [*expected, *anywhere], scope, shown=expected)
        except NotRegisteredError:
            if free:
                return None
            raise

    return resolve


def _is_free(key: str) -> bool:
    return key.endswith("_cfg") and key not in _PLACES


def _all_roots() -> list[Registry]:
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
            found = home._find(type_value, search) or registry._find(type_value, search)
            if found is not None:
                return found
        raise _unknown(type_value, searched, list(shown), search)


def _unknown(
    key: str, searched: list[Registry], shown: list[Registry], search: Search
) -> NotRegisteredError:
    holders = {
        name: registry for registry in reversed(searched) for name in names(registry, search)
    }
    expected = [name for registry in shown for name in names(registry, search)]
    where = " or ".join(f'"{registry.name}"' for registry in shown)
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
