"""What loading weights may raise, for callers that want to catch it."""


class WeightsError(RuntimeError):
    """Base of the errors of this room.

    Example:
        >>> issubclass(StateDictError, WeightsError)
        True
    """


class StateDictError(WeightsError):
    """The weights do not fit the module, and ``strict`` was asked for.

    Example:
        >>> raise StateDictError("missing keys: fc.weight")
        Traceback (most recent call last):
        engine_model.weights._errors.StateDictError: missing keys: fc.weight
    """


class CheckpointError(WeightsError):
    """A file is no checkpoint, or holds no weights where they are looked for.

    Example:
        >>> raise CheckpointError("no weights under the prefix 'backbone.'")
        Traceback (most recent call last):
        engine_model.weights._errors.CheckpointError: no weights under the prefix 'backbone.'
    """
