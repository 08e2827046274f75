"""The base class of data elements: named data and meta information, used like a tensor."""

import copy
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from engine_structures._convert import (
    call_method,
    duplicate,
    through_containers,
    to_numpy,
    to_tensor,
)
from engine_structures._declared import Accepted, accepted_types
from engine_structures._errors import FieldTypeError
from engine_structures._field_names import FieldNames
from engine_structures._tree import register

# The attributes that list the fields of an element.
_FIELD_LISTS = ("_metainfo_fields", "_data_fields")
_METHODS = (type(lambda: None), staticmethod, classmethod)


class BaseDataElement:
    """Named data and meta information of one sample, used like a tensor and like a dict.

    Data fields hold annotations or predictions; `to`, `detach` and similar methods convert them.
    Meta information (file name, image size, …) is not converted. Both are read as attributes. An
    element may hold other elements. The data fields are leaves for torch's pytree functions, and so
    for `torch.compile`.

    A subclass declares typed fields with annotations, such as ``gt_instances: InstanceData``. Each
    assignment is then checked.

    Args:
        metainfo: Meta information; copied deeply.
        **kwargs: Data fields.

    Example:
        >>> import torch
        >>> sample = BaseDataElement(metainfo={"img_shape": (4, 6)}, scores=torch.zeros(2))
        >>> sample.img_shape, sample.scores
        ((4, 6), tensor([0., 0.]))
        >>> sample.to(torch.float16).scores.dtype
        torch.float16
        >>> "scores" in sample, sample.keys(), sample.metainfo_keys()
        (True, ['scores'], ['img_shape'])
    """

    # The methods of the class, which a field must not hide. The properties of the class, which are
    # assigned through their setters.
    _methods: ClassVar[frozenset[str]] = frozenset()
    _properties: ClassVar[frozenset[str]] = frozenset()
    _accepted_types: ClassVar[dict[str, Accepted]]

    # The names of the fields, in the order of their first assignment. The values are attributes.
    _metainfo_fields: FieldNames
    _data_fields: FieldNames

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _collect_names(cls)
        register(cls)

    def __init__(self, *, metainfo: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self._begin()
        if metainfo is not None:
            self.set_metainfo(metainfo)
        if kwargs:
            self.set_data(kwargs)

    def _begin(self) -> None:
        # Not by assignment: `__setattr__` would make them fields.
        self.__dict__["_metainfo_fields"] = FieldNames()
        self.__dict__["_data_fields"] = FieldNames()

    # ---- setting -------------------------------------------------------------------------------

    def set_metainfo(self, metainfo: dict[str, Any]) -> None:
        """Set or change meta information; the values are copied deeply.

        Raises:
            TypeError: ``metainfo`` is not a dict.
            AttributeError: A key names a data field.
        """
        if not isinstance(metainfo, Mapping):
            raise FieldTypeError(f"metainfo must be a dict, got {type(metainfo).__name__}")
        for name, value in metainfo.items():
            self.set_field(copy.deepcopy(value), name, field_type="metainfo")

    def set_data(self, data: dict[str, Any]) -> None:
        """Set or change data fields.

        Raises:
            TypeError: ``data`` is not a dict, or a field does not accept the type of its value.
            AttributeError: A key names meta information.
        """
        if not isinstance(data, Mapping):
            raise FieldTypeError(f"data must be a dict, got {type(data).__name__}")
        for name, value in data.items():
            setattr(self, name, value)

    def set_field(
        self,
        value: Any,
        name: str,
        dtype: type | tuple[type, ...] | None = None,
        field_type: Literal["metainfo", "data"] = "data",
    ) -> None:
        """Set one field; the setter of a property may call this.

        Args:
            value: The new value.
            name: The name of the field. If a property has that name, prefix it with an underscore.
            dtype: The class or classes that the value must belong to.
            field_type: The kind of field.

        Raises:
            TypeError: The value is not an instance of ``dtype`` or of the declared class.
            ValueError: ``field_type`` is not one of these.
            AttributeError: A field of the other kind, or a method of the class, has that name.
        """
        if field_type not in ("metainfo", "data"):
            raise ValueError(f"field_type must be 'metainfo' or 'data', got {field_type!r}")
        if name in _FIELD_LISTS or name in self._methods:
            raise AttributeError(
                f"{name!r} belongs to {type(self).__name__} itself and cannot be a field; "
                "choose another name"
            )
        if dtype is None:
            dtype = self._accepted().get(name)
        if dtype is not None and not isinstance(value, dtype):
            raise FieldTypeError(
                f"{name.lstrip('_')} of {type(self).__name__} must be {_names_of(dtype)}, "
                f"got {type(value).__name__}"
            )
        state = self.__dict__
        # A slice with step -1 swaps the two names.
        own, other = ("_metainfo_fields", "_data_fields")[:: 1 if field_type == "metainfo" else -1]
        if name in state[other]:
            raise AttributeError(_wrong_kind(name, field_type))
        if field_type == "data":
            value = self._fit(name, value)
        state[own][name] = None
        state[name] = value

    @classmethod
    def _accepted(cls) -> dict[str, Accepted]:
        """Return the declared fields; the first assignment reads them from the annotations."""
        # Not read when the class is defined: an annotation may name a class that is defined later.
        found: dict[str, Accepted] | None = cls.__dict__.get("_accepted_types")
        if found is None:
            found = cls._accepted_types = accepted_types(cls)
        return found

    def _fit(self, name: str, value: Any) -> Any:
        """Check a value against the other data fields, or convert it; subclasses override this."""
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._properties:
            super().__setattr__(name, value)
        elif name == "__dict__":
            # Libraries restore an element so. The names of its fields may come as sets.
            names = {key: FieldNames.fromkeys(value[key]) for key in _FIELD_LISTS if key in value}
            super().__setattr__(name, {**value, **names})
        else:
            self.set_field(value, name)

    def update(self, instance: "BaseDataElement") -> None:
        """Copy the meta information and data of another element; its values replace equal keys.

        Raises:
            TypeError: ``instance`` is not a data element.
        """
        if not isinstance(instance, BaseDataElement):
            raise FieldTypeError(f"instance must be a data element, got {type(instance).__name__}")
        self.set_metainfo(instance.metainfo)
        self.set_data(dict(instance.items()))

    # ---- deleting ------------------------------------------------------------------------------

    def __delattr__(self, name: str) -> None:
        if name in _FIELD_LISTS:
            raise AttributeError(
                f"{name!r} belongs to {type(self).__name__} itself and cannot be deleted"
            )
        super().__delattr__(name)
        self._metainfo_fields.pop(name, None)
        self._data_fields.pop(name, None)

    def pop(self, *args: Any) -> Any:
        """Remove a field and return its value: ``pop(name)`` or ``pop(name, default)``.

        Raises:
            KeyError: There is no such field and no default.
            TypeError: There are more than two arguments, or none.
        """
        if not 1 <= len(args) <= 2:
            raise FieldTypeError(f"pop takes a name and optionally a default, got {len(args)}")
        name = args[0]
        if name in self:
            value = getattr(self, name)
            delattr(self, name)
            return value
        if len(args) == 2:
            return args[1]
        raise KeyError(f"{name!r} is not a field; there are {', '.join(self.all_keys()) or 'none'}")

    # ---- reading -------------------------------------------------------------------------------

    def get(self, key: str, default: Any = None) -> Any:
        """Return a field's value, or the default if there is no such field."""
        return getattr(self, key) if key in self else default

    def __contains__(self, name: object) -> bool:
        if name in self._data_fields or name in self._metainfo_fields:
            return True
        return name in self._properties and f"_{name}" in self._data_fields

    def keys(self) -> list[str]:
        """Return the names of the data fields."""
        return [self._public(name) for name in self._data_fields]

    def values(self) -> list[Any]:
        """Return the values of the data fields."""
        return [self.__dict__[name] for name in self._data_fields]

    def items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over names and values of the data fields."""
        return zip(self.keys(), self.values(), strict=True)

    def metainfo_keys(self) -> list[str]:
        """Return the names of the meta information."""
        return list(self._metainfo_fields)

    def metainfo_values(self) -> list[Any]:
        """Return the values of the meta information."""
        return [self.__dict__[name] for name in self._metainfo_fields]

    def metainfo_items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over names and values of the meta information."""
        return zip(self.metainfo_keys(), self.metainfo_values(), strict=True)

    @property
    def metainfo(self) -> dict[str, Any]:
        """The meta information as a new dict."""
        return dict(self.metainfo_items())

    def all_keys(self) -> list[str]:
        """Return the names of meta information and data fields."""
        return self.metainfo_keys() + self.keys()

    def all_values(self) -> list[Any]:
        """Return the values of meta information and data fields."""
        return self.metainfo_values() + self.values()

    def all_items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over names and values of meta information and data fields."""
        return zip(self.all_keys(), self.all_values(), strict=True)

    def _public(self, name: str) -> str:
        """Return the public name of a field: ``boxes`` for ``_boxes`` with a property ``boxes``."""
        return name[1:] if name[0] == "_" and name[1:] in self._properties else name

    # ---- copies and conversions ----------------------------------------------------------------

    def new(self, *, metainfo: dict[str, Any] | None = None, **kwargs: Any) -> Self:
        """Build an element of the same type.

        Args:
            metainfo: Its meta information; by default that of this element.
            **kwargs: Its data fields; by default those of this element. Values are not copied.
        """
        # Not through the constructor, whose parameters a subclass may change.
        made = object.__new__(type(self))
        made._begin()
        made.set_metainfo(self.metainfo if metainfo is None else metainfo)
        made.set_data(kwargs or dict(self.items()))
        return made

    def __copy__(self) -> Self:
        return self._converted(lambda value: value)

    def clone(self) -> Self:
        """Copy the element with all its values; tensors stay in their autograd graph."""
        made = self._converted(through_containers(duplicate))
        for name in made._metainfo_fields:
            made.__dict__[name] = copy.deepcopy(made.__dict__[name])
        return made

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Call `torch.Tensor.to` on all tensors, with its arguments."""
        return self._converted(call_method("to", *args, **kwargs))

    def cpu(self) -> Self:
        """Move all tensors to the CPU."""
        return self._converted(call_method("cpu"))

    def cuda(self) -> Self:
        """Move all tensors to the current CUDA device."""
        return self._converted(call_method("cuda"))

    def npu(self) -> Self:
        """Move all tensors to the current Ascend device."""
        return self._converted(call_method("to", "npu"))

    def detach(self) -> Self:
        """Detach all tensors from their autograd graph."""
        return self._converted(call_method("detach"))

    def numpy(self) -> Self:
        """Convert all tensors to arrays on the CPU."""
        return self._converted(through_containers(to_numpy))

    def to_tensor(self) -> Self:
        """Convert all arrays to tensors that share their memory."""
        return self._converted(through_containers(to_tensor))

    def to_dict(self) -> dict[str, Any]:
        """Return meta information and data as a dict; nested elements become dicts too."""
        return {
            name: value.to_dict() if isinstance(value, BaseDataElement) else value
            for name, value in self.all_items()
        }

    def _converted(self, convert: Callable[[Any], Any]) -> Self:
        """Build an element of the same type and meta information from the converted values."""
        # Not through `set_field`: its checks take time, and a conversion keeps lengths and shapes.
        made = self._without_data()
        state, mine = made.__dict__, self.__dict__
        for name in mine["_data_fields"]:
            state[name] = convert(mine[name])
        state["_data_fields"] = mine["_data_fields"].copy()
        return made

    def _with(self, data: Iterable[tuple[str, Any]]) -> Self:
        """Build an element of the same type and meta information from data that is not checked."""
        made = self._without_data()
        for name, value in data:
            made._data_fields[name] = None
            made.__dict__[name] = value
        return made

    def _without_data(self) -> Self:
        made = object.__new__(type(self))
        state, mine = made.__dict__, self.__dict__
        state["_metainfo_fields"] = mine["_metainfo_fields"].copy()
        state["_data_fields"] = FieldNames()
        for name in mine["_metainfo_fields"]:
            state[name] = mine[name]
        return made

    # ---- printing ------------------------------------------------------------------------------

    def __repr__(self) -> str:
        lines = ["", "META INFORMATION"]
        lines += [f"{name}: {value!r}" for name, value in self.metainfo_items()]
        lines += ["", "DATA FIELDS"]
        lines += [f"{name}: {value!r}" for name, value in self.items()]
        # Indent every line, so that nested elements line up, but keep empty lines empty.
        body = "\n".join(lines).replace("\n", "\n    ").replace("    \n", "\n")
        return f"<{type(self).__name__}(\n{body}\n) at {hex(id(self))}>"


def _collect_names(cls: type[BaseDataElement]) -> None:
    # getattr_static, because a property must not run here.
    named = {name: inspect.getattr_static(cls, name) for name in dir(cls)}
    cls._methods = frozenset(name for name, value in named.items() if isinstance(value, _METHODS))
    cls._properties = frozenset(n for n, value in named.items() if isinstance(value, property))


def _names_of(classes: type | tuple[type, ...]) -> str:
    kinds = classes if isinstance(classes, tuple) else (classes,)
    return " or ".join(kind.__name__ for kind in kinds)


def _wrong_kind(name: str, field_type: str) -> str:
    if field_type == "data":
        return f"{name!r} is meta information; change it with set_metainfo, or delete it first"
    return f"{name!r} is a data field and cannot be meta information; delete it first"


_collect_names(BaseDataElement)
register(BaseDataElement)
