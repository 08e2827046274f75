"""Read the fields that a subclass declares by annotations: ``gt_instances: InstanceData``."""

import inspect
import types
import typing
from typing import Any

Accepted = tuple[type, ...]


def accepted_types(cls: type) -> dict[str, Accepted]:
    """Return the classes that each annotated field of a class accepts.

    Names with a leading underscore, ``ClassVar`` and annotations that are not a class (``Any``,
    type variables) are skipped. ``list[int]`` accepts any list.

    Raises:
        TypeError: An annotation names something that does not exist at run time.
    """
    try:
        hints = typing.get_type_hints(cls)
    except NameError as error:
        raise TypeError(
            f"the fields of {cls.__qualname__} cannot be checked: {error}; "
            "import what their annotations name at run time, not under TYPE_CHECKING only"
        ) from error
    accepted = {}
    for name, hint in hints.items():
        if not name.startswith("_") and (classes := _classes_of(hint)) is not None:
            accepted[name] = classes
    return accepted


def _classes_of(hint: Any) -> Accepted | None:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        # One part that cannot be checked makes the whole union accept anything.
        parts = [_classes_of(part) for part in typing.get_args(hint)]
        return None if None in parts else tuple(kind for part in parts for kind in part or ())
    kind = origin or hint
    if kind is typing.ClassVar or kind is Any or not inspect.isclass(kind):
        return None
    return (kind,)
