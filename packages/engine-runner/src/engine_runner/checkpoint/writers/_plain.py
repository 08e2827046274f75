"""Write a checkpoint to one file before the run continues."""

from collections.abc import Callable, Mapping
from typing import Any

from engine_dist import is_main_process
from engine_runner.checkpoint.writers._failures import raise_on_all_ranks
from engine_runner.checkpoint.writers._file import write_file


class PlainWriter:
    """Write on the main rank, while the other ranks wait.

    Example:
        >>> import tempfile, torch
        >>> path = f"{tempfile.mkdtemp()}/epoch_1.pth"
        >>> PlainWriter().write({"state_dict": {"weight": torch.ones(1)}}, path)
        >>> torch.load(path, weights_only=True)["state_dict"]
        {'weight': tensor([1.])}
    """

    sharded = False
    in_background = False

    def write(
        self,
        checkpoint: dict[str, Any],
        path: str,
        *,
        backend_args: Mapping[str, Any] | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Write the checkpoint; see `Writer.write`."""
        failure: Exception | None = None
        if is_main_process():
            try:
                write_file(checkpoint, path, backend_args)
            except Exception as error:  # whatever it is, the other ranks wait for this one
                failure = error
        raise_on_all_ranks(failure)
        if then is not None and is_main_process():
            then()

    def wait(self) -> None:
        """Return at once: this process writes nothing between two calls."""

    def finish(self) -> None:
        """Return at once: each write is complete when it returns."""
