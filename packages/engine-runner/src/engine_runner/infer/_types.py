"""Names for the types in the signatures of inferencers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from engine_config import Config, ConfigDict

ImgType: TypeAlias = np.ndarray[Any, Any] | Sequence[np.ndarray[Any, Any]]
"""A picture as an array, or several."""

ModelType: TypeAlias = str | Path | Config | ConfigDict | Mapping[str, Any]
"""A config, the path of one, ``package::path``, or the name of a model in a metafile."""

InputType: TypeAlias = Any
"""One input: a path, an address, an array, or whatever else the pipeline interprets."""

InputsType: TypeAlias = Any
"""One input or several; a folder or a pattern such as ``images/*.png`` stands for its files."""

ResType: TypeAlias = dict[str, Any]
"""The results: ``predictions`` and ``visualization``."""
