"""Questions about the methods of an object or class."""


def has_method(obj: object, method: str) -> bool:
    """Tell whether an object has a method of that name.

    Example:
        >>> has_method([], "append"), has_method([], "push")
        (True, False)
    """
    return callable(getattr(obj, method, None))


def is_method_overridden(method: str, base_class: type, derived_class: object) -> bool:
    """Tell whether a class has its own version of a method of its base class.

    Args:
        method: The name of the method.
        base_class: The class that defines it first.
        derived_class: A class derived from it, or an instance of one.

    Raises:
        TypeError: ``base_class`` is not a class.
        AttributeError: one of the two has no such method.

    Example:
        >>> is_method_overridden("__len__", dict, type("Full", (dict,), {}))
        False
    """
    if not isinstance(base_class, type):
        raise TypeError(f"base_class is a class, not an instance of {type(base_class).__name__}")
    derived = derived_class if isinstance(derived_class, type) else type(derived_class)
    return _function(derived, method) is not _function(base_class, method)


def _function(owner: type, method: str) -> object:
    # A class method is bound anew, to its class, at each look-up.
    found = getattr(owner, method)
    return getattr(found, "__func__", found)
