"""How a run is saved, loaded and resumed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import engine_runner
from engine_dist import barrier, get_world_size
from engine_fileio import join_path
from engine_model.weights import (
    CheckpointError,
    CheckpointLoader,
    LoadReport,
    StateDictError,
    revise_names,
    weights_in,
)
from engine_model.weights import save_checkpoint as write_checkpoint
from engine_runner import checkpoint as content
from engine_runner._parts import Parts
from engine_runner._progress import Progress
from engine_runner.strategies import current_device

_WITHOUT_MODULE = [("^module.", "")]


class Saving(Parts):
    """Writes and reads checkpoints; `Runner` adds when.

    Attributes:
        load_report: Which weights of the checkpoint that was loaded last did not fit the model;
            ``None`` before.
    """

    _loaded: bool
    load_report: LoadReport | None

    def load_or_resume(self) -> None:
        """Resume, load weights, or do neither, as ``resume`` and ``load_from`` say; once."""
        if self._loaded:
            return
        self._loaded = True
        source = self._settings.load_from
        if self._settings.resume and source is None:
            source = content.find_latest_checkpoint(self.work_dir)
            if source is not None:
                self.logger.info(f"Auto resumed from the latest checkpoint {source}.")
        if source is None:
            return
        load = self.resume if self._settings.resume else self.load_checkpoint
        try:
            load(source)
        except CheckpointError as error:
            others = content.checkpoints_beside(source)
            if others:
                error.add_note(f"other checkpoints are there: {', '.join(others)}")
            raise

    def load_checkpoint(
        self,
        filename: str,
        map_location: str | Callable[..., Any] = "cpu",
        strict: bool = False,
        revise_keys: list[tuple[str, str]] = _WITHOUT_MODULE,
    ) -> dict[str, Any]:
        """Load weights, and return the checkpoint.

        What does not fit is logged, and kept in ``load_report``.

        Args:
            filename: A path or URI.
            map_location: Device for the tensors of the file.
            strict: Refuse keys that are missing or unexpected.
            revise_keys: Patterns and replacements by which keys are renamed.

        Raises:
            StateDictError: If ``strict`` and something does not fit.
        """
        checkpoint: dict[str, Any] = CheckpointLoader.load_checkpoint(
            filename, map_location=map_location
        )
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        state = revise_names(weights_in(checkpoint), revise_keys)
        self.load_report = self.strategy.load_model_state(self.model, state, strict=strict)
        self.logger.info(f"Load checkpoint from {filename}")
        return checkpoint

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str | Callable[..., Any] = "default",
    ) -> None:
        """Continue from a checkpoint: weights, optimizers, schedules, counters, data, randomness.

        What has changed since the checkpoint was saved, and keeps the run from going on as it
        would have, is logged: configs, the seed, the number of ranks.

        Args:
            filename: A path or URI.
            resume_optimizer: Restore the optimizers.
            resume_param_scheduler: Restore the schedules.
            map_location: Device for the tensors of the file; ``"default"`` for the run's device.

        Raises:
            StateDictError: The checkpoint lacks weights of the model, or holds them in another
                shape.
            ValueError: The file holds no counters, or other schedules than the run.
        """
        if map_location == "default":
            map_location = str(current_device())
        checkpoint = self.load_checkpoint(filename, map_location)
        self.check_weights(filename, "load_from with resume=False takes the weights that fit")
        self.progress = content.load_progress(checkpoint)
        self._warn_of_changes(checkpoint.get("meta", {}))
        if "message_hub" in checkpoint:
            self.message_hub.load_state_dict(checkpoint["message_hub"])
        if self._settings.train_cfg is None:
            return
        if "optimizer" in checkpoint and resume_optimizer:
            content.load_optimizer_state(self.optim_wrapper, checkpoint["optimizer"])
        if "param_schedulers" in checkpoint and resume_param_scheduler and self.param_schedulers:
            content.load_scheduler_states(self.param_schedulers, checkpoint["param_schedulers"])
        if checkpoint.get("dataloader") and hasattr(self.train_dataloader, "load_state_dict"):
            self.train_dataloader.load_state_dict(checkpoint["dataloader"])
        if "random" in checkpoint:
            content.restore_random_states(checkpoint["random"])
        self.logger.info(f"resumed epoch: {self.epoch}, iter: {self.iter}")

    def check_weights(self, filename: str, way_out: str) -> None:
        """Refuse a checkpoint just loaded that left weights of the model as they were.

        Args:
            filename: Where the checkpoint is, for the message.
            way_out: What to do instead, for the message.

        Raises:
            StateDictError: The checkpoint lacks weights of the model, or holds them in another
                shape.
        """
        report = self.load_report
        if report is not None and (report.missing or report.mismatched or report.errors):
            raise StateDictError(
                f"{filename} is no checkpoint of this {self.model_name}\n{report}\n{way_out}"
            )

    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: Mapping[str, Any] | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: Mapping[str, Any] | None = None,
        by_epoch: bool = True,
        backend_args: Mapping[str, Any] | None = None,
        *,
        progress: Progress | None = None,
    ) -> str:
        """Save a checkpoint, and return its path. All ranks take part; the main one writes.

        Args:
            out_dir: The folder; any storage that engine-fileio knows.
            filename: The file's name.
            file_client_args: Older form of ``backend_args``.
            save_optimizer: Include the optimizers.
            save_param_scheduler: Include the schedules.
            meta: Plain values to be added to the checkpoint's ``meta``.
            by_epoch: Called at the end of an epoch that is not yet counted; else, of an iteration.
            backend_args: Arguments of the storage back end.
            progress: The counters to save, where neither is the case.

        Raises:
            OSError: The disk is full, or cannot be written to; an older file is left as it was.
        """
        counted = progress or self.progress.advanced(
            epochs=int(by_epoch), iterations=int(not by_epoch)
        )
        checkpoint: dict[str, Any] = {
            "meta": {**content.describe(counted, **self._facts()), **(meta or {})},
            "progress": counted.state_dict(),
            "state_dict": self.strategy.model_state(self.model),
            "message_hub": self.message_hub.state_dict(),
            "random": content.capture_random_states(),
        }
        if self._settings.train_cfg is not None:
            checkpoint["dataloader"] = content.dataloader_state(self.train_dataloader)
        if save_optimizer and self._optim_wrapper is not None:
            checkpoint["optimizer"] = content.optimizer_state(self._optim_wrapper)
        if save_param_scheduler:
            checkpoint["param_schedulers"] = content.scheduler_states(self.param_schedulers)
        self.call_hook("before_save_checkpoint", checkpoint=checkpoint)
        storage = dict(backend_args or file_client_args or {}) or None
        path = join_path(out_dir, filename, backend_args=storage)
        if self.is_main:
            with _naming_the_file(path):
                write_checkpoint(checkpoint, path, backend_args=storage)
        barrier()
        return path

    def _facts(self) -> dict[str, Any]:
        return {
            "cfg": self.cfg.pretty_text,
            "seed": self.seed,
            "world_size": get_world_size(),
            "experiment_name": self.experiment_name,
            "engine_version": engine_runner.__version__,
        }

    def _warn_of_changes(self, meta: Mapping[str, Any]) -> None:
        content.warn_of_changes(meta, seed=self.seed, world_size=get_world_size())
        content.warn_of_new_config(meta.get("cfg"), self.cfg.pretty_text)


@contextmanager
def _naming_the_file(path: str) -> Iterator[None]:
    """Raise the error of a full disk with the file's name; torch hides it behind one of its own."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__context__
        if cause is None or cause.errno is None:
            raise
        raise OSError(cause.errno, cause.strerror, path) from error
