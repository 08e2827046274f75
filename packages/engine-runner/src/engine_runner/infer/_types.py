"""Names for the types in the signatures of inferencers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from engine_config import Config, ConfigDict

ModelType: TypeAlias = str | Path | Config | ConfigDict | Mapping[str, Any]
"""A config, the path of one, ``package::path``, or the name of a model in a metafile."""

InputType: TypeAlias = str | Path | np.ndarray | Tensor | Mapping[str, Any]
"""One input: a path, an address, an array, a tensor, or a sample for the pipeline."""

InputsType: TypeAlias = InputType | Sequence[InputType]
"""One input or several; a folder or a pattern such as ``images/*.png`` stands for its files."""

ResType: TypeAlias = dict[str, Any]
"""The results: ``predictions`` and ``visualization``."""
