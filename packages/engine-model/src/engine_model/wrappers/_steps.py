"""The steps that every wrapper leaves to its model."""

from typing import Any


class StepsOfModel:
    """Gives a wrapper the data preprocessor, and the validation and test step, of its ``module``.

    Example:
        >>> from types import SimpleNamespace
        >>> wrapper = StepsOfModel()
        >>> wrapper.module = SimpleNamespace(val_step=len)
        >>> wrapper.val_step([1, 2])
        2
    """

    module: Any

    @property
    def data_preprocessor(self) -> Any:
        """The data preprocessor of the model."""
        return self.module.data_preprocessor

    def val_step(self, data: Any) -> Any:
        """Return the predictions of the model for one batch of this rank.

        Where the model is sharded, all ranks must call it.

        Args:
            data: What the data loader yielded on this rank.
        """
        return self.module.val_step(data)

    def test_step(self, data: Any) -> Any:
        """Return the predictions of the model for one batch of this rank.

        Where the model is sharded, all ranks must call it.

        Args:
            data: What the data loader yielded on this rank.
        """
        return self.module.test_step(data)
