"""The errors that callers of the runner may catch."""


class SettingsError(ValueError):
    """A setting of a run is wrong or missing, or two settings contradict each other."""


class NotConfiguredError(RuntimeError):
    """The settings of a run leave out the training, validation or test that was called."""


class CheckpointWriteError(OSError):
    """A checkpoint could not be written; an older file of its name is left as it was."""


class NonFiniteLossError(ArithmeticError):
    """A loss or a weight of a training is NaN or infinite; see `FiniteLossHook`."""


class ExportError(RuntimeError):
    """A model cannot be exported, or its exported file computes other outputs than the model."""
