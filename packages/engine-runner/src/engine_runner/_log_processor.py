"""Format the numbers of the message hub as a line of the log."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

from engine_dist.device import get_max_cuda_memory, is_cuda_available
from engine_logging import HistoryBuffer
from engine_registry import LOG_PROCESSORS
from engine_runner._integer import integer
from engine_runner._loaders import length_of
from engine_runner._protocols import Run

Mode = Literal["train", "val", "test"]
_TIMES = ("time", "data_time")
_RATE = re.compile(r"(^|[._])lr$")  # lr, base_lr, generator.lr


@LOG_PROCESSORS.register_module()
class LogProcessor:
    """Compute the statistics of the log and format them as one line.

    Scalars whose names match ``mean_pattern`` are averaged over the last ``window_size``
    iterations. Of every other scalar the last value is shown. Each entry of ``custom_cfg`` is a
    mapping that changes this: ``data_src`` is the scalar without its mode's prefix,
    ``method_name`` a statistic of `HistoryBuffer`, and ``window_size`` a number of iterations,
    ``"epoch"`` (the length of the data loader) or ``"global"`` (all iterations so far). With
    ``log_name`` the statistic is added under that name; without, it replaces the usual one.

    Args:
        window_size: Iterations over which losses and times are averaged.
        by_epoch: Write ``Epoch(train) [1][10/25]``, rather than ``Iter(train) [ 10/100]``.
        custom_cfg: Further statistics.
        num_digits: Digits after the decimal point.
        log_with_hierarchy: Name the numbers for the visualizer with their mode, as in
            ``train/loss`` and ``val/accuracy``, rather than ``loss`` and ``accuracy``.
        mean_pattern: A regular expression; scalars whose names match it from the start are
            averaged.

    Raises:
        ValueError: A number is not an integer or too small, an entry of ``custom_cfg`` lacks a
            key, two replace the same scalar or share a ``log_name``, an entry asks for
            ``"epoch"`` while ``by_epoch`` is false, or ``mean_pattern`` is not a regular
            expression.

    Example:
        >>> smooth = dict(data_src="loss", log_name="loss_all", method_name="mean",
        ...               window_size="global")
        >>> processor = LogProcessor(window_size=20, custom_cfg=[smooth])
    """

    def __init__(
        self,
        window_size: int = 10,
        by_epoch: bool = True,
        custom_cfg: Sequence[Mapping[str, Any]] | None = None,
        num_digits: int = 4,
        log_with_hierarchy: bool = False,
        mean_pattern: str = r".*(loss|time|data_time|grad_norm).*",
    ) -> None:
        self.window_size = integer("window_size", window_size, at_least=1)
        self.by_epoch = by_epoch
        self.custom_cfg = [dict(entry) for entry in custom_cfg or ()]
        self.num_digits = integer("num_digits", num_digits, at_least=0)
        self.log_with_hierarchy = log_with_hierarchy
        try:
            self.mean_pattern = re.compile(mean_pattern)
        except (re.error, TypeError) as error:
            raise ValueError(
                f"mean_pattern must be a regular expression, got {mean_pattern!r}: {error}"
            ) from error
        # How many values the scalars of an evaluation had before it.
        self._before: dict[str, int] = {}
        self._check_custom_cfg()

    def begin_evaluation(self, runner: Run, mode: Mode) -> None:
        """Note where a validation or test begins, so that its lines show no earlier metric.

        Args:
            runner: The run whose message hub holds the numbers.
            mode: ``"val"`` or ``"test"``.
        """
        scalars = _named(runner.message_hub.log_scalars, mode)
        self._before = {f"{mode}/{name}": len(buffer) for name, buffer in scalars.items()}

    def get_log_after_iter(
        self, runner: Run, batch_idx: int, mode: Mode
    ) -> tuple[dict[str, Any], str]:
        """Return the numbers and the line of an iteration.

        Args:
            runner: The run whose message hub holds the numbers.
            batch_idx: Index of the batch in the epoch, from 0.
            mode: ``"train"``, ``"val"`` or ``"test"``.

        Returns:
            The numbers by name, for the visualizer, and the line, for the log.
        """
        stats = self._statistics(runner, batch_idx, mode)
        tag = self._tag(stats, mode)
        if mode == "train":
            if self.by_epoch and runner.trains_by_epoch:
                tag["epoch"] = self._epoch(runner, mode)
            tag["iter"] = runner.iter + 1
        rates = [name for name in stats if _is_rate(name)]
        size = self._get_dataloader_size(runner, mode)
        parts = [self._head(runner, batch_idx + 1, mode, size)]
        parts += [f"{name}: {stats[name]:.{self.num_digits}e}" for name in rates]
        parts += self._pace(runner, batch_idx, mode, stats, size)
        shown = {*_TIMES, *rates}
        parts += [
            f"{name}: {self._number(value)}" for name, value in stats.items() if name not in shown
        ]
        return tag, "  ".join(parts)

    def get_log_after_epoch(
        self, runner: Run, batch_idx: int, mode: Mode, with_non_scalar: bool = False
    ) -> tuple[dict[str, Any], str]:
        """Return the metrics and the line that closes a validation or a test.

        Args:
            runner: The run whose message hub holds the metrics.
            batch_idx: Number of batches of the pass.
            mode: ``"val"`` or ``"test"``.
            with_non_scalar: Also return metrics that are not numbers, such as tables.

        Returns:
            The metrics by name, for the visualizer, and the line, for the log.
        """
        stats = self._statistics(runner, batch_idx - 1, mode)
        metrics = {name: value for name, value in stats.items() if name not in _TIMES}
        infos = _named(runner.message_hub.runtime_info, mode)
        line = "  ".join(
            [self._head(runner, batch_idx, mode, self._get_dataloader_size(runner, mode))]
            + [f"{name}: {self._number(value)}" for name, value in metrics.items()]
            + [f"{name}: {value}" for name, value in infos.items()]
        )
        return self._tag(metrics | infos if with_non_scalar else metrics, mode), line

    def _tag(self, stats: Mapping[str, Any], mode: Mode) -> dict[str, Any]:
        """Return the numbers under the names by which the visualizer records them."""
        prefix = f"{mode}/" if self.log_with_hierarchy else ""
        return {f"{prefix}{name}": value for name, value in stats.items()}

    def _statistics(self, runner: Run, batch_idx: int, mode: Mode) -> dict[str, Any]:
        """Return the statistic of each scalar of a mode, in the order of their first record."""
        buffers = _named(runner.message_hub.log_scalars, mode)
        if mode != "train":
            # Other scalars are of the evaluation before.
            buffers = {n: b for n, b in buffers.items() if self._added(f"{mode}/{n}", b) > 0}
        stats = {name: self._usual(name, buffer, mode) for name, buffer in buffers.items()}
        for entry in self.custom_cfg:
            arguments = dict(entry)
            source, method = arguments.pop("data_src"), arguments.pop("method_name")
            name = arguments.pop("log_name", source)
            if source not in buffers:
                continue
            if "window_size" in arguments:
                arguments["window_size"] = self._window(
                    arguments["window_size"], runner, mode, batch_idx
                )
            stats[name] = buffers[source].statistics(method, **arguments)
        return stats

    def _added(self, key: str, buffer: HistoryBuffer) -> int:
        """Return the number of values that an evaluation has added to a scalar."""
        size = len(buffer)
        # A full history drops a value for each new one.
        return size if size == buffer.max_length else size - self._before.get(key, 0)

    def _usual(self, name: str, buffer: HistoryBuffer, mode: Mode) -> Any:
        if not self.mean_pattern.match(name):
            return buffer.current()
        size = self.window_size
        return buffer.mean(
            size if mode == "train" else min(size, self._added(f"{mode}/{name}", buffer))
        )

    def _window(self, size: int | str, runner: Run, mode: Mode, batch_idx: int) -> int:
        if size == "epoch":
            return self._get_dataloader_size(runner, mode) or batch_idx + 1
        if size == "global":
            return runner.iter + 1
        return int(size)

    def _head(self, runner: Run, batch: int, mode: Mode, size: int | None) -> str:
        if not self.by_epoch and mode == "train":
            size = int(runner.max_iters) if math.isfinite(runner.max_iters) else None
        part = getattr(self._get_cur_loop(runner, mode), "current_set", "")
        end = f"  set: {part}" if part else ""
        if not self.by_epoch:
            number = runner.iter + 1 if mode == "train" else _within(batch, size)
            return f"Iter({mode}) {_place(number, size)}{end}"
        epoch = ""
        if mode != "test":
            epoch = f"[{self._epoch(runner, mode)}]"
            if runner.trains_by_epoch:
                epoch = epoch.rjust(len(f"[{runner.max_epochs}]"))
        return f"Epoch({mode}) {epoch}{_place(_within(batch, size), size)}{end}"

    def _get_cur_loop(self, runner: Run, mode: Mode) -> Any:
        """Return the loop of a mode; a subclass may choose another one."""
        if mode == "train":
            return runner.train_loop
        return runner.val_loop if mode == "val" else runner.test_loop

    def _get_dataloader_size(self, runner: Run, mode: Mode) -> int | None:
        """Return the number of batches per pass, or None if it is unknown."""
        loop = self._get_cur_loop(runner, mode)
        declared: int | None = getattr(loop, "epoch_length", None)
        if declared is not None:
            return declared
        # Of several sets, the one that is being evaluated. A loop of the user's has no sets.
        return length_of(getattr(loop, "current_dataloader", loop.dataloader))

    def _epoch(self, runner: Run, mode: Mode) -> int:
        """Return the current epoch, or the one that a validation follows, counted from 1."""
        return max(1, runner.epoch + 1 if mode == "train" else runner.epoch)

    def _pace(
        self, runner: Run, batch_idx: int, mode: Mode, stats: Mapping[str, Any], size: int | None
    ) -> list[str]:
        """Return eta, times and memory."""
        if "time" not in stats:
            return []
        if mode == "train":
            seconds = runner.message_hub.get_info("eta", math.inf)
        else:
            seconds = ((size or math.inf) - batch_idx - 1) * stats["time"]
        # Of data without a length, the end is unknown.
        parts = [f"eta: {timedelta(seconds=int(seconds))}"] if math.isfinite(seconds) else []
        parts += [f"{name}: {self._number(stats[name])}" for name in _TIMES if name in stats]
        if is_cuda_available():
            parts.append(f"memory: {get_max_cuda_memory()}")
        return parts

    def _number(self, value: Any) -> str:
        return f"{value:.{self.num_digits}f}" if isinstance(value, float) else str(value)

    def _check_custom_cfg(self) -> None:
        names: set[str] = set()
        for entry in self.custom_cfg:
            for key in ("data_src", "method_name"):
                if key not in entry:
                    raise ValueError(f"an entry of custom_cfg needs {key!r}, got {entry}")
            name = entry.get("log_name", entry["data_src"])
            if name in names:
                raise ValueError(
                    f"two entries of custom_cfg write {name!r}; give one of them a log_name"
                )
            names.add(name)
            if entry.get("window_size") == "epoch" and not self.by_epoch:
                raise ValueError(
                    f"window_size='epoch' of {name!r} needs by_epoch=True; "
                    "give a number of iterations or 'global'"
                )


def _named(entries: Mapping[str, Any], mode: Mode) -> dict[str, Any]:
    prefix = f"{mode}/"
    return {
        name.removeprefix(prefix): value
        for name, value in entries.items()
        if name.startswith(prefix)
    }


def _is_rate(name: str) -> bool:
    return _RATE.search(name) is not None


def _within(batch: int, size: int | None) -> int:
    """Return the number of a batch within its pass, counted from 1."""
    # A loop of iterations counts its batches across epochs, one of the user's across passes.
    return (batch - 1) % size + 1 if size else batch


def _place(number: int, total: int | None) -> str:
    """Return ``[ 2/10]``, padded so that the lines of a pass are aligned."""
    return f"[{number:>{len(str(total))}}/{total}]" if total else f"[{number}]"
