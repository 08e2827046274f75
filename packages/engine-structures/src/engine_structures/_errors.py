"""What callers of engine-structures may catch.

The manual's examples expect ``AssertionError`` for values that do not fit a field; these are the
built-in errors for such misuse, and that one too.
"""


class FieldTypeError(TypeError, AssertionError):
    """A value has a type that its field does not take."""


class FieldValueError(ValueError, AssertionError):
    """A value has a shape or length that does not fit the other fields."""
