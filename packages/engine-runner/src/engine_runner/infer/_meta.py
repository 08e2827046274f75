"""The class of inferencer classes, which checks where their arguments go."""

from abc import ABCMeta
from typing import Any

STEPS = ("preprocess", "forward", "visualize", "postprocess")
"""The steps of an inferencer, in order. Each has a set of keywords, such as ``forward_kwargs``."""


class InferencerMeta(ABCMeta):
    """Check the sets of keywords of an inferencer when its class is defined.

    Raises:
        AssertionError: A keyword is in the sets of two steps, or a set is not a set of strings.

    Example:
        >>> class Twice(metaclass=InferencerMeta):
        ...     forward_kwargs = {"scale"}
        ...     visualize_kwargs = {"scale", "show"}
        Traceback (most recent call last):
        AssertionError: keywords of Twice must belong to one step each, got 'scale' in ...
    """

    def __init__(cls, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        owner: dict[str, str] = {}
        for step in STEPS:
            attribute = f"{step}_kwargs"
            keywords: Any = getattr(cls, attribute, frozenset())
            if not _is_set_of_names(keywords):
                # Documented as AssertionError, also where Python skips assert statements.
                raise AssertionError(
                    f"{cls.__name__}.{attribute} must be a set of strings, got {keywords!r}"
                )
            for keyword in sorted(keywords):
                if keyword in owner:
                    raise AssertionError(
                        f"keywords of {cls.__name__} must belong to one step each, got "
                        f"{keyword!r} in {owner[keyword]} and {attribute}"
                    )
                owner[keyword] = attribute


def _is_set_of_names(value: object) -> bool:
    return isinstance(value, set | frozenset) and all(isinstance(name, str) for name in value)
