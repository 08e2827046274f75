"""The tracking backend that writes TensorBoard event files."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import numpy as np

from engine_visualization.backends._base import (
    BaseVisBackend,
    ConfigLike,
    force_init_env,
    scalars_of,
    single_number,
)
from engine_visualization.backends._file_end import move_end
from engine_visualization.backends._library import import_library
from engine_visualization.drawing import to_image


class TensorboardVisBackend(BaseVisBackend):
    """Write scalars, images and the config as TensorBoard events.

    The extra ``tensorboard`` is required. TensorBoard is imported at the first record. A resumed
    run continues in the folder of the earlier one, whose event files are cut where its checkpoint
    was saved; ``events.out.replaced.*`` have what was cut off.

    Args:
        save_dir: Folder for the event files.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     backend = TensorboardVisBackend(folder)
        ...     backend.add_scalar("loss", 0.3, step=10)
        ...     backend.close()
    """

    threaded = False
    libraries: ClassVar[Mapping[str, str]] = {"tensorboard": "engine-visualization[tensorboard]"}

    def __init__(self, save_dir: str | PathLike[str]) -> None:
        super().__init__(save_dir)
        self._tensorboard: Any = None
        self._key = f".{uuid4().hex[:12]}"  # ends the names of the files of this run

    def _init_env(self) -> None:
        self._tensorboard = import_library("tensorboard", "torch.utils.tensorboard").SummaryWriter(
            self.save_dir, filename_suffix=self._key
        )

    @property
    @force_init_env
    def experiment(self) -> Any:
        """The `torch.utils.tensorboard.SummaryWriter`, which the first use creates.

        Raises:
            ImportError: TensorBoard is not installed.
        """
        return self._tensorboard

    def add_config(self, config: ConfigLike, **kwargs: Any) -> None:
        """Record the config as text."""
        # TensorBoard renders text as Markdown, where indented lines are code.
        indented = config.pretty_text.replace("\n", "\n    ")
        self.experiment.add_text("config", f"    {indented}")

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Record an image ``(H, W, 3)`` or ``(H, W)``."""
        self.experiment.add_image(name, to_image(image), step, dataformats="HWC")

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a single number. Other values are skipped, with one warning in the log."""
        number = single_number(self, name, value, "TensorBoard")
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

    def state_dict(self) -> dict[str, Any]:
        """Return the event files of this run and their sizes in bytes."""
        if self._tensorboard is not None:
            self._tensorboard.flush()
        return {"key": self._key, "sizes": {one.name: one.stat().st_size for one in self._files()}}

    def resume(self, state: Mapping[str, Any], save_dir: str) -> None:
        """Continue in ``save_dir``, after the events that a checkpoint has noted."""
        self.close()
        self._save_dir, self._key = save_dir, str(state["key"])
        for file in self._files():
            target = file.with_name(file.name.replace("tfevents", "replaced"))
            if file.name in state["sizes"]:
                move_end(file, int(state["sizes"][file.name]), target)
            else:  # of an attempt that has saved no checkpoint
                file.rename(target)

    def _files(self) -> list[Path]:
        # Not glob: the name of a folder may have characters with a meaning there.
        folder = Path(self.save_dir)
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        return [one for one in files if "tfevents" in one.name and one.name.endswith(self._key)]

    def close(self) -> None:
        """Flush and close the event file; the next record opens a new file."""
        if self._tensorboard is not None:
            self._tensorboard.close()
            self._tensorboard, self._env_initialized = None, False
