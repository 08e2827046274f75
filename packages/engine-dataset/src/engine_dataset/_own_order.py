"""Find what a sampler says about its order; a subclass with an order of its own may not mean it."""


def describes_order(sampler: object, name: str) -> bool:
    """Return whether a sampler has an attribute that belongs to the order that it iterates.

    A subclass that overrides ``__iter__`` alone inherits methods such as ``start_at`` and
    ``padding``, which describe the order of its base.

    Example:
        >>> from engine_dataset import DefaultSampler
        >>> class Reversed(DefaultSampler):
        ...     def __iter__(self):
        ...         return iter(range(len(self))[::-1])
        >>> describes_order(DefaultSampler([1]), "start_at")
        True
        >>> describes_order(Reversed([1]), "start_at")
        False
    """
    if name in getattr(sampler, "__dict__", {}):
        return True
    for kind in type(sampler).__mro__:
        if name in vars(kind):
            return True
        if "__iter__" in vars(kind):
            return False
    return False
