"""Count the operations of a forward pass that happens anyway, such as the first of a training."""

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from torch import nn

from engine_model._compiled import runs_compiled
from engine_model._uninitialized import require_shapes
from engine_model.analysis._counts import FlopAnalyzer
from engine_model.analysis._formulas import PRODUCTS
from engine_model.analysis._record import RecordingMode, module_calls, recording_of


def observe_flops(model: nn.Module, done: Callable[[Counter[str]], None]) -> Callable[[], None]:
    """Count the floating-point operations of the model's next forward pass, by module.

    Nothing is computed twice, and nothing is changed: the pass runs as it would. The counts are
    those of `measure_cost`.

    Args:
        model: The model that is called, without a wrapper.
        done: Is called once with the counts by module, when the pass has returned.

    Returns:
        A function that stops waiting for a pass.

    Raises:
        ValueError: A parameter has no shape yet.

    Example:
        >>> import torch
        >>> model = nn.Linear(3, 4)
        >>> stop = observe_flops(model, print)
        >>> output = model(torch.zeros(2, 3))
        Counter({'': 48})
    """
    require_shapes(model)
    observer = _Observer(model, done)
    observer.start()
    return observer.stop


def can_observe(model: nn.Module) -> bool:
    """Return whether `observe_flops` leaves a model as fast and as exact as it is.

    It would split compiled code into operators.

    Args:
        model: The model.
    """
    # A function inside the model may be compiled, too: torch lists the backends of this process.
    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    if any(map(callable, getattr(dynamo, "cached_backends", {}).values())):
        return False
    return not runs_compiled(model)


class _Observer:
    def __init__(self, model: nn.Module, done: Callable[[Counter[str]], None]) -> None:
        self._model, self._done = model, done
        self._handles: list[Any] = []
        self._mode: RecordingMode | None = None
        self._depth = 0
        self._stack = ExitStack()

    def start(self) -> None:
        self._handles = [
            self._model.register_forward_pre_hook(self._enter, prepend=True),
            # `always_call`: the mode must end where the forward raises, too.
            self._model.register_forward_hook(self._leave, always_call=True),
        ]

    def stop(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _enter(self, _model: nn.Module, _inputs: object) -> None:
        self._depth += 1
        if self._depth > 1:  # the model calls itself
            return
        self._mode = RecordingMode()
        self._mode.stack, self._mode.calls[""] = ("",), 1
        for name, child in self._model.named_children():
            self._stack.enter_context(module_calls(child, self._mode, name))
        self._stack.enter_context(self._mode)

    def _leave(self, _model: nn.Module, _inputs: object, output: object) -> None:
        self._depth -= 1
        if self._depth or self._mode is None:
            return
        self._stack.close()
        self.stop()
        if output is None:
            return  # the forward raised
        analyzer = FlopAnalyzer.of(recording_of(self._model, self._mode), PRODUCTS)
        self._done(analyzer.by_module())
