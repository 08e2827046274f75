"""Save a checkpoint as a folder, to which each rank writes its shards."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from engine_model.weights.sharded._folder import Folder

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class ShardedSave:
    """A save of a checkpoint to a folder, by all ranks.

    Args:
        checkpoint: The checkpoint. Sharded tensors are those of all ranks, and everything else is
            equal on all ranks.
        path: The path or address of the folder, whose name ends in ``.dcp``. An earlier checkpoint
            stays until this one is complete.
        rank: The rank of this process.
        world_size: The number of ranks.
        facts: Further entries of the manifest, as JSON has them.
        backend_args: Arguments of the storage backend.

    Example:
        >>> import tempfile, torch
        >>> from engine_model.weights.sharded import read_sharded
        >>> path = f"{tempfile.mkdtemp()}/epoch_1.dcp"
        >>> ShardedSave({"state_dict": {"weight": torch.ones(2)}}, path).write()
        >>> read_sharded(path)
        {'state_dict': {'weight': tensor([1., 1.])}}
    """

    def __init__(
        self,
        checkpoint: Mapping[str, Any],
        path: str,
        *,
        rank: int = 0,
        world_size: int = 1,
        facts: Mapping[str, Any] | None = None,
        backend_args: Mapping[str, Any] | None = None,
    ) -> None:
        # Imported here, as torch.distributed.checkpoint takes a second.
        from engine_model.weights.sharded._plan import SavePlanner
        from engine_model.weights.sharded._storage import FolderWriter

        self._world_size = world_size
        self._planner = SavePlanner(checkpoint, rank, world_size)
        self._writer = FolderWriter(Folder(path, backend_args), facts or {})

    @property
    def parts(self) -> dict[str, Tensor]:
        """The tensors that this rank writes, or its shards of them, by key."""
        return self._planner.parts

    @parts.setter
    def parts(self, parts: dict[str, Tensor]) -> None:
        """Write copies in place of what the training may change."""
        self._planner.parts = parts

    def write(self, group: "ProcessGroup | None" = None) -> None:
        """Write the checkpoint. All ranks must call this; a thread may, with a group of its own.

        Args:
            group: The group in which the ranks exchange their plans; all ranks by default.

        Raises:
            OSError: A rank cannot write to the storage; raised on all ranks.
            ValueError: The ranks have different tensors; raised on all ranks.
        """
        if self._world_size == 1:
            self._write_alone()
            return
        from torch.distributed.checkpoint.api import CheckpointException
        from torch.distributed.checkpoint.state_dict_saver import save

        try:
            save({}, storage_writer=self._writer, planner=self._planner, process_group=group)
        except CheckpointException as error:
            self._writer.discard()
            rank, (cause, _) = next(iter(error.failures.items()))
            message = f"rank {rank}: {cause}"
            if isinstance(cause, OSError):
                raise (
                    OSError(message)
                    if cause.errno is None
                    else OSError(cause.errno, f"rank {rank}: {cause.strerror}", cause.filename)
                ) from error
            raise ValueError(message) from error

    def _write_alone(self) -> None:
        planner, writer = self._planner, self._writer
        try:
            planner.set_up_planner({}, is_coordinator=True)
            writer.set_up_storage_writer(True)
            plans, metadata = planner.create_global_plan([planner.create_local_plan()])
            plan = planner.finish_plan(writer.prepare_global_plan(plans)[0])
            writer.finish(metadata, [writer.write_data(plan, planner).value()])
        except BaseException:
            writer.discard()
            raise
