"""Record the operators of one forward pass, with the modules that called them.

`torch.jit.trace` would give such a list too, but torch no longer develops it, and it fails for
outputs and inputs that are not tensors. A dispatch mode below autograd receives the same operators,
with composite ones such as ``aten::linear`` before torch splits them.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from engine_model._compiled import uncompiled
from engine_model._uninitialized import require_shapes
from engine_model.analysis._state import SavedTensors, no_fast_path, random_state_kept
from engine_model.analysis._values import OpValue


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatorCall:
    """One call of an operator.

    Attributes:
        name: Its name with the namespace, such as ``"aten::linear"``.
        inputs: Its arguments in the order of its schema, defaults included.
        outputs: Its outputs.
        modules: The names of the modules inside whose call it ran, the outermost first.
        inner: The operators it consists of; empty for one that is a kernel.
        is_view: Whether it returns a view of its input.
    """

    name: str
    inputs: list[OpValue]
    outputs: list[OpValue]
    modules: tuple[str, ...]
    inner: list["OperatorCall"]
    is_view: bool


@dataclass(frozen=True, kw_only=True)
class Recording:
    """The operators and the module calls of one forward pass.

    Attributes:
        operators: The operators that no other operator called, in their order.
        calls: The number of calls of each module, by its first name.
        names: The first name of each module by each of its names.
        kinds: The name of the class of each module, by its first name.
        params: The number of parameters of each module, by its first name.
    """

    operators: list[OperatorCall]
    calls: dict[str, int]
    names: dict[str, str]
    kinds: dict[str, str]
    params: dict[str, int]


def record(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recording:
    """Run a model once, without gradients and compilation, and record its operators.

    Weights, buffers, training modes and the random state are restored afterwards.

    Args:
        model: The model.
        args: The positional inputs.
        kwargs: The named inputs.

    Raises:
        TypeError: The model is a wrapper for several devices.
        ValueError: A parameter has no shape yet.
    """
    _check(model)
    with uncompiled(model) as plain:
        saved = SavedTensors(plain)
        mode = RecordingMode(saved)
        with (
            _recording_context(plain, args, kwargs, saved),
            module_calls(plain, mode),
            mode,  # last: it records what all else in here would do
        ):
            plain(*args, **kwargs)
        return recording_of(plain, mode)


def recording_of(model: nn.Module, mode: "RecordingMode") -> Recording:
    """Return what a mode recorded about a model.

    Args:
        model: The model.
        mode: Was active during a forward pass of the model.
    """
    first: dict[nn.Module, str] = {}
    names: dict[str, str] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names[name] = first.setdefault(module, name)
    return Recording(
        operators=mode.operators,
        calls=mode.calls,
        names=names,
        kinds={name: type(module).__name__ for module, name in first.items()},
        params={
            name: sum(param.numel() for param in module.parameters())
            for module, name in first.items()
        },
    )


def _check(model: nn.Module) -> None:
    if isinstance(model, DataParallel | DistributedDataParallel):
        raise TypeError(
            f"model must be a module without a wrapper, got {type(model).__name__}; "
            "pass model.module"
        )
    require_shapes(model)


@contextmanager
def _recording_context(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], saved: SavedTensors
) -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(random_state_kept(model, args, kwargs))
        stack.callback(saved.restore)
        stack.enter_context(no_fast_path())
        if "torch._dynamo" in sys.modules:  # without it, no function is compiled
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(torch.no_grad())
        # Autograd would split composite operators before the mode receives them.
        stack.enter_context(torch._C._AutoDispatchBelowAutograd())
        yield


@contextmanager
def module_calls(model: nn.Module, mode: "RecordingMode", prefix: str = "") -> Iterator[None]:
    """Note which modules run, on the stack of the mode, inside the context.

    Args:
        model: The model, under whose names the modules are noted.
        mode: Holds the stack and counts the calls.
        prefix: The name of the model itself.
    """
    handles = []

    def watch(module: nn.Module, name: str) -> None:
        def enter(_module: nn.Module, _inputs: object) -> None:
            mode.stack = (*mode.stack, name)
            mode.calls[name] = mode.calls.get(name, 0) + 1

        def leave(_module: nn.Module, _inputs: object, _output: object) -> None:
            mode.stack = mode.stack[:-1]

        handles.append(module.register_forward_pre_hook(enter, prepend=True))
        # `always_call`: a model may catch the exception of a module.
        handles.append(module.register_forward_hook(leave, always_call=True))

    for name, module in model.named_modules(prefix=prefix):
        watch(module, name)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class RecordingMode(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types here
    """Record the operators that run while this mode is active.

    Args:
        saved: Copies what an operator is about to write; ``None`` copies nothing.
    """

    supports_higher_order_operators = True

    def __init__(self, saved: SavedTensors | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no types here
        self.operators: list[OperatorCall] = []
        self.stack: tuple[str, ...] = ()
        self.calls: dict[str, int] = {}
        self._saved = saved

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if isinstance(func, torch._ops.HigherOrderOperator):
            # Its operators run below this mode. Its name shows that they were not counted.
            self._add(f"higher_order::{func}", [], (), [], False)
            return NotImplemented
        kwargs = kwargs or {}
        inputs = _arguments(func, args, kwargs)
        if self._saved is not None:
            for argument, value in zip(func._schema.arguments, inputs, strict=True):
                if argument.alias_info is not None and argument.alias_info.is_write:
                    self._saved.before_write(value)
        outer, self.operators = self.operators, []
        try:
            result = NotImplemented
            if not any(map(_is_nested, tree_leaves((args, kwargs)))):
                with self:
                    result = func.decompose(*args, **kwargs)
            if result is NotImplemented:
                result = func(*args, **kwargs)
        finally:
            inner, self.operators = self.operators, outer
        if func.namespace != "prim":
            self._add(_name(func), inputs, result, inner, func.is_view)
        return result

    def _add(
        self, name: str, inputs: list[Any], result: object, inner: list[OperatorCall], view: bool
    ) -> None:
        outputs = result if isinstance(result, tuple | list) else (result,)
        self.operators.append(
            OperatorCall(
                name=name,
                inputs=[OpValue.of(value) for value in inputs],
                outputs=[OpValue.of(value) for value in outputs],
                modules=self.stack,
                inner=inner,
                is_view=view,
            )
        )


def _is_nested(value: object) -> bool:
    # The parts of a composite operator ask for sizes, which nested tensors do not have.
    return isinstance(value, Tensor) and value.is_nested


def _name(func: Any) -> str:
    name: str = func._schema.name
    # The kernel of all convolutions, under the name that handles are documented for.
    return "aten::_convolution" if name == "aten::convolution" else name


def _arguments(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """Return all arguments of an operator in the order of its schema."""
    return [
        args[index] if index < len(args) else kwargs.get(argument.name, argument.default_value)
        for index, argument in enumerate(func._schema.arguments)
    ]
