"""Plan which rank writes which tensor, and which parts each rank reads."""

import dataclasses
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.default_planner import (
    DefaultLoadPlanner,
    DefaultSavePlanner,
    create_default_local_save_plan,
)
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.checkpoint.planner import ReadItem, SavePlan, WriteItem

from engine_model._sharded_tensors import is_sharded, local_part
from engine_model.weights._read import read_checkpoint
from engine_model.weights.sharded._split import Path, Split, is_large

VALUES = "values"
"""The key of the plain values, which rank 0 writes."""


class SavePlanner(DefaultSavePlanner):
    """Plan the write of a checkpoint that is equal on all ranks, but for its shards.

    A tensor that is not sharded is written by one rank, each rank having about the same number of
    bytes.

    Args:
        checkpoint: The checkpoint.
        rank: The rank of this process.
        world_size: The number of ranks.
    """

    def __init__(self, checkpoint: Mapping[str, Any], rank: int, world_size: int) -> None:
        super().__init__()
        split = Split(checkpoint)
        self._expected = set(split.tensors)
        own = _share(split.tensors, rank, world_size)
        self.mappings: dict[str, Path] = {key: split.paths[key] for key in own}
        # What is written; copies of the tensors may take their place.
        self.parts = {key: local_part(tensor) for key, tensor in own.items()}
        self._values = BytesIO()
        state: dict[str, Any] = dict(own)
        if rank == 0:
            sharded = [key for key, tensor in split.tensors.items() if is_sharded(tensor)]
            # As bytes at once: the training may change what it is made of.
            torch.save({"checkpoint": split.values, "sharded": sharded}, self._values)
            state[VALUES] = self._values
            self.mappings[VALUES] = (VALUES,)
        # Made here and not when it is asked for: a snapshot then keeps no tensor of the model.
        self._items = create_default_local_save_plan(state, rank == 0).items

    def set_up_planner(
        self, state_dict: Any, storage_meta: Any = None, is_coordinator: bool = False
    ) -> None:
        """Note the coordinator: the checkpoint was given at construction."""
        self.is_coordinator = is_coordinator

    def create_local_plan(self) -> SavePlan:
        """Return the items of this rank."""
        self.plan = SavePlan(self._items, planner_data=self.mappings)
        return self.plan

    def create_global_plan(self, all_plans: list[SavePlan]) -> tuple[list[SavePlan], Metadata]:
        """Return the plans of all ranks without copies, and the metadata.

        Raises:
            ValueError: The ranks have other tensors than rank 0.
        """
        plans, metadata = super().create_global_plan(all_plans)
        lost = self._expected - metadata.state_dict_metadata.keys()
        if lost:
            raise ValueError(
                f"the checkpoint must have the same tensors on all ranks, but {min(lost)!r} is on "
                "some only; return equal states from the state_dict of each hook"
            )
        # The ranks need the items alone.
        return [dataclasses.replace(plan, planner_data=None) for plan in plans], metadata

    def lookup_object(self, index: Any) -> Any:
        """Return the part of a tensor on this rank, or the bytes of the plain values."""
        return self._values if index.fqn == VALUES else self.parts[index.fqn]

    def transform_object(self, write_item: WriteItem, object: Any) -> Any:
        """Return the object, which is a tensor, or bytes already."""
        return object


def _share(tensors: Mapping[str, Tensor], rank: int, world_size: int) -> dict[str, Tensor]:
    """Return the sharded tensors, and the share of this rank of the others."""
    loads = [0] * world_size
    own: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        if is_sharded(tensor):
            own[key] = tensor
            continue
        # Equal on all ranks, without asking them. Running statistics of rank 0 stay together.
        chosen = loads.index(min(loads)) if is_large(tensor) else 0
        loads[chosen] += tensor.numel() * tensor.element_size()
        if chosen == rank:
            own[key] = tensor
    return own


class LoadPlanner(DefaultLoadPlanner):
    """Plan a read of tensors by their keys; plain values are read without running code.

    Args:
        weights_only: Whether to replace unknown objects by inert ones; see `read_checkpoint`.
    """

    def __init__(self, *, weights_only: bool) -> None:
        super().__init__(flatten_state_dict=False, flatten_sharded_tensors=False)
        self._weights_only = weights_only

    def load_bytes(self, read_item: ReadItem, value: BytesIO) -> None:
        """Read plain values."""
        values = read_checkpoint(value, "cpu", weights_only=self._weights_only)
        self.state_dict[read_item.dest_index.fqn] = values
