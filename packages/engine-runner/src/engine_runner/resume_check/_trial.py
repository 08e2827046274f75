"""Train a few iterations of a config in a process of its own, and note its state in each."""

import json
import multiprocessing
import signal
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine_config import Config, parse_overrides
from engine_runner._hook import Hook
from engine_runner._protocols import Stateful
from engine_runner._redirected import build_trial, redirected_config
from engine_runner._types import Batch, Outputs
from engine_runner.resume_check._facts import (
    digest,
    loss_facts,
    object_facts,
    own_generators,
    state_facts,
)
from engine_runner.runner import Runner

CHECKPOINT = "resume_check.pth"
SEED = 0  # of a config without one


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a process trains.

    Attributes:
        config_file: The config.
        cfg_options: Changes of it, as on the command line.
        folder: The folder of the run.
        output: The file for what it notes.
        end: The iteration after which it ends.
        save_at: The iteration after which it saves, and ends as a killed process does; 0 for none.
        resume_from: The checkpoint to resume, or an empty text.
    """

    config_file: str
    cfg_options: tuple[str, ...]
    folder: str
    output: str
    end: int
    save_at: int = 0
    resume_from: str = ""


class _Enough(Exception):
    """Raised to end the training at once, as a kill does."""


class _Notes(Hook):
    """Note the state before and after each iteration, after all other hooks."""

    _is_internal = True
    priority = "LOWEST"

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.steps: list[tuple[str, dict[str, str]]] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Batch = None) -> None:
        """Note the batch, and the state that the iteration begins with."""
        if runner.iter >= self.trial.end:
            raise _Enough
        facts = {"batch": digest(data_batch), **state_facts(runner)}
        self.steps.append((f"before iteration {runner.iter + 1}", facts))

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Note the losses and the state, and save or end."""
        facts = {**loss_facts(outputs), **state_facts(runner)}
        self.steps.append((f"after iteration {runner.iter + 1}", facts))
        if runner.iter + 1 == self.trial.save_at:
            runner.save_checkpoint(self.trial.folder, CHECKPOINT, by_epoch=False)
            raise _Enough
        if runner.iter + 1 == self.trial.end:
            raise _Enough


def run_trial(trial: Trial) -> None:
    """Train, and write what was noted, or the error, to the file of the trial."""
    # How this process was started is not how the config starts its workers.
    multiprocessing.set_start_method(None, force=True)
    try:
        notes = _train(trial)
    except Exception as error:  # not SystemExit: its code describes it
        notes = {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
    Path(trial.output).write_text(json.dumps(notes), encoding="utf-8")


def _train(trial: Trial) -> dict[str, Any]:
    runner = _built(trial)
    hook = _Notes(trial)
    users = [one for one in runner.hooks if not type(one).__module__.startswith("engine_runner.")]
    runner.register_hook(hook)
    with suppress(_Enough):
        runner.train()
    dataset = getattr(runner.train_dataloader, "dataset", None)
    return {
        "steps": hook.steps,
        "hooks": {
            type(one).__name__: object_facts(one) for one in users if not isinstance(one, Stateful)
        },
        "generators": list(own_generators(dataset, f"dataset of {type(dataset).__name__}")),
        "device": str(next(iter(runner.model.parameters())).device.type),
    }


def _built(trial: Trial) -> Runner:
    config = Config.fromfile(trial.config_file)
    overrides = parse_overrides(trial.cfg_options)
    if overrides:
        config.merge_from_dict(overrides)
        config.import_custom_modules()
    original, config = config, redirected_config(config, trial.folder)
    randomness: Mapping[str, Any] = config.get("randomness") or {}
    if randomness.get("seed") is None:
        config.randomness = {**randomness, "seed": SEED}
    if trial.resume_from:
        config.load_from, config.resume = trial.resume_from, True
    return build_trial(config, original)


def read_trial(trial: Trial, exit_code: int | None = None) -> dict[str, Any]:
    """Return what a trial has noted; an ended process without a file has an error.

    Args:
        trial: The trial, whose process has ended.
        exit_code: That of the process; negative for a signal.
    """
    try:
        found: dict[str, Any] = json.loads(Path(trial.output).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        ended = f"its process ended with exit code {exit_code}, and left no report"
        killed = "its process was killed, perhaps for lack of memory"
        return {"error": killed if exit_code == -signal.SIGKILL else ended, "trace": ""}
    return found
