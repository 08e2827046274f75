"""Names of weights and modules without wrappers, and the versions of modules by these names.

torch stores the version of each module in ``_metadata``, an attribute of a state dict. A module
reads its version to convert weights that an older version of its class saved.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn

from engine_model._model_wrapper import is_model_wrapper
from engine_utils import plain_name


def wrapper_prefixes(module: nn.Module) -> list[str]:
    """Return the names of the wrapped modules, with a dot at the end.

    Args:
        module: The outermost module.
    """
    return [
        f"{name}.module." if name else "module."
        for name, child in module.named_modules(remove_duplicate=False)
        # A wrapper of another library may store its model under another name.
        if (is_model_wrapper(child) or getattr(type(child), "_has_inner_names", False))
        and isinstance(getattr(child, "module", None), nn.Module)
    ]


def without_wrappers(key: str, prefixes: list[str]) -> str:
    """Return a key without the ``module.`` of each wrapper, and without ``_orig_mod.``.

    Args:
        key: The name of a weight or module.
        prefixes: The result of `wrapper_prefixes`.
    """
    # Start with the innermost prefix: it contains the `module.` of the outer wrappers.
    for prefix in sorted(prefixes, key=len, reverse=True):
        if key.startswith(prefix):
            key = prefix.removesuffix("module.") + key.removeprefix(prefix)
    return plain_name(key)


def prefix_of(prefix: str, name: str) -> str:
    """Join a prefix and the name of a module, and drop the dot at the end."""
    return (prefix + name.removeprefix(".")).rstrip(".")


def versions_for(
    module: nn.Module, inner: list[str], metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the versions of modules by their names with wrappers.

    Args:
        module: The outermost module.
        inner: The result of `wrapper_prefixes`.
        metadata: The versions by the names without wrappers, or by those of a compiled module.
    """
    given = {plain_name(name): version for name, version in metadata.items()}
    names = {
        name: prefix_of("", without_wrappers(f"{name}.", inner))
        for name, _ in module.named_modules()
    }
    return {name: given[clean] for name, clean in names.items() if clean in given}


def copy_versions(
    source: Mapping[str, Any],
    target: Any,
    rename: Callable[[str], str | None],
    pairs: Iterable[tuple[str, str]] = (),
) -> None:
    """Copy the versions of modules from one state dict to another whose names differ.

    Args:
        source: The state dict with the old names. Without versions nothing is copied.
        target: The ordered dict with the new names.
        rename: Returns the new name of a weight, or ``None`` if it is dropped.
        pairs: Old and new names of weights.
    """
    metadata = getattr(source, "_metadata", None)
    if metadata is None:
        return
    versions: OrderedDict[str, Any] = OrderedDict()
    for name, version in metadata.items():
        # With a dot: a pattern such as `^module\.` renames what is inside the module.
        new = rename(f"{name}.") if name else name
        if new is not None:
            versions[new.rstrip(".")] = version
    # A pattern may match weights but not modules, as `^a\.weight$` does. So derive the names of
    # modules from the renamed weights too, from the innermost module up to the first difference.
    for pair in pairs:
        old, new = (name.split(".")[:-1] for name in pair)
        while True:
            if ".".join(old) in metadata:
                versions[".".join(new)] = metadata[".".join(old)]
            if not old or not new or old[-1] != new[-1]:
                break
            old, new = old[:-1], new[:-1]
    target._metadata = versions
