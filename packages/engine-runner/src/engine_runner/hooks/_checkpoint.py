"""Decide when to save a checkpoint."""

import logging
from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar, Literal

from engine_dist import all_reduce_params, is_main_process
from engine_fileio import get_file_backend, join_path, remove
from engine_registry import HOOKS
from engine_runner._errors import SettingsError
from engine_runner._hook import Hook
from engine_runner._integer import integer
from engine_runner._protocols import Run
from engine_runner._types import Batch, Config, Metrics, Outputs
from engine_runner._validation import never_validates
from engine_runner.checkpoint import (
    MARKER,
    BestMetric,
    Retention,
    best_metrics,
    mark_latest_checkpoint,
)
from engine_utils import did_you_mean

_log = logging.getLogger("engine.runner")


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Save checkpoints at intervals, and the best by chosen metrics.

    A checkpoint is complete on disk before ``last_checkpoint`` names it, and older ones are deleted
    after that. Whenever the process ends, there is one to resume from. All ranks collect the state,
    and the main rank writes it.

    Args:
        interval: Epochs or iterations from one checkpoint to the next; -1 for none.
        by_epoch: Count epochs, rather than iterations.
        save_optimizer: Include the optimizers' state; without it, a run cannot be resumed.
        save_param_scheduler: Include the schedulers' state.
        out_dir: Root folder of the checkpoints, to which the last part of ``work_dir`` is added;
            any storage of engine-fileio. ``work_dir`` itself by default.
        max_keep_ckpts: How many checkpoints to keep; the oldest are deleted. -1 keeps all.
        save_last: Save at the end of training whatever the interval.
        save_best: A metric, several, or ``"auto"`` for the first one of the validation. The best
            is saved as ``best_<metric>_epoch_N.pth`` (``iter_N`` if not ``by_epoch``), and the
            former best deleted.
        rule: ``"greater"`` or ``"less"``, for all metrics or one each; inferred from the metric's
            name by default.
        greater_keys: Metric names, or parts of them, for which greater is better.
        less_keys: Metric names, or parts of them, for which less is better.
        file_client_args: Older form of ``backend_args``.
        filename_tmpl: File name with one ``{}`` for the epoch or iteration.
        backend_args: Arguments of the storage backend.
        **kwargs: Passed to `Runner.save_checkpoint`.

    Raises:
        ValueError: Two settings contradict each other, a rule does not exist, or an interval is
            not an integer.

    Attributes:
        best: The metrics of ``save_best``, each with its best score and checkpoint so far.
        retention: The checkpoints that are kept.
        folder: Where they are saved; empty before the training.

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
        **kwargs: Any,
    ) -> None:
        if file_client_args is not None and backend_args is not None:
            raise ValueError("give CheckpointHook either backend_args or file_client_args")
        unit = "epoch" if by_epoch else "iter"
        self.interval = integer("interval", interval, at_least=-1)
        self.by_epoch = by_epoch
        self.save_optimizer = save_optimizer
        self.save_param_scheduler = save_param_scheduler
        self.out_dir: str | Path | None = out_dir
        self.retention = Retention(integer("max_keep_ckpts", max_keep_ckpts, at_least=-1))
        self.save_last = save_last
        self.best: list[BestMetric] = best_metrics(save_best, rule, greater_keys, less_keys)
        self.filename_tmpl = filename_tmpl or f"{unit}_{{}}.pth"
        if self.filename_tmpl.count("{}") != 1:
            raise ValueError(
                f"filename_tmpl needs one '{{}}' for the {unit}, got {self.filename_tmpl!r}"
            )
        self._unit: Literal["epoch", "iter"] = "epoch" if by_epoch else "iter"
        self._backend_args = dict(backend_args or file_client_args or {}) or None
        self.folder = ""
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

    def before_train(self, runner: Run) -> None:
        """Find the folder, and log it, so that a wrong one fails before the first epoch.

        Raises:
            SettingsError: ``kwargs`` hold what `Runner.save_checkpoint` does not take.
        """
        # Here, since the constructor has no runner: subclasses may save with more arguments.
        self._check_arguments(runner)
        self._take_over_former_state(runner)
        if self.by_epoch and not runner.trains_by_epoch and self.interval > 0:
            runner.logger.warning(
                "train_cfg counts iterations and CheckpointHook epochs: a checkpoint is saved at "
                "the end of the training only. Set its by_epoch=False, and interval to iterations"
            )
        reason = never_validates(runner) if self.best else None
        if reason is not None:
            runner.logger.warning(f"save_best never acts: it needs a validation, and {reason}")
        if runner.iter == 0:
            self._warn_of_earlier_run(runner)
        if self.out_dir is None:
            self.folder = runner.work_dir
        else:
            name = Path(runner.work_dir).name
            self.folder = join_path(str(self.out_dir), name, backend_args=self._backend_args)
        backend = get_file_backend(self.folder, backend_args=self._backend_args)
        runner.logger.info(f"Checkpoints will be saved to {self.folder} by {backend.name}.")

    def after_train_epoch(self, runner: Run) -> None:
        """Save at the end of every n-th epoch, and of the last."""
        if self.by_epoch and (
            self.every_n_epochs(runner, self.interval)
            or (self.save_last and self.is_last_train_epoch(runner))
        ):
            runner.logger.info(f"Saving checkpoint at {runner.epoch + 1} epochs")
            self._save(runner, runner.epoch + 1)

    def after_train_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Save after every n-th iteration, and the last."""
        if not self.by_epoch and (
            self.every_n_train_iters(runner, self.interval)
            or (self.save_last and self.is_last_train_iter(runner))
        ):
            runner.logger.info(f"Saving checkpoint at {runner.iter + 1} iterations")
            self._save(runner, runner.iter + 1)

    def after_val_epoch(self, runner: Run, metrics: Metrics | None = None) -> None:
        """Save the model if it is the best so far."""
        # Without a folder this is ``runner.val()``, which trains nothing to save.
        if not self.best or not metrics or not self.folder:
            return
        for best in self.best:
            name = best.name(metrics)
            score = float(metrics[name])
            if best.improves(score):
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

    def _take_over_former_state(self, runner: Run) -> None:
        """Take over the state of a resumed run of a former version, which the message hub has."""
        kept = runner.message_hub.get_info("kept_checkpoints", default=[])
        if self.retention.names or not kept:
            return
        self.retention.names = [str(name) for name in kept]
        for item in self.best:
            item.score = runner.message_hub.get_info(self._info("score", item), default=None)
            item.path = runner.message_hub.get_info(self._info("ckpt", item), default=None)

    def _warn_of_earlier_run(self, runner: Run) -> None:
        earlier = Path(runner.work_dir, MARKER)
        if earlier.is_file():
            runner.logger.warning(
                f"{runner.work_dir} has checkpoints of an earlier run, and this run overwrites "
                "those of the same name; resume the earlier run, or choose another work_dir"
            )

    def _save(self, runner: Run, count: int) -> None:
        if runner.distributed:
            # Each rank has running statistics of its own data. Counters are integers and equal.
            statistics = [item for item in runner.model.buffers() if item.is_floating_point()]
            all_reduce_params(statistics, op="mean")
        filename = self.filename_tmpl.format(count)
        # Before saving: the list in the checkpoint then has the checkpoint itself, so that a
        # resumed run deletes it in its turn.
        self.retention.add(filename)
        path = runner.save_checkpoint(
            self.folder,
            filename,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            by_epoch=self.by_epoch,
            backend_args=self._backend_args,
            **self._kwargs,
        )
        surplus = self.retention.take_surplus()
        if is_main_process():
            # In this order: a process that ends here leaves one checkpoint too many, never none.
            mark_latest_checkpoint(runner.work_dir, path)
            for name in surplus:
                self._remove(name)

    def _save_best(self, runner: Run, best: BestMetric, name: str, score: float) -> None:
        former = best.path
        count = runner.epoch if self.by_epoch else runner.iter
        filename = f"best_{name.replace('/', '_')}_{self._unit}_{count}.pth"
        best.score = score
        best.path = join_path(self.folder, filename, backend_args=self._backend_args)
        runner.message_hub.update_info(self._info("score", best), score)
        runner.message_hub.update_info(self._info("ckpt", best), best.path)
        runner.save_checkpoint(
            self.folder,
            filename,
            save_optimizer=False,
            save_param_scheduler=False,
            by_epoch=self.by_epoch,
            backend_args=self._backend_args,
            progress=runner.progress,
        )
        if former is not None and former != best.path and is_main_process():
            self._remove(Path(former).name)
        runner.logger.info(
            f"The best checkpoint with {score:.4f} {name} at {count} {self._unit} is saved to "
            f"{filename}."
        )

    def _info(self, what: str, best: BestMetric) -> str:
        return f"best_{what}" if len(self.best) == 1 else f"best_{what}_{best.key}"

    def _remove(self, filename: str) -> None:
        """Delete an old checkpoint; one that was deleted already is skipped."""
        path = join_path(self.folder, filename, backend_args=self._backend_args)
        try:
            remove(path, backend_args=self._backend_args)
        except FileNotFoundError:
            _log.debug("%s was deleted already", path)
