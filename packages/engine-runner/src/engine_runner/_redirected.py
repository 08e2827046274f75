"""Let a config write to another folder, to try it and leave nothing behind."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from engine_config import Config
from engine_registry import RUNNERS
from engine_runner.checkpoint import storages_in
from engine_runner.runner import Runner

# Where hooks and metrics write, or copy to.
_FOLDERS = ("out_dir", "out_file_path", "outfile_prefix")


def redirected_config(cfg: Config | Mapping[str, Any], folder: str) -> Config:
    """Return a copy of a config that writes to a folder alone, and contacts no tracker.

    The copy resumes nothing. Parts that the config has as objects are copied, too.

    Args:
        cfg: The config of a run.
        folder: The folder.

    Example:
        >>> redirected_config({"work_dir": "runs", "resume": True}, "/tmp/trial").work_dir
        '/tmp/trial'
    """
    config = deepcopy(cfg) if isinstance(cfg, Config) else Config(deepcopy(dict(cfg)))
    config.work_dir = folder
    config.resume = False
    config.log_level = "ERROR"
    visualizer = config.get("visualizer")
    if visualizer is not None:
        own = dict(visualizer) if isinstance(visualizer, Mapping) else {}
        own.pop("save_dir", None)
        backends = [{"type": "LocalVisBackend"}]
        config.visualizer = {"type": "Visualizer", **own, "vis_backends": backends}
    for key in ("default_hooks", "custom_hooks", "val_evaluator", "test_evaluator"):
        _redirect(config.get(key), folder)
    return config


def build_trial(config: Config, original: Config | Mapping[str, Any]) -> Runner:
    """Build the run of a trial, which reads ``load_from`` with the arguments of the original.

    Args:
        config: The config of the trial.
        original: The config that is tried, whose hooks have the arguments of its storages.
    """
    runner: Runner = RUNNERS.build(config) if "runner_type" in config else Runner.from_cfg(config)
    runner.checkpointer.storages += storages_in(original)
    return runner


def _redirect(part: Any, folder: str) -> None:
    """Let hooks and metrics, and what is in them, write to a folder, in place."""
    if isinstance(part, Mapping):
        entries: Any = part.values()
    elif isinstance(part, Sequence) and not isinstance(part, str):
        entries = part
    else:
        for name in _FOLDERS:
            if getattr(part, name, None) is not None:
                setattr(part, name, _within(folder, name, getattr(part, name)))
        if hasattr(part, "out_dir") and hasattr(part, "backend_args"):
            part.backend_args = None  # of the storage that it named
        return
    for entry in entries:
        _redirect(entry, folder)
    for name in _FOLDERS if isinstance(part, dict) else ():
        if part.get(name) is not None:
            part[name] = _within(folder, name, part[name])
    if isinstance(part, dict) and "out_dir" in part:
        part.pop("backend_args", None)
        part.pop("file_client_args", None)


def _within(folder: str, name: str, path: Any) -> str:
    return folder if name == "out_dir" else str(Path(folder, Path(str(path)).name))
