"""Register elements with torch's pytree functions; the data fields are the leaves."""

from typing import Any

import torch.utils._pytree as pytree

from engine_structures._field_names import FieldNames


class _Frame:
    """The context of an element in a pytree: its class, fields and meta information."""

    __slots__ = ("fields", "kind", "metainfo")

    def __init__(self, kind: type, fields: tuple[str, ...], metainfo: dict[str, Any]) -> None:
        self.kind, self.fields, self.metainfo = kind, fields, metainfo

    # `tree_map` over two elements and `torch.compile` compare contexts. Two trees have the same
    # structure if fields and meta information are equal. Pytree compares the classes.
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Frame) or self.fields != other.fields:
            return False
        return self.metainfo.keys() == other.metainfo.keys() and all(
            _same(value, other.metainfo[name]) for name, value in self.metainfo.items()
        )

    def __hash__(self) -> int:
        return hash((self.fields, tuple(self.metainfo)))

    def __repr__(self) -> str:
        return f"{self.kind.__name__}({', '.join(self.fields)})"


def _same(one: Any, other: Any) -> bool:
    """Compare meta information; arrays are compared as a whole."""
    if one is other:
        return True
    if hasattr(one, "shape"):
        alike = getattr(other, "shape", None) == one.shape
        return alike and bool((one == other).all())
    return bool(one == other)


def register(cls: type) -> None:
    """Register a class of elements with torch's pytree."""
    pytree.register_pytree_node(cls, _flatten, _unflatten, flatten_with_keys_fn=_flatten_with_keys)


def _flatten(element: Any) -> tuple[list[Any], _Frame]:
    fields = tuple(element._data_fields)
    return (
        [element.__dict__[name] for name in fields],
        _Frame(type(element), fields, element.metainfo),
    )


def _flatten_with_keys(element: Any) -> tuple[list[tuple[pytree.KeyEntry, Any]], _Frame]:
    values, frame = _flatten(element)
    keys = [pytree.GetAttrKey(name) for name in frame.fields]
    return list(zip(keys, values, strict=True)), frame


def _unflatten(values: Any, frame: _Frame) -> Any:
    # Not through the constructor, which checks values: a mapped function may return any leaf, such
    # as None.
    element: Any = object.__new__(frame.kind)
    state = element.__dict__
    state["_metainfo_fields"] = FieldNames.fromkeys(frame.metainfo)
    state["_data_fields"] = FieldNames.fromkeys(frame.fields)
    state.update(frame.metainfo)
    state.update(zip(frame.fields, values, strict=True))
    return element
