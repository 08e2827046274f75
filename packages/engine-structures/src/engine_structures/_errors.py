"""The errors of engine-structures that callers may catch.

The documented examples expect ``AssertionError`` for values that do not fit a field. These classes
derive from it, and from the usual built-in error.
"""


class FieldTypeError(TypeError, AssertionError):
    """A value has a type that its field does not accept."""


class FieldValueError(ValueError, AssertionError):
    """A value has a shape or length that does not fit the other fields."""
