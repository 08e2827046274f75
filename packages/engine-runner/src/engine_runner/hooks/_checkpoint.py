"""Decide when to save a checkpoint."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar

from engine_fileio import BaseStorageBackend, FileClient, join_path
from engine_registry import HOOKS
from engine_runner._errors import CheckpointWriteError, SettingsError
from engine_runner._hook import Hook
from engine_runner._idle import idle_saving
from engine_runner._integer import integer
from engine_runner._protocols import Following, Run
from engine_runner._types import Batch, Config, Metrics, Outputs
from engine_runner.checkpoint import (
    Attempt,
    BestMetric,
    BrokenWeightsError,
    CheckpointFolder,
    NewBest,
    Place,
    Retention,
    Rotation,
    Writer,
    average_buffers,
    best_metrics,
    best_names,
    broken_weight,
    build_writer,
    folder_of,
    kept_by_others,
    non_finite_weights,
    open_for_run,
    publish,
    require_one_kind,
    take_over_former_state,
    training_in,
    warn_of_missing_keys,
)
from engine_runner.checkpoint import published_keys as checked_keys
from engine_runner.hooks._finite_loss import FiniteLossHook
from engine_utils import did_you_mean


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Save checkpoints at intervals, and the best by chosen metrics.

    A checkpoint is complete on disk before ``last_checkpoint`` names it, and older ones are deleted
    after that. Whenever the process ends, there is one to resume from. The main rank writes.

    A checkpoint that cannot be written (full disk, storage not reachable) is logged as an error.
    The former ones stay, and the training continues to the next interval. If the last attempt
    failed, the training raises at its end. Weights that have become NaN or infinite are not saved:
    `FiniteLossHook` stops such a training, and without it an error is logged.

    Args:
        interval: Epochs or iterations from one checkpoint to the next; -1 for none.
        by_epoch: Count epochs, rather than iterations.
        save_optimizer: Include the optimizers' state; without it, a run cannot be resumed.
        save_param_scheduler: Include the schedulers' state.
        out_dir: Root folder of the checkpoints, to which the last part of ``work_dir`` is added;
            any storage of engine-fileio, from which the same config resumes. ``work_dir`` itself
            by default.
        max_keep_ckpts: How many checkpoints to keep; the oldest are deleted. -1 keeps all.
        save_last: Save at the end of training whatever the interval, also if a hook stops it.
        save_best: A metric, several, or ``"auto"`` for the first one of the validation. The best
            is saved as ``best_<metric>_epoch_N.pth`` (``iter_N`` if not ``by_epoch``), and the
            former best deleted. It can be resumed like the others. NaN is never the best.
        rule: ``"greater"`` or ``"less"``, for all metrics or one each; inferred from the metric's
            name by default.
        greater_keys: Metric names, or parts of them, for which greater is better.
        less_keys: Metric names, or parts of them, for which less is better.
        file_client_args: Older form of ``backend_args``.
        filename_tmpl: File name with one ``{}`` for the epoch or iteration.
        backend_args: Arguments of the storage backend, also to resume and for ``load_from``.
        published_keys: Keys of the checkpoint, such as ``["meta", "state_dict"]``. At the end of
            the training, a copy of the last checkpoint and of each best one with these keys alone
            is saved beside it, as ``<checkpoint>-<hash>.pth`` with the first eight hex digits of
            its SHA-256. None by default, for no copies.
        save_begin: The epoch or iteration, from 1, of the first checkpoint; no best one is chosen
            before. Later ones are ``interval`` apart. With 0, the first is at ``interval``.
        writer: Writes the checkpoints: ``"AsyncWriter"`` while the training continues, or
            ``"ShardedWriter"`` to folders ``….dcp``, each rank its shards; or a config with its
            arguments, ``dict(type="AsyncWriter", …)``. By default the training waits.
        **kwargs: Passed to `Runner.save_checkpoint`.

    Raises:
        ValueError: Two settings contradict each other, a rule does not exist, or an interval is
            not an integer.

    Attributes:
        writer: The writer of ``writer``; None for the one of the run.
        best: The metrics of ``save_best``, each with its best score and checkpoint so far.
        retention: The checkpoints that are kept.
        folder: Where they are saved; empty before the training.
        file_backend: The storage backend of the folder; None before the training.
        file_client: The older interface of the same storage; None before the training.

    Example:
        >>> hook = CheckpointHook(interval=2, save_best="accuracy", max_keep_ckpts=3)
        >>> hook.best[0].improves(0.9), hook.state_dict()["best"]
        (True, {'accuracy': {'score': None, 'path': None}})
    """

    priority = "VERY_LOW"
    kwargs_of: ClassVar[str] = "save_checkpoint"  # the check of a config reads it

    def __init__(
        self,
        interval: int = -1,
        by_epoch: bool = True,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        out_dir: str | Path | None = None,
        max_keep_ckpts: int = -1,
        save_last: bool = True,
        save_best: str | list[str] | None = None,
        rule: str | list[str] | None = None,
        greater_keys: Sequence[str] | None = None,
        less_keys: Sequence[str] | None = None,
        file_client_args: Config | None = None,
        filename_tmpl: str | None = None,
        backend_args: Config | None = None,
        published_keys: str | Sequence[str] | None = None,
        save_begin: int = 0,
        writer: Writer | Config | str | None = None,
        **kwargs: Any,
    ) -> None:
        if file_client_args is not None and backend_args is not None:
            raise ValueError("give CheckpointHook either backend_args or file_client_args")
        if file_client_args is not None:
            message = "file_client_args of CheckpointHook is deprecated; use backend_args"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
        unit = self._unit = "epoch" if by_epoch else "iter"
        self.interval = integer("interval", interval, at_least=-1)
        self.save_begin = integer("save_begin", save_begin, at_least=0)
        self.published_keys = checked_keys(published_keys)
        self.writer = build_writer(writer)
        self.by_epoch = by_epoch
        self.save_optimizer = save_optimizer
        self.save_param_scheduler = save_param_scheduler
        self.out_dir: str | Path | None = out_dir
        self.retention = Retention(integer("max_keep_ckpts", max_keep_ckpts, at_least=-1))
        self.save_last = save_last
        self.has_idle_rule = save_best is None and any((rule, greater_keys, less_keys))
        self.best: list[BestMetric] = best_metrics(save_best, rule, greater_keys, less_keys)
        self.filename_tmpl = filename_tmpl or f"{unit}_{{}}.pth"
        if self.filename_tmpl.count("{}") != 1:
            raise ValueError(
                f"filename_tmpl needs one '{{}}' for the {unit}, got {self.filename_tmpl!r}"
            )
        self.backend_args = dict(backend_args or file_client_args or {}) or None
        self.file_backend: BaseStorageBackend | None = None
        self.file_client: FileClient | None = None
        self.folder = ""
        self._locks = ExitStack()
        self._failures: dict[str, str] = {}  # of the last attempts: what was to be saved, and why
        self._from_start: set[str] | None = None  # weights not finite before; None if unchecked
        self._saves = False  # whether this hook saves the checkpoint, and not one of the user's
        self._saved_at = 0  # the iteration of the last attempt
        self._keys_checked = False  # those of published_keys
        self._kwargs = kwargs

    @property
    def max_keep_ckpts(self) -> int:
        """The most checkpoints to keep; -1 keeps all."""
        return self.retention.most

    def state_dict(self) -> dict[str, Any]:
        """Return the checkpoints that are kept, and the best ones."""
        best = {item.key: item.state_dict() for item in self.best}
        return {"kept": self.retention.state_dict(), "best": best}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what a saved run has kept; a metric that it did not have starts anew."""
        self.retention.load_state_dict(state_dict["kept"])
        for item in self.best:
            if item.key in state_dict["best"]:
                item.load_state_dict(state_dict["best"][item.key])

    @contextmanager
    def around_run(self, runner: Run) -> Iterator[None]:
        """Release the lock of ``out_dir`` at the end, however the run ends."""
        with ExitStack() as self._locks:
            try:
                yield
            finally:
                runner.checkpointer.wait()

    def checkpoint_folder(self, runner: Run) -> CheckpointFolder:
        """Return the folder of this hook's checkpoints, from which a run resumes, too."""
        return folder_of(runner.work_dir, self.out_dir, self.backend_args)

    def before_train(self, runner: Run) -> None:
        """Find the folder, and log it, so that a wrong one fails before the first epoch.

        Raises:
            SettingsError: ``kwargs`` hold what `Runner.save_checkpoint` does not take, another
                training saves to the folder, its storage cannot be written to, or the writer does
                not write checkpoints of such a name.
        """
        self._failures, self._saved_at, self._keys_checked = {}, runner.iter, False
        # Where `FiniteLossHook` stops the run, it has searched the weights before they are saved.
        stops = any(isinstance(item, FiniteLossHook) and item.stops for item in runner.hooks)
        self._from_start = None if stops else set(non_finite_weights(runner.model))
        # Here, since the constructor has no runner: subclasses may save with more arguments.
        self._check_arguments(runner)
        take_over_former_state(runner.message_hub, self.retention, self.best, self.filename_tmpl)
        for message in idle_saving(runner, self):
            runner.logger.warning(message)
        require_one_kind(hook.writer for hook in runner.hooks if isinstance(hook, CheckpointHook))
        if self.writer is not None:
            runner.checkpointer.use(self.writer)
        self._open_folder(runner)
        runner.checkpointer.name_of(self.filename_tmpl)  # raises for a name of the other kind

    def after_train_epoch(self, runner: Run) -> None:
        """Save at the end of every n-th epoch, and of the last."""
        if self.by_epoch and (
            self.every_n_epochs(runner, self.interval, self.save_begin)
            or (self.save_last and self.is_last_train_epoch(runner))
        ):
            runner.logger.info(f"Saving checkpoint at {runner.epoch + 1} epochs")
            counted = {} if runner.trains_by_epoch else {"progress": runner.progress}
            self._save(runner, runner.epoch + 1, runner.iter, **counted)

    def after_train_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Save after every n-th iteration, and the last."""
        if not self.by_epoch and (
            self.every_n_train_iters(runner, self.interval, self.save_begin)
            or (self.save_last and self.is_last_train_iter(runner))
        ):
            runner.logger.info(f"Saving checkpoint at {runner.iter + 1} iterations")
            self._save(runner, runner.iter + 1, runner.iter + 1)

    def before_save_checkpoint(self, runner: Run, checkpoint: dict[str, Any]) -> None:
        """Check the weights that this hook saves, unless `FiniteLossHook` does.

        Raises:
            BrokenWeightsError: A weight has become NaN or infinite; raised on all ranks.
        """
        if not self._saves:
            return
        if not self._keys_checked:
            self._keys_checked = True
            warn_of_missing_keys(self.published_keys, checkpoint, runner.logger)
        if self._from_start is None:
            return
        if (name := broken_weight(runner.model, self._from_start)) is not None:
            raise BrokenWeightsError(f"{name} has become NaN or infinite")

    def after_train(self, runner: Run) -> None:
        """Save the last state, where its end was not foreseen, and publish; report failures.

        Raises:
            CheckpointWriteError: The last attempt to save a checkpoint, or a best one, failed, or
                one could not be published.
        """
        # A hook has stopped the training, or the data has no length.
        if self.save_last and self._saved_at != runner.iter:
            runner.logger.info(f"Saving checkpoint at the end, after {runner.iter} iterations")
            epoch = runner.epoch + int(not runner.trains_by_epoch)  # there, the one that is begun
            count = epoch if self.by_epoch else runner.iter
            self._save(runner, count, runner.iter, progress=runner.progress)
        runner.checkpointer.finish()
        if self.published_keys:
            self._publish(runner)
        if self._failures:
            saved = ", ".join([*self.retention.names, *self._best_names()]) or "none"
            raise CheckpointWriteError(
                f"the training ended, but saving failed: {'; '.join(self._failures.values())}. "
                f"Checkpoints in {self.folder}: {saved}. Make the folder writable and resume, or "
                "set out_dir"
            )

    def after_val_epoch(self, runner: Run, metrics: Metrics | None = None) -> None:
        """Save the model if it is the best so far."""
        # Without a folder this is ``runner.val()``, which trains nothing to save.
        if not self.best or not metrics or not self.folder:
            return
        if (runner.epoch if self.by_epoch else runner.iter) < self.save_begin:
            return
        runner.checkpointer.settle()  # the former best one may have failed
        for best in self.best:
            name = best.name(metrics)
            score = float(metrics[name])
            if math.isnan(score):
                runner.logger.warning(f"{name} is NaN: this model is not saved as the best")
            elif best.improves(score):
                self._save_best(runner, best, name, score)

    def _check_arguments(self, runner: Run) -> None:
        """Raise for a misspelled argument now, not at the first checkpoint."""
        taken = signature(runner.save_checkpoint).parameters
        for name in self._kwargs:
            if name not in taken:
                hint = did_you_mean(name, {*signature(type(self)).parameters} - {"kwargs"})
                raise SettingsError(
                    f"neither CheckpointHook nor Runner.save_checkpoint takes {name!r}{hint}"
                )

    def _save(self, runner: Run, count: int, at: int, **options: Any) -> None:
        self._saved_at = at
        runner.checkpointer.settle()
        if runner.distributed:
            average_buffers(runner.model)  # each rank has running statistics of its own data
        filename = runner.checkpointer.name_of(self.filename_tmpl.format(count))
        kept = kept_by_others(runner.hooks, self)
        rotation = Rotation(self.retention, filename, self._place_of(runner), kept)
        self._write(runner, "the checkpoint", filename, rotation, **{**self._kwargs, **options})

    def _save_best(self, runner: Run, best: BestMetric, name: str, score: float) -> None:
        count = runner.epoch if self.by_epoch else runner.iter
        filename = f"best_{name.replace('/', '_')}_{self._unit}_{count}.pth"
        filename = runner.checkpointer.name_of(filename)
        path = join_path(self.folder, filename, backend_args=self.backend_args)
        following = NewBest(
            runner.message_hub,
            self.best,
            best,
            score=score,
            path=path,
            text=f"The best checkpoint with {score:.4f} {name} at {count} {self._unit} is saved to "
            f"{filename}.",
            place=self._place_of(runner),
        )
        # A resume does not repeat the finished validation. No resume if a hook validates too early.
        whole = self.save_optimizer and not runner.unfinished
        done = runner.epoch if runner.trains_by_epoch else runner.iter
        options = {"progress": replace(runner.progress, validated=done), "save_optimizer": whole}
        self._write(runner, f"the best {name}", filename, following, **options)

    def _best_names(self) -> list[str]:
        return best_names(self.best, self.folder, self.backend_args)

    def _publish(self, runner: Run) -> None:
        """Publish the last checkpoint and the best ones; note those that cannot be."""
        last = self.retention.names[-1:] if self.save_last else []
        if "the checkpoint" in self._failures:
            last = []  # an older one is not the last
        for name in [*last, *self._best_names()]:
            copy, reason = publish(
                self.folder, name, self.published_keys, backend_args=self.backend_args
            )
            if reason:
                self._failures[f"the copy of {name}"] = f"{name} was not published: {reason}"
            else:
                runner.logger.info(f"{name} is published as {copy}")

    def _write(
        self, runner: Run, what: str, filename: str, following: Following, **options: Any
    ) -> None:
        """Save a checkpoint, or start to; log an error if it cannot be saved."""
        attempt = Attempt(
            what=what,
            filename=filename,
            logger=runner.logger,
            inner=following,
            failures=self._failures,
        )
        save = partial(
            runner.save_checkpoint,
            self.folder,
            filename,
            save_param_scheduler=self.save_param_scheduler,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **{"save_optimizer": self.save_optimizer, **options},
        )
        self._saves = True
        try:
            runner.checkpointer.save_followed(attempt, save)
        except (CheckpointWriteError, BrokenWeightsError) as error:
            attempt.settle(error)
        finally:
            self._saves = False

    def _place_of(self, runner: Run) -> Place:
        folder = CheckpointFolder(self.folder, self.backend_args)
        return Place(folder, runner.work_dir, runner.logger)

    def _open_folder(self, runner: Run) -> None:
        """Find the folder and its storage, and lock it if it is not the work directory."""
        place = self.checkpoint_folder(runner)
        self.folder, self.file_backend = place.path, place.backend
        self.file_client = FileClient.around(place.backend)
        if place.is_local and self.folder != runner.work_dir:
            self._locks.close()  # that of before a rollback
            self._locks.enter_context(training_in(str(place.local)))
        open_for_run(place, runner)
        runner.logger.info(f"Checkpoints will be saved to {self.folder} by {place.backend.name}.")
