"""Record to lists: a complete tracking backend in one file. Not a test module."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine_utils import plain_value
from engine_visualization import BaseVisBackend
from engine_visualization.backends import ConfigLike
from engine_visualization.backends._library import import_library
from engine_visualization.drawing import to_image


class ToyVisBackend(BaseVisBackend):
    """Keeps what it gets, and writes names to a file."""

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir)
        self.records: dict[str, Any] = {}

    def add_config(self, config: ConfigLike, **kwargs: Any) -> None:
        self._keep("config", config.pretty_text)

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        self._keep(name, to_image(image))

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        self._keep(name, plain_value(value, scalars=True))

    def add_scalars(
        self,
        scalar_dict: Mapping[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        for name, value in scalar_dict.items():
            self.add_scalar(name, value, step)

    def connect(self) -> None:
        """Import a library that does not exist."""
        import_library("toy", "no_such_library.client")

    def _keep(self, name: str, value: Any) -> None:
        self.records[name] = value
        Path(self.save_dir).mkdir(parents=True, exist_ok=True)
        (Path(self.save_dir) / "names").write_text("\n".join(self.records))
