"""Save, load and resume checkpoints. `CheckpointHook` decides when to save."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from typing import Any

from torch import nn

from engine_fileio import join_path
from engine_model.weights import (
    CheckpointError,
    CheckpointLoader,
    LoadReport,
    Placement,
    StateDictError,
    is_sharded_path,
    naming_the_checkpoint,
    placement_of,
    read_sharded,
    revise_names,
    weights_in,
)
from engine_runner._forward import Forward
from engine_runner._progress import Progress
from engine_runner._protocols import Following, Run, Stateful
from engine_runner.checkpoint._changes import warn_of_changes, warn_of_new_config
from engine_runner.checkpoint._complete import (
    RESUMED,
    check_complete,
    check_manifest,
    load_progress,
    require_weights,
)
from engine_runner.checkpoint._devices import location_of
from engine_runner.checkpoint._folder import (
    CheckpointFolder,
    backend_args_for,
    checkpoint_folders,
)
from engine_runner.checkpoint._foreign import is_foreign, take_over
from engine_runner.checkpoint._latest import checkpoints_beside
from engine_runner.checkpoint._lock import training_in
from engine_runner.checkpoint._manifest import check_whole
from engine_runner.checkpoint._meta import run_facts
from engine_runner.checkpoint._source import CheckpointSource
from engine_runner.checkpoint._validated import Validated, with_validation
from engine_runner.checkpoint._writing import Writing
from engine_runner.checkpoint.writers import Writer
from engine_runner.environment import shown_config
from engine_runner.strategies import Strategy


class Checkpointer:
    """Save, load and resume the state of a run, by name.

    Args:
        strategy: Saves and loads the weights of the model.
        writer: Writes checkpoints to their storage; a `PlainWriter` by default.

    Attributes:
        load_report: The weights of the last loaded checkpoint that did not fit the model;
            ``None`` before.
        restarts: ``"optimizer"`` or ``"param_schedulers"``, if a resumed run restarts these in
            place of taking over their states.
        storages: Folders beside those of the run's hooks whose arguments of storage read
            checkpoints, such as that of ``load_from``.
        validated: Notes what validations change after a checkpoint is saved.

    Example:
        >>> import tempfile, torch
        >>> from engine_runner.strategies import SingleDeviceStrategy
        >>> model, strategy = nn.Linear(1, 1), SingleDeviceStrategy(torch.device("cpu"))
        >>> checkpointer = Checkpointer(strategy)
        >>> path = f"{tempfile.mkdtemp()}/iter_7.pth"
        >>> checkpoint = checkpointer.collect(model, {}, Progress(iter=7))
        >>> checkpointer.write(checkpoint, path)
        >>> checkpointer.read(path)["meta"]["iter"]
        7
    """

    def __init__(self, strategy: Strategy, writer: Writer | None = None) -> None:
        self.strategy = strategy
        self._writing = Writing(writer)
        self.load_report: LoadReport | None = None
        self.restarts: set[str] = set()
        self.storages: list[CheckpointFolder] = []
        self.validated = Validated()
        self._source = CheckpointSource(self.read)
        self._loaded = ""

    write = Forward[Callable[..., None]]("_writing.write", "See `Writing.write`.")
    name_of = Forward[Callable[[str], str]]("_writing.name_of", "See `Writing.name_of`.")
    sharded = Forward[bool]("_writing.sharded", "See `Writing.sharded`.")
    save_followed = Forward[Callable[[Following, Callable[[], str]], None]](
        "_writing.save_followed", "See `Writing.save_followed`."
    )
    use = Forward[Callable[[Writer], None]]("_writing.use", "See `Writing.use`.")
    settle = Forward[Callable[[], None]]("_writing.settle", "See `Writing.settle`.")
    finish = Forward[Callable[[], None]]("_writing.finish", "See `Writing.finish`.")
    wait = Forward[Callable[[], None]]("_writing.wait", "See `Writing.wait`.")
    slowest_write = Forward[float]("_writing.slowest", "See `Writing`.")
    continues = Forward[bool]("_source.continues", "See `CheckpointSource`.")

    @property
    def writer(self) -> Writer:
        """What writes the checkpoints; see `use`."""
        return self._writing.writer

    def collect(
        self,
        model: nn.Module,
        states: Mapping[str, Stateful],
        progress: Progress,
        meta: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return a checkpoint of the run. All ranks must call this.

        Args:
            model: The model, in its wrapper.
            states: Everything else to save, by its key in the checkpoint.
            progress: The counters to save.
            meta: Plain facts about the run, added to the checkpoint's ``meta``.
        """
        # The order is the same on all ranks, as several states are gathered by collectives.
        saved = time.strftime("%Y%m%d_%H%M%S")
        return {
            "meta": {"epoch": progress.epoch, "iter": progress.iter, "time": saved, **(meta or {})},
            "progress": progress.state_dict(),
            "state_dict": self._weights(model),
            **{name: state.state_dict() for name, state in states.items()},
        }

    def _weights(self, model: nn.Module) -> dict[str, Any]:
        if self.sharded:
            return self.strategy.model_state(model, whole=False)
        # A strategy of the user's may gather weights whatever the writer takes.
        if not self.writer.in_background or self.strategy.device.type == "cpu":
            return self.strategy.model_state(model)
        # Such a writer copies them itself, without a wait for the device.
        return self.strategy.model_state(model, on_cpu=False)

    def read(
        self,
        filename: str,
        map_location: str | Callable[..., Any] = "cpu",
        placement: Placement | None = None,
        backend_args: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint.

        Args:
            filename: A path or URI.
            map_location: The device of the tensors; ``"default"`` for the run's device where they
                were saved from a device, and for the CPU where they were saved from there.
            placement: How the model is sharded. Each rank then reads its shards of a sharded
                checkpoint alone.
            backend_args: Arguments of the storage backend.

        Raises:
            CheckpointError: There is no such checkpoint, or it is damaged. A note names the other
                checkpoints of the folder.
        """
        device = location_of(map_location)
        checkpoint: dict[str, Any]
        try:
            check_whole(filename)
            if placement is not None and is_sharded_path(filename):
                checkpoint = read_sharded(
                    filename, device, placement=placement, backend_args=backend_args
                )
            else:
                checkpoint = CheckpointLoader.load_checkpoint(
                    filename, map_location=device, backend_args=backend_args
                )
        except CheckpointError as error:
            others = checkpoints_beside(filename, backend_args)
            if others:
                error.add_note(f"other checkpoints are there: {', '.join(others)}")
            raise
        require_weights(checkpoint, filename)
        return checkpoint

    def load_weights(
        self,
        model: nn.Module,
        checkpoint: Mapping[str, Any],
        *,
        strict: bool = False,
        revise_keys: list[tuple[str, str]] | None = None,
    ) -> None:
        """Load the weights of a checkpoint; ``load_report`` then has what did not fit.

        Args:
            model: The model, in its wrapper.
            checkpoint: The checkpoint that `read` returned.
            strict: Raise if a weight is missing or unexpected.
            revise_keys: Patterns and replacements by which keys are renamed.

        Raises:
            StateDictError: No weight fits, or something does not fit and ``strict`` is true.
        """
        state = revise_names(weights_in(checkpoint), revise_keys or [])
        self.load_report = self.strategy.load_model_state(model, state, strict=strict)

    def initialize(self, model: nn.Module) -> None:
        """Initialize the weights that no checkpoint has given; all ranks must call this.

        Args:
            model: The model, in its wrapper.
        """
        report = self.load_report
        loaded = {} if report is None else deepcopy(self.strategy.model_state(model))  # not alias
        self.strategy.initialize(model)
        if report is not None:
            for name in (*report.missing, *report.mismatched):
                loaded.pop(name, None)
            self.strategy.load_model_state(model, loaded)

    def check_weights(self, filename: str, model_name: str, way_out: str) -> None:
        """Raise if the loaded checkpoint left weights of the model as they were.

        Args:
            filename: The checkpoint, for the message.
            model_name: The model, for the message.
            way_out: What to do instead.

        Raises:
            StateDictError: The checkpoint lacks weights of the model, or has them in another
                shape.
        """
        report = self.load_report
        if report is not None and (report.missing or report.mismatched or report.errors):
            raise StateDictError(
                f"{filename} is not a checkpoint of this {model_name}\n{report}\n{way_out}"
            )

    def save(
        self,
        run: Run,
        folder: str,
        filename: str,
        states: Mapping[str, Stateful],
        *,
        progress: Progress,
        meta: Mapping[str, Any],
        backend_args: Mapping[str, Any] | None = None,
    ) -> str:
        """Collect a checkpoint of a run, call its hooks, write it, and return its path.

        All ranks must call this. The file is complete, unless `save_followed` calls this.

        Args:
            run: The run.
            folder: The folder, in any storage of engine-fileio.
            filename: The name of the file; see `name_of`.
            states: See `collect`.
            progress: The counters to save.
            meta: Plain facts, added to those of the run.
            backend_args: Arguments of the storage backend.

        Raises:
            CheckpointWriteError: The storage is full or not writable; an older file is left as it
                was.
        """
        self.settle()  # before the states are collected: the former save may change them
        checkpoint = self.collect(run.model, states, progress, {**run_facts(run), **meta})
        run.call_hook("before_save_checkpoint", checkpoint=checkpoint)
        path = join_path(folder, self.name_of(filename), backend_args=backend_args)
        self.validated.saved(checkpoint, path, states, backend_args)
        self._writing.write_and_follow(checkpoint, path, backend_args=backend_args)
        return path

    def load(
        self,
        run: Run,
        filename: str,
        map_location: str | Callable[..., Any],
        *,
        strict: bool,
        revise_keys: list[tuple[str, str]],
    ) -> dict[str, Any]:
        """Read a checkpoint, call the hooks of the run, load its weights, and return it.

        Args:
            run: The run.
            filename: A path or URI. If it is damaged and was found by `source`, the next one is
                taken.
            map_location: See `read`.
            strict: See `load_weights`.
            revise_keys: See `load_weights`.
        """
        checkpoint, filename = self._source.read_whole(
            filename, map_location, self._readable(run), placement_of(run.model)
        )
        self._source.note_loaded()
        self._loaded = filename
        run.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        with naming_the_checkpoint(filename):
            self.load_weights(run.model, checkpoint, strict=strict, revise_keys=revise_keys)
        run.logger.info(f"Load checkpoint from {filename}")
        return checkpoint

    def arguments_for(self, run: Run, filename: str) -> Mapping[str, Any] | None:
        """Return the arguments of the storage backend with which a run reads a checkpoint."""
        return backend_args_for(filename, self._readable(run))

    def _readable(self, run: Run) -> list[CheckpointFolder]:
        return [*checkpoint_folders(run), *self.storages]

    def resume(
        self, run: Run, checkpoint: Mapping[str, Any], states: Mapping[str, Stateful]
    ) -> None:
        """Set the counters of a run, restore its states, and log what has changed since.

        Args:
            run: The run.
            checkpoint: The checkpoint, whose weights are loaded.
            states: See `restore`.

        Raises:
            SettingsError: The checkpoint has no counters, or lacks a state.
            ValueError: A state does not fit its part.
        """
        states = {name: state for name, state in states.items() if name not in self.restarts}
        if not is_foreign(checkpoint):
            arguments = self.arguments_for(run, self._loaded)
            checkpoint = with_validation(checkpoint, self._loaded, arguments)
        load_progress(checkpoint, run.progress)
        check_complete(checkpoint, states, run)
        meta = checkpoint.get("meta", {})
        warn_of_changes(meta, run)
        warn_of_new_config(meta.get("cfg"), shown_config(run.cfg).pretty_text)
        if is_foreign(checkpoint):
            checkpoint, states = take_over(checkpoint, states, run)
        run.call_hook("after_resume", checkpoint=checkpoint)
        self.restore(checkpoint, states)
        self._source.note_resumed(restarts=bool(self.restarts))
        run.logger.info(f"resumed epoch: {run.epoch}, iter: {run.iter}")

    def guard(self, work_dir: str, *, trains: bool) -> AbstractContextManager[None]:
        """Return a context that keeps other trainings out of the folder, if this run trains."""
        return training_in(work_dir) if trains else nullcontext()

    def source(self, run: Run, load_from: str | None, *, resumes: bool) -> tuple[str | None, bool]:
        """Return the checkpoint that a run starts from, the first time, and whether to resume it.

        If torchrun restarted the run, that is the latest one that the earlier attempt saved.

        Args:
            run: The run, from whose folders the latest checkpoint is resumed otherwise.
            load_from: The checkpoint that the settings name.
            resumes: Whether the settings resume.

        Returns:
            The path, or None if there is no checkpoint; and whether to resume it.
        """
        folders, needed = checkpoint_folders(run), RESUMED - self.restarts
        return self._source.choose(load_from, folders, resumes=resumes, needed=needed)

    def newest(self, run: Run) -> str | None:
        """Return the newest checkpoint of a run, equal on all ranks, or None.

        If it turns out to be damaged, `load` takes the next one.

        Args:
            run: The run, in whose folders it is.
        """
        return self._source.find_latest(checkpoint_folders(run), RESUMED - self.restarts)

    def restore(self, checkpoint: Mapping[str, Any], states: Mapping[str, Stateful]) -> None:
        """Give each part the state that the checkpoint has for it.

        Args:
            checkpoint: The checkpoint that `read` returned.
            states: The parts by their keys, in the order in which they are restored.

        Raises:
            ValueError: A state does not fit its part.
        """
        for name, state in states.items():
            if name in checkpoint:
                state.load_state_dict(checkpoint[name])

    def check_resumable(self, run: Run, filename: str, include: Mapping[str, bool]) -> None:
        """Raise if a checkpoint's manifest says that the run cannot be resumed from it.

        Args:
            run: The run.
            filename: The checkpoint, which is not read.
            include: Whether ``"optimizer"`` and ``"param_schedulers"`` are to be resumed.

        Raises:
            SettingsError: It has weights alone, or lacks what is to be resumed.
        """
        needed = {name for name, needed in include.items() if needed} - self.restarts
        check_manifest(filename, needed, self.arguments_for(run, filename))
