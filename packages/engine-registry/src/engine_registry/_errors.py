"""What a caller of a registry may want to catch."""

from typing import Any, Self


class RegistryError(Exception):
    """Base of the errors of look-ups and constructions."""


class NotRegisteredError(RegistryError, KeyError):
    """No class or function is known under the name asked for."""

    # KeyError shows the repr of its argument, which would put a long message on one line.
    __str__ = Exception.__str__


class LocationImportError(NotRegisteredError, ImportError):
    """A name is unknown, and a module that may define it could not be imported.

    The import's own error is the cause.
    """

    __str__ = Exception.__str__


# What OSError and ImportError keep outside of their ``__dict__``.
_BUILT_IN_ATTRIBUTES = ("errno", "strerror", "filename", "filename2", "name", "path")


class ConstructionError(RegistryError):
    """A class or function was found but failed when called.

    What is raised is also an instance of the original error's class, so that
    ``except ValueError`` around a build keeps working. The original error is the cause.

    Attributes:
        inside: The constructions this one was part of, from the inner to the outer one.
    """

    def __init__(self, message: str = "") -> None:
        # Not super(): the class of the original comes next, and its constructor may want more.
        Exception.__init__(self, message)
        self.message = message
        self.inside: list[str] = []

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  while building {outer}" for outer in self.inside)])

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (_original_class(type(self)), self.message, self.inside)

    @classmethod
    def like(cls, error: Exception, message: str) -> Self:
        """Make an error of this class and of the class of ``error``."""
        combined = _combined(type(error))
        made: Self = combined(message)
        for name, value in vars(error).items():
            made.__dict__.setdefault(name, value)
        for name in _BUILT_IN_ATTRIBUTES:
            if hasattr(error, name):
                setattr(made, name, getattr(error, name))
        return made


_classes: dict[type[Exception], type[Any]] = {}


def _combined(original: type[Exception]) -> type[Any]:
    if original not in _classes:
        name = f"ConstructionError[{original.__name__}]"
        members = {
            "__module__": __name__,
            "__new__": lambda cls, *args: original.__new__(cls),
            "_original": original,
        }
        try:
            made = type(name, (ConstructionError, original), members)
            made("")
        except Exception:  # such a class, or its constructor, cannot be combined with ours
            made = ConstructionError
        _classes[original] = made
    return _classes[original]


def _original_class(made: type) -> type[Exception] | None:
    return getattr(made, "_original", None)


def _restore(
    original: type[Exception] | None, message: str, inside: list[str]
) -> ConstructionError:
    error: ConstructionError = (_combined(original) if original else ConstructionError)(message)
    error.inside = inside
    return error
