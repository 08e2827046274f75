"""Count and log what `torch.compile` does during a run."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine_model import compile_forwards, runs_compiled
from engine_registry import HOOKS
from engine_runner._hook import Hook
from engine_runner._protocols import Run
from engine_runner._types import Metrics

_OF_LAYERS = compile_forwards.__code__.co_filename
_SHOWN = 5  # recompilations and graph breaks that are logged one by one


@HOOKS.register_module()
class CompileReportHook(Hook):
    """Log compilations, recompilations and graph breaks of a compiled model.

    `Runner` registers it by default; ``default_hooks=dict(compile_report=None)`` leaves it out. It
    asks the compiler where the run logs, and at the end. The first five recompilations and graph
    breaks are warnings with their reasons; the message hub has all counts as ``compile``. A model
    that is not compiled costs nothing.

    A graph break splits the compiled code, and a recompilation costs as much time as the first one.
    After as many recompilations of one function as ``torch._dynamo.config.recompile_limit`` says,
    the function runs uncompiled, which is a warning, too.

    Example:
        >>> CompileReportHook().counts
        {'graphs': 0, 'recompilations': 0, 'graph_breaks': 0, 'seconds': 0.0}
    """

    priority = "BELOW_NORMAL"
    _is_internal = True

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        # Anew for each run: ``test()`` may follow ``train()``.
        self.counts: dict[str, Any] = {
            "graphs": 0,
            "recompilations": 0,
            "graph_breaks": 0,
            "seconds": 0.0,
        }
        self._acts = False
        self._counted: Any = None  # the last compilation that is counted
        self._breaks: Counter[str] = Counter()
        self._shown = 0
        self._limited: set[str] = set()  # functions that run uncompiled from now on

    @contextmanager
    def around_run(self, runner: Run) -> Iterator[None]:
        """Count from the start of this run, as the compiler counts for the process."""
        self._reset()
        self._acts = runs_compiled(runner.model)
        if not self._acts:
            yield
            return
        self._counted, self._breaks = _last(_compilations()), _graph_breaks()
        try:
            yield
        finally:
            self._update(runner)
            self._log_counts(runner)

    def before_train(self, runner: Run) -> None:
        """Log why the first iterations take longer."""
        if self._acts:
            runner.logger.info("The first iterations take longer, as they compile the model.")

    def after_log(self, runner: Run) -> None:
        """Log what was compiled since the last line of the log."""
        self._update(runner)

    def after_val_epoch(self, runner: Run, metrics: Metrics | None = None) -> None:
        """Log what was compiled in the validation."""
        self._update(runner)

    def _update(self, runner: Run) -> None:
        if not self._acts:
            return
        known, found = self._counted, _compilations()
        self._counted = _last(found)
        for one in _after(known, found):
            self.counts["seconds"] += one.entire_frame_compile_time_s or 0.0
            if not one.is_forward:
                continue  # the backward pass of a graph that is counted
            self.counts["graphs"] += 1
            # Without gradients it is another graph, in the first validation.
            if one.recompile_reason and "grad_mode" not in one.recompile_reason:
                self.counts["recompilations"] += 1
                self._warn_of_recompilation(runner, one)
        breaks = _graph_breaks()
        for reason, count in (breaks - self._breaks).items():
            self.counts["graph_breaks"] += count
            self._warn(runner, f"graph break: {_first_lines(reason)}")
        self._breaks = breaks
        runner.message_hub.update_info("compile", dict(self.counts))

    def _warn_of_recompilation(self, runner: Run, one: Any) -> None:
        place = one.co_name
        if one.co_filename != _OF_LAYERS:  # a layer of torch has a name in the model instead
            place += f" ({Path(one.co_filename or '').name}:{one.co_firstlineno})"
        self._warn(runner, f"{place} was compiled again: {_first_lines(one.recompile_reason)}")
        frame, _, number = str(one.compile_id).rpartition("/")
        if int(number) + 1 >= _recompile_limit() and frame not in self._limited:
            self._limited.add(frame)
            runner.logger.warning(
                f"{place} was compiled {int(number) + 1} times, and runs uncompiled for other "
                "inputs from now on; set compile=dict(dynamic=True), or give it inputs of equal "
                "shapes"
            )

    def _log_counts(self, runner: Run) -> None:
        if not self.counts["graphs"]:
            runner.logger.warning(
                "Nothing was compiled in this run, although compile is set; TORCH_LOGS='dynamo' "
                "shows why"
            )
            return
        runner.logger.info(
            f"Compiled graphs: {self.counts['graphs']}, recompilations: "
            f"{self.counts['recompilations']}, graph breaks: {self.counts['graph_breaks']}, "
            f"time: {self.counts['seconds']:.1f} s"
        )

    def _warn(self, runner: Run, message: str) -> None:
        self._shown += 1
        if self._shown <= _SHOWN:
            runner.logger.warning(message)
        if self._shown == _SHOWN:
            runner.logger.warning(
                "Further recompilations and graph breaks are counted only; "
                "TORCH_LOGS='recompiles,graph_breaks' shows all of them"
            )


# The compiler is loaded by the first compiled call. It has no public interface for these counts.
def _compilations() -> list[Any]:
    utils: Any = sys.modules.get("torch._dynamo.utils")
    read = getattr(utils, "get_compilation_metrics", None)
    return [one for one in read() if one.compile_id] if read is not None else []


def _graph_breaks() -> Counter[str]:
    utils: Any = sys.modules.get("torch._dynamo.utils")
    counters = getattr(utils, "counters", None)
    return Counter(counters["graph_break"]) if counters is not None else Counter()


def _recompile_limit() -> int:
    config: Any = sys.modules.get("torch._dynamo.config")
    return int(getattr(config, "recompile_limit", 8))


def _last(found: list[Any]) -> Any:
    return found[-1] if found else None


def _after(known: Any, found: list[Any]) -> list[Any]:
    """Return the compilations after a known one; all, if the list has dropped it since."""
    # By identity: the compiler numbers them from 0 again after a reset.
    position = next((n for n, one in enumerate(found) if one is known), -1)
    return found[position + 1 :]


def _first_lines(reason: str) -> str:
    """Return the text of a reason without its hints."""
    lines = [line.strip() for line in reason.splitlines()]
    end = next((n for n, line in enumerate(lines) if line.startswith("Hint")), len(lines))
    return " ".join(" ".join(filter(None, lines[:end])).split())[:300]
