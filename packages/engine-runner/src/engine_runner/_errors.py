"""The errors that callers of the runner may catch."""


class SettingsError(ValueError):
    """A setting of a run is wrong or missing, or two settings contradict each other."""


class NotConfiguredError(RuntimeError):
    """The settings of a run leave out the training, validation or test that was called."""


class CheckpointWriteError(OSError):
    """A checkpoint could not be written; an older file of its name is left as it was.

    Attributes:
        is_logged: Whether its writer has logged it, in the background.
    """

    is_logged = False


class NonFiniteLossError(ArithmeticError):
    """A loss or a weight of a training is NaN or infinite; see `FiniteLossHook`."""


class RollbackRequest(NonFiniteLossError):
    """A training must return to its last checkpoint; `Runner.train` does that."""


class TimeLimitReached(SystemExit):
    """A training stopped before ``max_time``, with a checkpoint, and is not finished.

    Uncaught, it ends the process with exit code 75, ``EX_TEMPFAIL``.

    Args:
        message: What was reached, and how to continue.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(75)
        self.message = message


class ExportError(RuntimeError):
    """A model cannot be exported, or its exported file computes other outputs than the model."""
