"""The errors of look-ups and constructions, which a caller may catch."""

from typing import Any, Self


class RegistryError(Exception):
    """Base of the errors of look-ups and constructions."""


class NotRegisteredError(RegistryError, KeyError):
    """No class or function has the name that was looked up."""

    # KeyError shows the repr of its argument: a message of several lines would become one.
    __str__ = Exception.__str__


class LocationImportError(NotRegisteredError, ImportError):
    """A name is not found, and a module that may define it could not be imported.

    The error of the import is the cause.
    """

    __str__ = Exception.__str__


# OSError and ImportError store these attributes outside of ``__dict__``.
_BUILT_IN_ATTRIBUTES = ("errno", "strerror", "filename", "filename2", "name", "path")


class ConstructionError(RegistryError):
    """A class or function was found but raised when it was called.

    The raised error is also an instance of the original error's class, so that
    ``except ValueError`` around a build keeps working. The original error is the cause.

    Attributes:
        inside: The enclosing constructions, from the inner to the outer one.
        config: The config of what could not be built, with ``type``; empty after unpickling.
    """

    def __init__(self, message: str = "") -> None:
        # Not super(): next in the MRO is the class of the original error, whose constructor may
        # have other parameters.
        Exception.__init__(self, message)
        self.message = message
        self.inside: list[str] = []
        self.config: dict[str, Any] = {}

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  while building {outer}" for outer in self.inside)])

    def __reduce__(self) -> tuple[Any, ...]:
        # The class is created at run time, so pickle cannot import it by name.
        return _restore, (_original_class(type(self)), self.message, self.inside)

    @classmethod
    def from_error(cls, error: Exception, message: str) -> Self:
        """Return an error that is an instance of this class and of the class of ``error``."""
        combined = _combined(type(error))
        made: Self = combined(message)
        for name, value in vars(error).items():
            made.__dict__.setdefault(name, value)
        for name in _BUILT_IN_ATTRIBUTES:
            if hasattr(error, name):
                setattr(made, name, getattr(error, name))
        return made


# One class per original class, so that equal errors have equal classes and memory stays bounded.
_classes: dict[type[Exception], type[Any]] = {}


def _combined(original: type[Exception]) -> type[Any]:
    if original not in _classes:
        name = f"ConstructionError[{original.__name__}]"
        members = {
            "__module__": __name__,
            # OSError.__new__ chooses a subclass by its arguments, so the message is not passed.
            "__new__": lambda cls, *args: original.__new__(cls),
            "_original": original,
        }
        try:
            made = type(name, (ConstructionError, original), members)
            made("")
        except Exception:  # the class or its constructor cannot be combined with ours
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
