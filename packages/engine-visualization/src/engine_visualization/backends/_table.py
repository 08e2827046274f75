"""The table of tracking backends.

A new backend is one file in this folder, one row here (with an import for editors and type
checkers) and, if it needs a library, one extra in ``pyproject.toml``.
"""

from typing import TYPE_CHECKING

from engine_visualization.backends._row import BackendRow

if TYPE_CHECKING:  # names for type checkers; at run time `_registry` loads the rows
    from engine_visualization.backends._aim import AimVisBackend as AimVisBackend
    from engine_visualization.backends._clearml import ClearMLVisBackend as ClearMLVisBackend
    from engine_visualization.backends._dvclive import DVCLiveVisBackend as DVCLiveVisBackend
    from engine_visualization.backends._local import LocalVisBackend as LocalVisBackend
    from engine_visualization.backends._mlflow import MLflowVisBackend as MLflowVisBackend
    from engine_visualization.backends._neptune import NeptuneVisBackend as NeptuneVisBackend
    from engine_visualization.backends._tensorboard import (
        TensorboardVisBackend as TensorboardVisBackend,
    )
    from engine_visualization.backends._wandb import WandbVisBackend as WandbVisBackend


_HERE = "engine_visualization.backends"

ROWS = (
    BackendRow("AimVisBackend", f"{_HERE}._aim:AimVisBackend"),
    BackendRow("ClearMLVisBackend", f"{_HERE}._clearml:ClearMLVisBackend"),
    BackendRow("DVCLiveVisBackend", f"{_HERE}._dvclive:DVCLiveVisBackend"),
    BackendRow("LocalVisBackend", f"{_HERE}._local:LocalVisBackend"),
    BackendRow("MLflowVisBackend", f"{_HERE}._mlflow:MLflowVisBackend"),
    BackendRow("NeptuneVisBackend", f"{_HERE}._neptune:NeptuneVisBackend"),
    BackendRow("TensorboardVisBackend", f"{_HERE}._tensorboard:TensorboardVisBackend"),
    BackendRow("WandbVisBackend", f"{_HERE}._wandb:WandbVisBackend"),
)
