"""Compare runs of a config that are interrupted and resumed with runs that are not."""

import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from engine_runner._integer import integer
from engine_runner.resume_check._difference import (
    Difference,
    cause_of_chance,
    cause_of_resume,
    changed_hooks,
    first_difference,
)
from engine_runner.resume_check._trial import CHECKPOINT, Trial, read_trial, run_trial


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeReport:
    """The result of `resume_check`.

    Attributes:
        exact: Whether all runs were equal in every bit.
        iters: The iterations of each run, at most.
        at: The iterations after which a run was interrupted.
        found: A line for each run that differed, with the first difference.
        causes: The probable cause of each.
        notes: Values that differ without an effect so far, such as those of a hook without a state.

    Example:
        >>> ResumeReport(exact=True, iters=8, at=(4,)).exact
        True
    """

    exact: bool
    iters: int
    at: tuple[int, ...]
    found: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class TrialError(RuntimeError):
    """Raised if a run of the check fails."""


def resume_check(
    config_file: str | PathLike[str],
    cfg_options: Sequence[str] = (),
    *,
    iters: int = 8,
    at: Sequence[int] = (),
    start_method: Literal["spawn", "fork"] = "spawn",
    report: Callable[[str], None] | None = None,
) -> ResumeReport:
    """Train a few iterations of a config, interrupt and resume them, and compare every bit.

    Each run is a new process in a temporary folder, which is removed. Two runs without an
    interruption show what is not deterministic by itself. Then one run per iteration in ``at`` is
    ended there, after a checkpoint, and resumed. Batches, losses, weights, the optimizer and the
    random states are compared before and after each iteration. Tracking services are not contacted,
    and a config without a seed gets one.

    Args:
        config_file: The config.
        cfg_options: Changes of it, such as ``"train_cfg.max_epochs=2"``.
        iters: The iterations of each run, at most.
        at: The iterations after which a run is interrupted; the middle by default.
        start_method: How processes are started; forks of a process that has trained may differ.
        report: Called with a line for each run that begins.

    Raises:
        TrialError: A run fails, or ends before it is to be interrupted.
        ValueError: ``iters`` is not an integer >= 2, or an entry of ``at`` is not in 1 to
            ``iters - 1``.
    """
    iters = integer("iters", iters, at_least=2)
    places = tuple(sorted({*at})) or (iters // 2,)
    for place in places:
        if not 1 <= place < iters:
            raise ValueError(f"at must be in 1 to {iters - 1}, got {place}; raise iters")
    with (
        _ended_by_signals(),
        TemporaryDirectory(prefix="engine_resume_check_", ignore_cleanup_errors=True) as folder,
    ):
        base = Trial(
            config_file=fspath(config_file),
            cfg_options=tuple(cfg_options),
            folder=folder,
            output="",
            end=iters,
        )
        return _Check(base, places, start_method, report or (lambda line: None)).run()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let signals that would end the process at once raise `SystemExit`, so that nothing stays."""
    taken = []
    if threading.current_thread() is threading.main_thread():
        names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
        numbers = [getattr(signal, name) for name in names]
        taken = [one for one in numbers if signal.getsignal(one) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


class _Check:
    def __init__(
        self, base: Trial, places: tuple[int, ...], method: str, report: Callable[[str], None]
    ) -> None:
        self._base, self._places, self._report = base, places, report
        self._context: Any = multiprocessing.get_context(method)

    def run(self) -> ResumeReport:
        """Run all trials, and compare them."""
        end = self._base.end
        whole = self._trial("whole", f"{end} iterations without an interruption")
        trained = len(dict(whole["steps"])) // 2  # noted before and after each iteration
        if self._places[-1] >= trained:
            raise TrialError(
                f"the config trains {trained} iterations, so at={self._places[-1]} interrupts "
                "nothing; give at below that, or train longer"
            )
        again = self._trial("again", "the same once more")
        chance = first_difference(whole["steps"], again["steps"])
        if chance is not None:
            return self._result([(f"two runs without an interruption differ {chance}",
                                  cause_of_chance(chance, whole))], [])  # fmt: skip
        found, notes = [], []
        for place in self._places:
            rest = self._interrupted(place)
            difference = self._compare(whole, rest, place)
            if difference is not None:
                line = f"interrupted after iteration {place}, the resumed run differs {difference}"
                found.append((line, cause_of_resume(difference, whole, again, rest)))
            else:
                notes += changed_hooks(whole, again, rest)
        return self._result(found, notes)

    def _compare(
        self, whole: dict[str, Any], rest: dict[str, Any], place: int
    ) -> Difference | None:
        last, ended = whole["steps"][-1][0], rest["steps"][-1][0]
        if ended != last:
            raise TrialError(
                f"the run that was resumed after iteration {place} ends {ended}, not {last}"
            )
        return first_difference(whole["steps"], rest["steps"])

    def _interrupted(self, place: int) -> dict[str, Any]:
        name = f"cut_{place}"
        self._trial(name, f"{place} iterations, then an interruption", save_at=place)
        saved = str(Path(self._base.folder, name, CHECKPOINT))
        return self._trial(name, f"resumed from iteration {place}", resume_from=saved)

    def _trial(self, name: str, line: str, **changes: Any) -> dict[str, Any]:
        """Train in a new process, and return what it has noted."""
        self._report(line)
        folder = Path(self._base.folder, name)
        part = "resumed" if "resume_from" in changes else "begun"
        output = Path(self._base.folder, f"{name}_{part}.json")
        trial = replace(self._base, folder=str(folder), output=str(output), **changes)
        process = self._context.Process(target=run_trial, args=(trial,))
        process.start()
        try:
            process.join()
        finally:  # also if the check is interrupted: the folder goes, and the process with it
            if process.is_alive():
                process.kill()
                process.join()
        noted = read_trial(trial, process.exitcode)
        if "error" in noted:
            error = TrialError(f"{line}: {noted['error']}")
            error.add_note(noted["trace"])
            raise error
        if not noted["steps"]:
            raise TrialError(f"{line}: the run has trained no iteration")
        return noted

    def _result(self, found: list[tuple[str, str]], notes: list[str]) -> ResumeReport:
        return ResumeReport(
            exact=not found,
            iters=self._base.end,
            at=self._places,
            found=tuple(line for line, _ in found),
            causes=tuple(cause for _, cause in found),
            notes=tuple(dict.fromkeys(notes)),
        )
