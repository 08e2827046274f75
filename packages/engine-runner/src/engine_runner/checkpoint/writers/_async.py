"""Write a checkpoint while the run continues."""

from collections.abc import Callable, Mapping
from typing import Any

from engine_dist import is_main_process
from engine_runner.checkpoint.writers._background import Background
from engine_runner.checkpoint.writers._file import write_file
from engine_runner.checkpoint.writers._snapshot import Snapshots


class AsyncWriter:
    """Copy the checkpoint in memory, and write the copy in a thread while the run continues.

    The run waits for the copy only, which is kept in CPU memory: the main rank needs room for one
    more checkpoint, as large as its file. At most one is written at a time. A save waits until the
    former one is complete. The end of a run waits, too, also after a signal or an exception.

    A failure is logged at once, and raised by `finish`.

    Args:
        pin_memory: Whether copies of a GPU's values are in pinned memory, from which they are
            copied several times as fast. It cannot be swapped out.

    Example:
        >>> import tempfile, torch
        >>> path, writer = f"{tempfile.mkdtemp()}/epoch_1.pth", AsyncWriter()
        >>> weight = torch.ones(1)
        >>> writer.write({"state_dict": {"weight": weight}}, path)
        >>> _ = weight.zero_()  # the training continues
        >>> writer.finish()
        >>> torch.load(path, weights_only=True)["state_dict"]
        {'weight': tensor([1.])}
    """

    sharded = False
    in_background = True
    logs_failures = True

    def __init__(self, pin_memory: bool = True) -> None:
        if not isinstance(pin_memory, bool):
            raise ValueError(f"pin_memory must be a bool, got {pin_memory!r}")
        self._snapshots = Snapshots(pin_memory)
        self._background = Background()

    def write(
        self,
        checkpoint: dict[str, Any],
        path: str,
        *,
        backend_args: Mapping[str, Any] | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Start to write the checkpoint; see `Writer.write`."""
        self._background.begin()
        if not is_main_process():
            return
        try:
            taken, arrived = self._snapshots.take(checkpoint)
        except Exception as error:  # such as no memory; the other ranks learn of it in `finish`
            self._background.fail(error, path)
            return

        def work() -> None:
            arrived()
            write_file(taken, path, backend_args)
            if then is not None:
                then()

        self._background.run(work, path)

    def wait(self) -> None:
        """Return when this process writes nothing; it asks no other rank, and raises nothing."""
        self._background.wait()

    def finish(self) -> None:
        """Return when the checkpoints are complete; see `Writer.finish`."""
        self._background.finish()
