"""Run a loop between the points of a run; return to a checkpoint if a hook asks for that."""

from contextlib import AbstractContextManager
from typing import Any, Protocol

from engine_runner._errors import NonFiniteLossError, RollbackRequest
from engine_runner._memory_report import explaining_out_of_memory
from engine_runner._protocols import Loop, Run
from engine_runner.checkpoint import Checkpointer
from engine_runner.environment import end_workers_of
from engine_runner.loops import TrainLoop


class _Runs(Run, Protocol):
    checkpointer: Checkpointer
    running: Loop | None

    def load_or_resume(self) -> None: ...
    def resume(self, filename: str) -> None: ...


class _Hooks(Protocol):
    def around(self, runner: Any) -> AbstractContextManager[Any]: ...


def execute(runner: _Runs, hooks: _Hooks, loop: Loop, *, trains: bool = False) -> Any:
    """Run a loop between ``before_run`` and ``after_run``, and return its result.

    Args:
        runner: The run.
        hooks: Its hooks.
        loop: The loop.
        trains: Whether it trains.

    Raises:
        RuntimeError: A hook calls ``train()`` within a run.
    """
    if runner.running is not None:
        return _evaluate_within(runner, loop, trains=trains)
    guard = runner.checkpointer.guard(runner.work_dir, trains=trains)
    runner.running = loop
    try:
        with guard, hooks.around(runner), explaining_out_of_memory(runner):
            runner.call_hook("before_run")
            runner.load_or_resume()
            result = _run(runner, loop, trains=trains)
            runner.call_hook("after_run")
            runner.checkpointer.finish()
    finally:
        runner.running = None
        end_workers_of(loop, runner.val_loop if trains else None)
    return result


def _evaluate_within(runner: _Runs, loop: Loop, *, trains: bool) -> Any:
    """Evaluate for a hook of a run, whose points, handlers and checks stay active."""
    if trains:
        raise RuntimeError(
            "train() must be called after a run of the same Runner, got a call within one; let a "
            "second Runner train, or move the call behind the end of the run"
        )
    runner.load_or_resume()  # by now, unless this is ``before_run``
    was_training = runner.model.training
    modes = [runner.optim_wrapper] if isinstance(runner.running, TrainLoop) else []
    for part in modes:  # some optimizers have a mode for evaluations
        part.eval()
    try:
        return loop.run()
    finally:
        end_workers_of(loop)
        runner.model.train(was_training)
        for part in modes:
            part.train()


def _run(runner: _Runs, loop: Loop, *, trains: bool) -> Any:
    while True:
        if isinstance(loop, TrainLoop):
            loop.continue_from_progress()
        if trains:
            runner.optim_wrapper.initialize_count_status(
                runner.model, runner.iter, runner.max_iters
            )
        try:
            return loop.run()
        except RollbackRequest as request:
            _return_to_checkpoint(runner, request)


def _return_to_checkpoint(runner: _Runs, request: RollbackRequest) -> None:
    """Give a run the state of its newest whole checkpoint."""
    runner.checkpointer.finish()  # a writer may still be at it
    runner.checkpointer.restarts.clear()  # what this run has saved has all states
    newest = runner.checkpointer.newest(runner)
    if newest is None:
        raise NonFiniteLossError(str(request)) from request
    runner.optim_wrapper.zero_grad()
    runner.resume(newest)
