"""Errors of loading weights, which callers may catch."""


class WeightsError(RuntimeError):
    """The base class of the errors of loading weights.

    Example:
        >>> import io
        >>> from engine_model import read_checkpoint
        >>> try:
        ...     read_checkpoint(io.BytesIO(b"no weights"))
        ... except WeightsError as error:
        ...     print(type(error).__name__)
        CheckpointError
    """


class StateDictError(WeightsError):
    """The weights do not fit the module, and ``strict`` is true.

    Example:
        >>> from torch import nn
        >>> from engine_model import load_state_dict
        >>> load_state_dict(nn.Linear(1, 1), {}, strict=True)
        Traceback (most recent call last):
            ...
        engine_model.weights._errors.StateDictError: the weights do not fit Linear exactly
        missing keys in the weights: weight, bias
    """


class CheckpointError(WeightsError):
    """A file is not a checkpoint, or it has no weights in the expected place.

    Example:
        >>> from engine_model import weights_under
        >>> weights_under({"head.weight": 0}, "backbone")
        Traceback (most recent call last):
            ...
        engine_model.weights._errors.CheckpointError: no weights under the prefix 'backbone.'; ...
    """
