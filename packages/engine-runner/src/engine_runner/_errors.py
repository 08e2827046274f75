"""What callers of the runner may catch."""


class SettingsError(ValueError):
    """The settings of a run contradict each other, or something that belongs to them is missing."""


class NotConfiguredError(RuntimeError):
    """A run was asked for training, validation or test that its settings leave out."""
