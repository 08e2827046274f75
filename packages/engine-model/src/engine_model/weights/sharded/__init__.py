"""Checkpoints as folders of `torch.distributed.checkpoint`, to which each rank writes its shards.

A folder, such as ``epoch_3.dcp``, has files of shards, their ``.metadata``, and ``manifest.json``
with the size and SHA-256 of each file. The manifest is written last: a folder without it is not a
checkpoint. Any number of ranks, or one process, reads it.
"""

from engine_model.weights.sharded._folder import (
    MANIFEST,
    SUFFIX,
    discard_unfinished,
    is_sharded_path,
    remove_sharded,
    sharded_damage,
)
from engine_model.weights.sharded._load import read_sharded
from engine_model.weights.sharded._placement import Placement, placement_of
from engine_model.weights.sharded._save import ShardedSave

__all__ = [
    "MANIFEST",
    "SUFFIX",
    "Placement",
    "ShardedSave",
    "discard_unfinished",
    "is_sharded_path",
    "placement_of",
    "read_sharded",
    "remove_sharded",
    "sharded_damage",
]
