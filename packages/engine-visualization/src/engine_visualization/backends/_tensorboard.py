"""The tracking backend that writes TensorBoard event files."""

from collections.abc import Mapping
from os import PathLike
from typing import Any, ClassVar

import numpy as np

from engine_visualization.backends._base import (
    BaseVisBackend,
    ConfigLike,
    scalars_of,
    single_number,
)
from engine_visualization.backends._library import import_library
from engine_visualization.drawing import to_image


class TensorboardVisBackend(BaseVisBackend):
    """Write scalars, images and the config as TensorBoard events.

    The extra ``tensorboard`` is required. TensorBoard is imported at the first record.

    Args:
        save_dir: Folder for the event files.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     backend = TensorboardVisBackend(folder)
        ...     backend.add_scalar("loss", 0.3, step=10)
        ...     backend.close()
    """

    libraries: ClassVar[Mapping[str, str]] = {"tensorboard": "engine-visualization[tensorboard]"}

    def __init__(self, save_dir: str | PathLike[str]) -> None:
        super().__init__(save_dir)
        self._writer: Any = None

    @property
    def experiment(self) -> Any:
        """The `torch.utils.tensorboard.SummaryWriter`, which the first use creates.

        Raises:
            ImportError: TensorBoard is not installed.
        """
        if self._writer is None:
            self._writer = import_library("tensorboard", "torch.utils.tensorboard").SummaryWriter(
                self.save_dir
            )
        return self._writer

    def add_config(self, config: ConfigLike, **kwargs: Any) -> None:
        """Record the config as text."""
        # TensorBoard renders text as Markdown, where indented lines are code.
        indented = config.pretty_text.replace("\n", "\n    ")
        self.experiment.add_text("config", f"    {indented}")

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Record an image ``(H, W, 3)`` or ``(H, W)``."""
        self.experiment.add_image(name, to_image(image), step, dataformats="HWC")

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a single number. Other values are skipped, with a warning in the log."""
        number = single_number(name, value, "TensorBoard")
        if number is not None:
            self.experiment.add_scalar(name, number, step)

    def add_scalars(
        self,
        scalar_dict: Mapping[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Record each scalar under its name; ``file_path`` is unused."""
        for name, value, at in scalars_of(scalar_dict, step):
            self.add_scalar(name, value, at)

    def close(self) -> None:
        """Flush and close the event file; the next record opens a new file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
