"""Names for the types in the runner's public signatures."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import engine_config

Config: TypeAlias = Mapping[str, Any]
"""A config a registry can build from: a mapping with a ``type``, or one whose type is implied."""

ConfigType: TypeAlias = engine_config.Config | engine_config.ConfigDict | Mapping[str, Any]
"""The documented name for a config of any kind."""

Model: TypeAlias = Any
"""A ``torch.nn.Module`` with the steps that the loops call: ``train_step``, ``val_step`` …"""

Batch: TypeAlias = Any
"""What a data loader yields: a mapping, a sequence or a tensor; only the model interprets it."""

Outputs: TypeAlias = Any
"""What a model step returns: log variables while training, predictions otherwise."""

Metrics: TypeAlias = Mapping[str, Any]
"""Metric name to value, in the order the metrics were computed."""

LAUNCHERS = ("none", "pytorch", "slurm", "mpi")
"""How the processes of a run may be started."""
