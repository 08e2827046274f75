"""Write a checkpoint as a folder, to which each rank writes its shards."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch.distributed as torch_dist

from engine_dist import (
    get_default_group,
    get_rank,
    get_world_size,
    guard_collective,
    is_main_process,
)
from engine_model.weights import ShardedSave
from engine_runner.checkpoint._manifest import facts_of
from engine_runner.checkpoint.writers._background import Background
from engine_runner.checkpoint.writers._failures import raise_on_all_ranks
from engine_runner.checkpoint.writers._snapshot import Snapshots

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class ShardedWriter:
    """Write a folder such as ``epoch_3.dcp``, each rank its part.

    The files are those of `torch.distributed.checkpoint`, with a manifest. Sharded weights,
    averages and states of the optimizer are not gathered: each rank writes its shards. What all
    ranks have in whole, as under `DDPStrategy`, is divided among them. All ranks must reach the
    storage. The folder is loaded and resumed like a file, by any number of ranks and any strategy;
    ``engine convert`` makes a file of it.

    Args:
        asynchronous: Whether the run continues while a copy of each rank's part is written. A save
            then waits until the former one is complete, as with `AsyncWriter`.
        pin_memory: Whether these copies of a GPU's values are in pinned memory.

    Example:
        >>> import tempfile, torch
        >>> from engine_model.weights import read_sharded
        >>> path = f"{tempfile.mkdtemp()}/epoch_1.dcp"
        >>> ShardedWriter().write({"state_dict": {"weight": torch.ones(1)}}, path)
        >>> read_sharded(path)["state_dict"]
        {'weight': tensor([1.])}
    """

    sharded = True

    def __init__(self, asynchronous: bool = False, pin_memory: bool = True) -> None:
        for name, value in (("asynchronous", asynchronous), ("pin_memory", pin_memory)):
            if not isinstance(value, bool):
                raise ValueError(f"{name} must be a bool, got {value!r}")
        self.in_background = self.logs_failures = asynchronous
        self._snapshots = Snapshots(pin_memory)
        self._background = Background()
        self._groups: tuple[object, ProcessGroup | None] = (None, None)

    def write(
        self,
        checkpoint: dict[str, Any],
        path: str,
        *,
        backend_args: Mapping[str, Any] | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Write the checkpoint, or start to; see `Writer.write`."""
        self.wait()
        group = self._group()
        save, arrived = self._prepare(checkpoint, path, backend_args)
        if not self.in_background:
            with guard_collective("write the checkpoint"):
                save.write(group)
            if then is not None and is_main_process():
                then()
            return

        def work() -> None:
            arrived()
            save.write(group)
            if then is not None and is_main_process():
                then()

        self._background.begin()
        self._background.run(work, path)

    def _prepare(
        self, checkpoint: dict[str, Any], path: str, backend_args: Mapping[str, Any] | None
    ) -> tuple[ShardedSave, Callable[[], None]]:
        """Return the save of this rank, of a copy if it runs in the background.

        Raises:
            Exception: It fails on a rank; raised on all ranks, none of which then waits for it.
        """
        failure: Exception | None = None
        save: Any = None
        arrived: Callable[[], None] = _nothing
        try:
            save = ShardedSave(
                checkpoint,
                path,
                rank=get_rank(),
                world_size=get_world_size(),
                facts=facts_of(checkpoint),
                backend_args=backend_args,
            )
            if self.in_background:
                save.parts, arrived = self._snapshots.take(save.parts)
        except Exception as error:  # such as no memory for the copy
            failure = error
        raise_on_all_ranks(failure)
        return save, arrived

    def wait(self) -> None:
        """Return when this process writes nothing.

        The threads of all ranks write together. None of them waits for a rank to train.
        """
        self._background.wait()

    def finish(self) -> None:
        """Return when the checkpoints are complete; see `Writer.finish`."""
        self._background.finish()

    def _group(self) -> "ProcessGroup | None":
        """Return a group in which the ranks exchange their plans; None for the default one.

        A thread must not use that of the training. Plans are objects, which nccl would send through
        the memory of the GPU.
        """
        world = get_default_group()
        plain = world is not None and torch_dist.get_backend(world) == "gloo"
        if world is None or get_world_size() == 1 or (plain and not self.in_background):
            return None
        if self._groups[0] is not world:
            with guard_collective("new_group"):
                made: ProcessGroup = torch_dist.new_group(backend="gloo")
            self._groups = world, made
        return self._groups[1]


def _nothing() -> None:
    """Wait for nothing."""
