"""Choose the checkpoint that a run starts from, and read the newest whole one."""

import logging
from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from engine_dist import all_gather_object, broadcast_object_list, is_main_process
from engine_model.weights import CheckpointError, Placement
from engine_runner.checkpoint._complete import lack_by_manifest
from engine_runner.checkpoint._folder import CheckpointFolder, backend_args_for
from engine_runner.checkpoint._latest import latest_checkpoints
from engine_runner.checkpoint._manifest import is_resumable
from engine_runner.checkpoint._restart import continues_earlier_attempt
from engine_utils import expand_home

_T = TypeVar("_T")

_log = logging.getLogger("engine.runner")


class CheckpointSource:
    """Where a run starts: a named checkpoint, the newest whole one of its folder, or none.

    Args:
        read: Reads a checkpoint at a path or URI, with the arguments of its storage backend.

    Attributes:
        continues: Whether the run has resumed the latest checkpoint of its folders with all states,
            rather than one that was named, or with states that it restarts.

    Example:
        >>> import tempfile
        >>> source = CheckpointSource(read=lambda filename: {})
        >>> folders = [CheckpointFolder(tempfile.mkdtemp())]
        >>> source.choose("base.pth", folders, resumes=False)
        ('base.pth', False)
        >>> source.choose("base.pth", folders, resumes=False)  # once per run
        (None, False)
    """

    def __init__(self, read: Callable[..., Any]) -> None:
        self._read = read
        self._started = False
        self._loaded = self._resumed = False  # by the caller, before the run starts
        self._loads_latest = self.continues = False
        self._latest: list[str] = []
        self._optimizer = False  # whether its state is to be resumed, too

    def note_loaded(self) -> None:
        """Note that the caller has loaded a checkpoint."""
        self._loaded = True

    def note_resumed(self, *, restarts: bool) -> None:
        """Note that the caller has resumed a checkpoint.

        Args:
            restarts: Whether states were left out, which the run restarts.
        """
        self._resumed = True
        self.continues = self._loads_latest and not restarts

    def choose(
        self,
        load_from: str | None,
        folders: Sequence[CheckpointFolder],
        *,
        resumes: bool,
        needed: Container[str] = (),
    ) -> tuple[str | None, bool]:
        """Return the checkpoint that a run starts from, and whether to resume; see `Checkpointer`.

        Args:
            load_from: The checkpoint that the settings name.
            folders: The folders whose latest checkpoint is resumed otherwise; see
                `latest_checkpoints`.
            resumes: Whether the settings resume.
            needed: The names of the states to resume.

        Raises:
            CheckpointError: A folder cannot be read; raised on all ranks.
        """
        # Once per run: ``test()`` after ``train()`` must not load the checkpoint of the start.
        if self._started:
            return None, resumes
        self._started = True
        # Called in any case, since it notes what the first attempt began with.
        if _on_main_rank(continues_earlier_attempt, folders):
            _log.info("The launcher restarted this run; it resumes what it has saved.")
            return self.find_latest(folders, needed), True
        # What the caller resumed or loaded counts, not what the settings name for the start.
        if self._resumed or (self._loaded and not resumes):
            return None, resumes
        if load_from is not None or not resumes:
            return (None if load_from is None else expand_home(load_from)), resumes
        return self.find_latest(folders, needed), True

    def find_latest(
        self, folders: Sequence[CheckpointFolder], needed: Container[str] = ()
    ) -> str | None:
        """Return the latest checkpoint, equal on all ranks, or None; note the older ones.

        One whose manifest says that it cannot be resumed is passed over, if an older one can be.

        Args:
            folders: The folders of the run.
            needed: The names of the states to resume.
        """
        self._optimizer = "optimizer" in needed
        self._latest = _on_main_rank(partial(_resumable, needed=needed), folders)
        if not self._latest:
            return None
        _log.info("Auto resumed from the latest checkpoint %s.", self._latest[0])
        return self._latest[0]

    def read_whole(
        self,
        filename: str,
        map_location: str | Callable[..., Any],
        folders: Sequence[CheckpointFolder],
        placement: Placement | None = None,
    ) -> tuple[dict[str, Any], str]:
        """Return a checkpoint and its name; of those that `choose` found, the newest whole one.

        Args:
            filename: The checkpoint. If `choose` found it and it is damaged, the next is taken.
            map_location: The device of its tensors.
            folders: The folders of the run, whose storage arguments are those of the checkpoint.
            placement: How the model is sharded.

        Raises:
            CheckpointError: The named one is damaged, or all are, or their storage cannot be read.
        """
        self._loads_latest = self._latest[:1] == [filename]
        if not self._loads_latest:  # it was named: no other one takes its place
            arguments = backend_args_for(filename, folders)
            return self._read(filename, map_location, placement, arguments), filename
        problems: list[str] = []
        for name in self._latest:
            read = partial(self._read, name, map_location, placement)
            arguments = backend_args_for(name, folders)
            checkpoint, problem, unread = _try_to_read(name, partial(read, arguments))
            if problems and not problem and self._optimizer and not is_resumable(checkpoint):
                problem = f"{name} cannot be resumed: it has weights alone"
            # Storages may show the ranks different files; all ranks take the same checkpoint.
            seen = all_gather_object((problem, unread))
            if failure := next((text for text, failed in seen if failed), ""):
                # An older one might be readable. But this one is not damaged, and its work counts.
                raise CheckpointError(_unreadable(name, failure))
            problem = next((text for text, _ in seen if text), "")
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


def _resumable(folders: Sequence[CheckpointFolder], needed: Container[str]) -> list[str]:
    """Return the checkpoints of a run from the newest on that can be resumed; all if none can."""
    found = latest_checkpoints(folders)
    lacks: list[str] = []
    for index, name in enumerate(found):
        lack = lack_by_manifest(name, needed, backend_args_for(name, folders))
        if lack is None:
            if lacks:
                _log.warning("%s; resuming the older %s", "; ".join(lacks), name)
            return found[index:]
        lacks.append(f"{name} cannot be resumed: {lack}")
    return found


def _try_to_read(filename: str, read: Callable[[], Any]) -> tuple[dict[str, Any], str, bool]:
    """Return a checkpoint, why it cannot be resumed, and whether its storage is the reason."""
    try:
        checkpoint: Any = read()
    except (CheckpointError, FileNotFoundError) as error:
        return {}, str(error), False
    except OSError as error:
        return {}, str(error), True
    found = checkpoint if isinstance(checkpoint, Mapping) else {}
    for name in ("state_dict", "meta"):
        if name not in found:
            return {}, f"{filename} is not a checkpoint of a run: it has no {name}", False
    return dict(found), "", False


def _on_main_rank(
    function: Callable[[Sequence[CheckpointFolder]], _T], folders: Sequence[CheckpointFolder]
) -> _T:
    """Return the answer of the main rank on all ranks: folders may look different elsewhere.

    Raises:
        CheckpointError: The main rank could not read a folder; raised on all ranks.
    """
    answer: list[Any] = [None, ""]
    if is_main_process():
        try:
            answer[0] = function(folders)
        except (OSError, ValueError) as error:  # a ValueError: a marker is not text
            paths = ", ".join(folder.path for folder in folders)
            answer[1] = _unreadable(f"the checkpoints in {paths}", str(error))
    broadcast_object_list(answer)
    if answer[1]:
        raise CheckpointError(answer[1])
    result: _T = answer[0]
    return result


def _unreadable(what: str, reason: str) -> str:
    return (
        f"{what} cannot be read: {reason}. Nothing was trained or overwritten; start the run again "
        "when the storage answers, check backend_args of CheckpointHook, or set resume=False and "
        "another work_dir to train anew"
    )
