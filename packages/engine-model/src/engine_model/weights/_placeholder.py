"""The placeholder of an object whose class is not imported."""

from collections.abc import Iterable
from typing import Any, ClassVar


class ForeignObject:
    """A placeholder for an object of a class that was not imported; it has no behavior.

    Attributes:
        class_name: The class in the file, such as ``"mmcv.Config"``.
        args: The arguments of its constructor.
        state: The argument of its `__setstate__`, or ``None``.
        content: The items, or pairs of key and value, if the class is a container.

    Example:
        >>> import io, pickle
        >>> from fractions import Fraction
        >>> from engine_model.weights._foreign import InertUnpickler
        >>> half = InertUnpickler(io.BytesIO(pickle.dumps(Fraction(1, 2)))).load()
        >>> half, half.args
        (<inert fractions.Fraction>, (1, 2))
    """

    class_name: ClassVar[str] = ""
    args: tuple[Any, ...]
    state: Any
    content: list[Any]

    # Depending on the protocol, pickle creates an object by __new__ or by a call of the class. Both
    # call __new__, so __new__ sets all attributes.
    def __new__(cls, *args: object, **kwargs: object) -> "ForeignObject":
        """Store the arguments; run nothing."""
        instance = super().__new__(cls)
        instance.args = (*args, kwargs) if kwargs else args
        instance.state = None
        instance.content = []
        return instance

    def __init__(self, *args: object, **kwargs: object) -> None:
        # A call of the class also passes the arguments of __new__ to this method.
        return

    def __setitem__(self, key: object, value: object) -> None:
        self.content.append((key, value))

    # The unpickler fills containers through these methods and __setitem__.
    def append(self, item: object) -> None:
        """Store an item of a list."""
        self.content.append(item)

    def extend(self, items: Iterable[object]) -> None:
        """Store items of a list."""
        self.content.extend(items)

    def add(self, item: object) -> None:
        """Store an item of a set."""
        self.content.append(item)

    def __repr__(self) -> str:
        return f"<inert {self.class_name}>"


def foreign_class(module: str, name: str) -> type[ForeignObject]:
    """Return a placeholder for a class.

    Args:
        module: The module in the file.
        name: The name in that module, usually the name of a class.
    """
    return type(name, (ForeignObject,), {"class_name": f"{module}.{name}", "__module__": __name__})
