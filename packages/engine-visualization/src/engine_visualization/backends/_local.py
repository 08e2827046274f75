"""The tracking backend that writes to a local folder."""

import json
import logging
import os
import weakref
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from engine_utils import expand_home, finite_value, plain_value
from engine_visualization.backends._base import BaseVisBackend, ConfigLike, force_init_env
from engine_visualization.backends._file_end import move_end
from engine_visualization.drawing import save_png, to_image

_logger = logging.getLogger("engine.visualization")
_JSON = json.JSONEncoder(allow_nan=False)


class LocalVisBackend(BaseVisBackend):
    """Write scalars, images and the config to a local folder.

    Scalars are appended to a file with one JSON object per line, which holds the values of one
    call and their ``step``. The file stays open between calls. Each line is passed to the operating
    system before the call returns. JSON has no NaN and no infinity; they are written as ``null``.
    A resumed run appends to the files of the earlier one. Lines that were written after its
    checkpoint are moved to ``<name>_replaced.json``.

    Args:
        save_dir: The folder, which is created at the first record.
        img_save_dir: Folder for images, below ``save_dir``.
        config_save_file: Name of the file for the config. Its suffix chooses the format.
        scalar_save_file: Name of the file for scalars, ending in ``.json``.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     backend = LocalVisBackend(folder)
        ...     backend.add_scalars({"loss": 0.3, "accuracy": 0.8}, step=10)
        ...     backend.close()
        ...     print(Path(folder, "scalars.json").read_text(), end="")
        {"loss": 0.3, "accuracy": 0.8, "step": 10}
    """

    threaded = False

    def __init__(
        self,
        save_dir: str | PathLike[str],
        img_save_dir: str = "vis_image",
        config_save_file: str = "config.py",
        scalar_save_file: str = "scalars.json",
    ) -> None:
        super().__init__(save_dir)
        self._names = (
            expand_home(img_save_dir),
            expand_home(config_save_file),
            expand_home(scalar_save_file),
        )
        self._find_files()
        # Where the additional files are, which are named after a run and not continued by others.
        self._own_dir = self.save_dir
        self._lines = {self._names[2]}  # the names of the files of scalars
        self._streams: dict[Path, BinaryIO] = {}
        # Close the files of a backend that is deleted without close(). They contain all lines
        # already, but Python would issue a ResourceWarning.
        weakref.finalize(self, _close_all, self._streams)

    def _find_files(self) -> None:
        images, config, scalars = self._names
        self._images = Path(self.save_dir, images)
        self._config = Path(self.save_dir, config)
        self._scalars = _check_json(Path(self.save_dir, scalars))

    def _init_env(self) -> None:
        os.makedirs(self.save_dir, exist_ok=True)

    @property
    def _img_save_dir(self) -> str:
        return str(self._images)  # by this name for subclasses that write other pictures there

    @property
    @force_init_env
    def experiment(self) -> "LocalVisBackend":
        """The backend itself."""
        return self

    @force_init_env
    def add_config(self, config: ConfigLike, **kwargs: Any) -> None:
        """Write the config to ``config_save_file``.

        If its format cannot hold a value, such as an array in JSON or an open file, the text of the
        config is written with the suffix ``.py``.
        """
        self._config.parent.mkdir(parents=True, exist_ok=True)
        try:
            config.dump(str(self._config))
        except TypeError as error:
            target = self._config.with_suffix(".py")
            target.write_text(config.pretty_text, encoding="utf-8")
            _logger.warning("the config is written as text to %s: %s", target, error)

    @force_init_env
    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Write an image ``(H, W, 3)`` or ``(H, W)`` to ``<img_save_dir>/<name>_<step>.png``.

        Raises:
            ValueError: The image has another shape.
        """
        pixels = to_image(image)
        target = self._images / f"{name}_{step}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        save_png(pixels, target)

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Append a number, tensor or array and its step to the file of scalars."""
        self.add_scalars({name: value}, step=step)

    @force_init_env
    def add_scalars(
        self,
        scalar_dict: Mapping[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Append values and their step as one line to the file of scalars.

        Args:
            scalar_dict: Numbers, tensors or arrays by name. The key ``step`` overrides the
                argument.
            step: The step.
            file_path: An additional file for the line, ending in ``.json``, below the folder with
                which the backend was built.
            **kwargs: Unused.

        Raises:
            OSError: The line cannot be written, as on a full disk. None of it is left in the file.
            TypeError: JSON cannot represent a value.
            ValueError: ``file_path`` is the file of scalars, or does not end in ``.json``.
        """
        values = plain_value(dict(scalar_dict), scalars=True)
        line = _as_line({**values, "step": values.get("step", step)})
        if file_path is not None:
            self._append(self._extra_file(file_path), line)
            self._lines.add(file_path)
        self._append(self._scalars, line)

    def state_dict(self) -> dict[str, Any]:
        """Return the sizes of the files of scalars in bytes."""
        own = _sizes(self._own_dir, self._lines) if self._own_dir != self.save_dir else {}
        return {
            "sizes": _sizes(self.save_dir, self._lines),
            "own": {"folder": self._own_dir, "sizes": own},
        }

    def resume(self, state: Mapping[str, Any], save_dir: str) -> None:
        """Append to the files in ``save_dir``, from the sizes that a checkpoint has saved.

        Additional files of this process stay in the folder with which the backend was built.
        """
        self.close()
        self._save_dir = save_dir
        self._find_files()
        self._cut(save_dir, state.get("sizes", {}))
        own = state.get("own", {})
        if own.get("folder") == self._own_dir != save_dir:  # this process returns to a checkpoint
            self._cut(self._own_dir, own.get("sizes", {}))

    def _cut(self, folder: str, sizes: Mapping[str, int]) -> None:
        """Move what files have beyond their sizes to files ``…_replaced.json``."""
        for name, size in sizes.items():
            file = _check_json(Path(folder, name))
            if file.resolve().is_relative_to(Path(folder).resolve()):
                move_end(file, size, file.with_name(f"{file.stem}_replaced.json"))
                self._lines.add(name)

    def close(self) -> None:
        """Close the files; the next record opens them again."""
        self._env_initialized = False
        _close_all(self._streams)

    def _append(self, file: Path, line: bytes) -> None:
        stream = self._streams.get(file)
        if stream is None:
            file.parent.mkdir(parents=True, exist_ok=True)
            # Without a buffer: a killed run loses no line, and a line that did not fit on a full
            # disk is not tried again by close().
            stream = self._streams[file] = file.open("ab", buffering=0)
        _write_whole(stream, line)

    def _extra_file(self, file_path: str) -> Path:
        file = _check_json(Path(self._own_dir, expand_home(file_path)))
        if file == self._scalars:
            raise ValueError(f"file_path must differ from scalar_save_file, got {file_path!r}")
        return file


def _sizes(folder: str, names: Iterable[str]) -> dict[str, int]:
    files = {name: Path(folder, name) for name in sorted(names)}
    return {name: file.stat().st_size for name, file in files.items() if file.is_file()}


def _write_whole(stream: BinaryIO, line: bytes) -> None:
    """Write a line, or remove its first part again if the rest does not fit on the disk."""
    written = 0
    try:
        while written < len(line):
            written += stream.write(line[written:])
    except OSError:
        if written:
            os.truncate(stream.fileno(), stream.tell() - written)
        raise


def _as_line(values: dict[str, Any]) -> bytes:
    try:
        try:
            text = _JSON.encode(values)
        except ValueError:  # a value is NaN or infinite, which is rare
            text = _JSON.encode(finite_value(values))
        return f"{text}\n".encode()
    except TypeError as error:
        kinds = ", ".join(f"{name!r} is a {type(value).__name__}" for name, value in values.items())
        raise TypeError(f"scalars must be JSON values ({error}), got {kinds}") from error


def _close_all(streams: dict[Path, BinaryIO]) -> None:
    while streams:
        streams.popitem()[1].close()


def _check_json(file: Path) -> Path:
    if file.suffix != ".json":
        raise ValueError(f"names of scalar files must end in .json, got {file.name!r}")
    return file
