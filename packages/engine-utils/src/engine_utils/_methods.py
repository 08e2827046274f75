"""Check the methods of an object or class."""


def has_method(obj: object, method: str) -> bool:
    """Return whether an object has a method of that name.

    Example:
        >>> has_method([], "append"), has_method([], "push")
        (True, False)
    """
    return callable(getattr(obj, method, None))


def is_method_overridden(method: str, base_class: type, derived_class: object) -> bool:
    """Return whether a class overrides a method of its base class.

    Args:
        method: The name of the method.
        base_class: The base class, which defines the method.
        derived_class: A class derived from it, or an instance of one.

    Raises:
        TypeError: ``base_class`` is not a class.
        AttributeError: One of the two has no such method.

    Example:
        >>> is_method_overridden("__len__", dict, type("Full", (dict,), {}))
        False
    """
    if not isinstance(base_class, type):
        raise TypeError(
            f"base_class must be a class, got an instance of {type(base_class).__name__}"
        )
    derived = derived_class if isinstance(derived_class, type) else type(derived_class)
    return _function(derived, method) is not _function(base_class, method)


def _function(owner: type, method: str) -> object:
    # Each access to a class method returns a new object, bound to the class that is accessed.
    found = getattr(owner, method)
    return getattr(found, "__func__", found)
