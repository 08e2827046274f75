"""The classes of the table, imported for editors and type checkers only: one line for each row.

At run time ``__getattr__`` of the packages finds them through the table.
"""

from engine_visualization.backends._local import LocalVisBackend as LocalVisBackend
from engine_visualization.backends._tensorboard import (
    TensorboardVisBackend as TensorboardVisBackend,
)
from engine_visualization.backends._wandb import WandbVisBackend as WandbVisBackend
