"""Choose the checkpoint that a run starts from, and read the newest whole one."""

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from engine_dist import all_gather_object, broadcast_object_list, is_main_process
from engine_model.weights import CheckpointError, Placement
from engine_runner.checkpoint._latest import latest_checkpoints
from engine_runner.checkpoint._restart import continues_earlier_attempt

_log = logging.getLogger("engine.runner")


class CheckpointSource:
    """Where a run starts: a named checkpoint, the newest whole one of its folder, or none.

    Args:
        read: Reads a checkpoint at a path or URI.

    Example:
        >>> import tempfile
        >>> source = CheckpointSource(read=lambda filename: {})
        >>> source.choose("base.pth", tempfile.mkdtemp(), resumes=False)
        ('base.pth', False)
        >>> source.choose("base.pth", tempfile.mkdtemp(), resumes=False)  # once per run
        (None, False)
    """

    def __init__(self, read: Callable[..., Any]) -> None:
        self._read = read
        self._started = False
        self._loaded = self._resumed = False  # by the caller, before the run starts
        self._latest: list[str] = []

    def note_loaded(self) -> None:
        """Note that the caller has loaded a checkpoint."""
        self._loaded = True

    def note_resumed(self) -> None:
        """Note that the caller has resumed a checkpoint."""
        self._resumed = True

    def choose(
        self, load_from: str | None, work_dir: str, *, resumes: bool
    ) -> tuple[str | None, bool]:
        """Return the checkpoint that a run starts from, and whether to resume; see `Checkpointer`.

        Args:
            load_from: The checkpoint that the settings name.
            work_dir: The folder whose latest checkpoint is resumed otherwise.
            resumes: Whether the settings resume.
        """
        # Once per run: ``test()`` after ``train()`` must not load the checkpoint of the start.
        if self._started:
            return None, resumes
        self._started = True
        # Called in any case, since it notes what the first attempt began with.
        if continues_earlier_attempt(work_dir):
            _log.info("The launcher restarted this run; it resumes what it has saved.")
            return self._find_latest(work_dir), True
        # What the caller resumed or loaded counts, not what the settings name for the start.
        if self._resumed or (self._loaded and not resumes):
            return None, resumes
        if load_from is not None and "://" not in load_from:
            load_from = os.path.expanduser(load_from)
        if load_from is not None or not resumes:
            return load_from, resumes
        return self._find_latest(work_dir), True

    def _find_latest(self, work_dir: str) -> str | None:
        """Return the latest checkpoint, equal on all ranks, or None; note the older ones."""
        found = [latest_checkpoints(work_dir) if is_main_process() else []]
        broadcast_object_list(found)  # folders may look different on another machine
        self._latest = found[0]
        if not found[0]:
            return None
        _log.info("Auto resumed from the latest checkpoint %s.", self._latest[0])
        return self._latest[0]

    def read_whole(
        self,
        filename: str,
        map_location: str | Callable[..., Any],
        placement: Placement | None = None,
    ) -> tuple[dict[str, Any], str]:
        """Return a checkpoint and its name; of those that `choose` found, the newest whole one.

        Args:
            filename: The checkpoint. If `choose` found it and it is damaged, the next is taken.
            map_location: The device of its tensors.
            placement: How the model is sharded.

        Raises:
            CheckpointError: The named one is damaged, or all are.
        """
        if self._latest[:1] != [filename]:  # it was named: no other one takes its place
            return self._read(filename, map_location, placement), filename
        problems: list[str] = []
        for name in self._latest:
            checkpoint, problem = self._try_to_read(name, map_location, placement)
            # Storages may show the ranks different files; all ranks take the same checkpoint.
            problem = next(filter(None, all_gather_object(problem)), "")
            if not problem:
                if problems:
                    _log.warning("Resuming from %s, the newest whole checkpoint.", name)
                return checkpoint, name
            _log.warning("%s; trying an older checkpoint", problem)
            problems.append(problem)
        raise CheckpointError(
            "no checkpoint to resume from is whole:\n"
            + "\n".join(problems)
            + "\nto train anew, set resume=False or another work_dir"
        )

    def _try_to_read(
        self,
        filename: str,
        map_location: str | Callable[..., Any],
        placement: Placement | None,
    ) -> tuple[dict[str, Any], str]:
        """Return a checkpoint and an empty string, or the reason why it cannot be resumed."""
        try:
            checkpoint: Any = self._read(filename, map_location, placement)
        except (CheckpointError, FileNotFoundError) as error:
            return {}, str(error)
        found = checkpoint if isinstance(checkpoint, Mapping) else {}
        for name in ("state_dict", "meta"):
            if name not in found:
                return {}, f"{filename} is not a checkpoint of a run: it has no {name}"
        return dict(found), ""
