"""Where the records of a run are, as a checkpoint saves it, for a resumed run to continue them."""

import os
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from engine_runner._protocols import Run


class RecordStates:
    """The state of the visualizer: its folder, and the state of each tracking backend.

    A run that is resumed in the folder of the earlier one continues its files, and the runs of
    tracking services. In another ``work_dir`` the records begin anew.

    Args:
        run: The run.

    Example:
        >>> from types import SimpleNamespace
        >>> run = SimpleNamespace(work_dir="runs", visualizer=None)
        >>> RecordStates(run).state_dict() is None  # a visualizer of the user's without a state
        True
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def state_dict(self) -> dict[str, Any] | None:
        """Return the state of the visualizer, or None if it has none."""
        if not hasattr(self._run.visualizer, "state_dict"):
            return None
        state: dict[str, Any] = self._run.visualizer.state_dict()
        work_dir = self._run.work_dir
        return {**state, "work_dir": work_dir, "folder": _within(work_dir, state["save_dir"])}

    def load_state_dict(self, state_dict: Mapping[str, Any] | None) -> None:
        """Continue the records, if they are those of this ``work_dir``."""
        visualizer: Any = self._run.visualizer
        if not state_dict or not hasattr(visualizer, "resume"):
            return
        folder = self._earlier_folder(state_dict)
        visualizer.resume(state_dict, folder)
        if folder is not None and self._run.is_main:
            self._run.logger.info(f"the records of the run continue in {folder}")

    def _earlier_folder(self, state: Mapping[str, Any]) -> str | None:
        """Return the folder of the earlier records, or None if it is not that of this run."""
        work_dir, folder = self._run.work_dir, state.get("folder")
        # A checkpoint of unknown origin must not name files elsewhere.
        if folder is None or PurePath(folder).is_absolute() or ".." in PurePath(folder).parts:
            return None
        path = os.path.join(work_dir, folder)
        is_moved = state.get("work_dir") != work_dir
        return None if is_moved and not Path(path).is_dir() else path


def _within(work_dir: str, folder: str | None) -> str | None:
    """Return a folder relative to the work directory, or None if it is not in there."""
    if folder is None or not Path(folder).is_relative_to(work_dir):
        return None
    return Path(folder).relative_to(work_dir).as_posix()
