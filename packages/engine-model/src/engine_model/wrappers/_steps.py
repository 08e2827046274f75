"""Forward a part of the model's interface from a wrapper to its model."""

from typing import Any


class StepsOfModel:
    """Forward the data preprocessor, the validation step and the test step to ``module``.

    Example:
        >>> from types import SimpleNamespace
        >>> wrapper = StepsOfModel()
        >>> wrapper.module = SimpleNamespace(val_step=len)
        >>> wrapper.val_step([1, 2])
        2
    """

    module: Any  # the user's model: a `BaseModel`, or any module with these methods

    @property
    def data_preprocessor(self) -> Any:
        """The data preprocessor of the model."""
        return self.module.data_preprocessor

    def val_step(self, data: Any) -> Any:
        """Return the predictions of the model for one batch of this rank.

        If the model is sharded, all ranks must call this.

        Args:
            data: The batch that the data loader of this rank yielded.
        """
        return self.module.val_step(data)

    def test_step(self, data: Any) -> Any:
        """Return the predictions of the model for one batch of this rank.

        If the model is sharded, all ranks must call this.

        Args:
            data: The batch that the data loader of this rank yielded.
        """
        return self.module.test_step(data)
