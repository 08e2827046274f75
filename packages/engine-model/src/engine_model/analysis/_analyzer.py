"""Count something about the operators of a model, by module and by operator."""

import logging
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from engine_model.analysis._formulas import FREE, Handle, named_count
from engine_model.analysis._record import OperatorCall, Recording, record
from engine_utils import did_you_mean

_log = logging.getLogger("engine.model")

_WARNINGS = ("all", "none", "no_tracer_warning")
_MODES = ("owner", "caller")


class OperatorAnalyzer:
    """Count something about the operators of one forward pass.

    The model runs once, at the first question, in the mode it is in: ``model.eval()`` first counts
    what an evaluation does. Weights, buffers, modes and the random state are as before afterwards.
    An operator belongs to a module if it runs inside the call of the module.

    Operators have the names of `torch.ops.aten`; those that consist of others, such as
    ``"aten::linear"``, count as one. So they are the names of `torch.jit.trace`, which documents
    these classes. The differences: there is no trace, so inputs and outputs may be of any type; a
    handle receives `OpValue` objects, which have the methods of the values of a trace.

    Args:
        model: The model, without a wrapper for several devices.
        inputs: Its input; a tuple of positional inputs; or a dict of named ones.

    Raises:
        TypeError: The model is a `DataParallel` or `DistributedDataParallel`.
        ValueError: A parameter has no shape yet.

    Example:
        >>> import torch
        >>> class ReluAnalyzer(OperatorAnalyzer):
        ...     handles = {"aten::relu": lambda inputs, outputs: outputs[0].elements}
        >>> ReluAnalyzer(nn.Sequential(nn.ReLU()), torch.zeros(2, 3)).unsupported_ops_warnings(
        ...     False
        ... ).by_module()
        Counter({'': 6, '0': 6})
    """

    handles: ClassVar[Mapping[str, Handle]] = {}
    warns_of_unsupported: ClassVar[bool] = True

    def __init__(self, model: nn.Module, inputs: Tensor | tuple[Any, ...] | dict[str, Any]) -> None:
        self._model = model
        self._inputs = inputs
        self._recording: Recording | None = None
        self._handles: dict[str, Handle | None] = dict(self.handles)
        self._ancestors = "owner"
        self._tracer_warnings = "no_tracer_warning"
        self._warn_unsupported = self.warns_of_unsupported
        self._warn_uncalled = True
        self._warned = False

    @classmethod
    def of(cls, recording: Recording, handles: Mapping[str, Handle] | None = None) -> Self:
        """Return an analyzer of a pass that was recorded, which logs no warnings.

        Args:
            recording: The operators of the pass.
            handles: The handles; those of the class by default.
        """
        analyzer = cls(nn.Module(), ())
        analyzer._recording = recording
        analyzer._handles = dict(cls.handles if handles is None else handles)
        return analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)

    def total(self, module_name: str = "") -> int:
        """Return the count of a module, including the modules inside it.

        Args:
            module_name: The name of the module; empty for the model.

        Raises:
            KeyError: The model has no module of this name.
        """
        return sum(self.by_operator(module_name).values())

    def by_operator(self, module_name: str = "") -> Counter[str]:
        """Return the counts of a module by operator, without the namespace of the operators.

        Args:
            module_name: The name of the module; empty for the model.

        Raises:
            KeyError: The model has no module of this name.
        """
        return self.by_module_and_operator()[self.canonical_module_name(module_name)]

    def by_module(self) -> Counter[str]:
        """Return the count of each module by its name, including the modules inside it."""
        counts = self.by_module_and_operator()
        return Counter({name: sum(count.values()) for name, count in counts.items()})

    def by_module_and_operator(self) -> dict[str, Counter[str]]:
        """Return the counts of each module by operator."""
        recording = self._run()
        counts: dict[str, Counter[str]] = {name: Counter() for name in recording.kinds}
        for call, handle in self._counted(recording.operators):
            if handle is not None:
                count = named_count(handle, _short(call.name), call.inputs, call.outputs)
                for name in self._modules_of(call):
                    counts[name].update(count)
        self._warn()
        return counts

    def unsupported_ops(self, module_name: str = "") -> Counter[str]:
        """Return how often each operator ran that has no handle, by its name with the namespace.

        Args:
            module_name: The name of the module; empty for the model.

        Raises:
            KeyError: The model has no module of this name.
        """
        name = self.canonical_module_name(module_name)
        return Counter(
            call.name
            for call, handle in self._counted(self._run().operators)
            if handle is None and name in self._modules_of(call)
        )

    def uncalled_modules(self) -> set[str]:
        """Return the names of the modules that were not called, such as a `ModuleList`.

        Operators belong to a module that is not called only through the modules inside it.
        """
        recording = self._run()
        return {name for name in recording.kinds if name not in recording.calls}

    def set_op_handle(self, *args: Any, **kwargs: Handle | None) -> Self:
        """Set how operators are counted.

        Args:
            *args: Names such as ``"aten::bmm"`` and their handles, in turn. A handle is a function
                of the list of inputs and the list of outputs of one call. It returns a number, or
                numbers by name. ``None`` ignores the operator and those it consists of.
            **kwargs: Handles by name.

        Returns:
            The analyzer.

        Raises:
            TypeError: Names and handles do not come in turn, or a handle is not callable.
        """
        if len(args) % 2:
            raise TypeError(
                f"set_op_handle must get pairs of a name and a handle, got {len(args)} arguments; "
                "pass 'aten::bmm', handle"
            )
        given = [*zip(args[::2], args[1::2], strict=True), *kwargs.items()]
        for name, handle in given:
            if not isinstance(name, str):
                raise TypeError(f"the name of an operator must be a str, got {name!r}")
            if handle is not None and not callable(handle):
                raise TypeError(
                    f"the handle of {name!r} must be a function or None, got {handle!r}"
                )
        self._handles.update(given)
        return self

    def clear_op_handles(self) -> Self:
        """Remove all handles, so that nothing is counted until `set_op_handle`."""
        self._handles = {}
        return self

    def ancestor_mode(self, mode: str) -> Self:
        """Set which modules an operator belongs to.

        Args:
            mode: ``"owner"``: the last called module and the modules that contain it by name.
                ``"caller"``: all modules whose call had not returned.

        Raises:
            ValueError: The mode is another one.
        """
        _check_choice("mode", mode, _MODES)
        self._ancestors = mode
        return self

    def canonical_module_name(self, name: str) -> str:
        """Return the first name of a module, under which its counts are listed.

        Args:
            name: One of the names of the module.

        Raises:
            KeyError: The model has no module of this name.
        """
        names = self._run().names
        if name not in names:
            raise KeyError(
                f"the model has no module {name!r}{did_you_mean(name, names)}; "
                f"it has {sorted(names)}"
            )
        return names[name]

    def copy(
        self,
        new_model: nn.Module | None = None,
        new_inputs: Tensor | tuple[Any, ...] | dict[str, Any] | None = None,
    ) -> Self:
        """Return an analyzer with the same handles and settings.

        Args:
            new_model: Another model.
            new_inputs: Other inputs.
        """
        other = type(self)(
            self._model if new_model is None else new_model,
            self._inputs if new_inputs is None else new_inputs,
        )
        other._handles = dict(self._handles)
        other._ancestors = self._ancestors
        other._tracer_warnings = self._tracer_warnings
        other._warn_unsupported = self._warn_unsupported
        other._warn_uncalled = self._warn_uncalled
        return other

    def tracer_warnings(self, mode: str) -> Self:
        """Set which Python warnings of the forward pass are shown.

        Args:
            mode: ``"all"``, ``"none"``, or ``"no_tracer_warning"`` for all but those of
                `torch.jit.TracerWarning`.

        Raises:
            ValueError: The mode is another one.
        """
        _check_choice("mode", mode, _WARNINGS)
        self._tracer_warnings = mode
        return self

    def unsupported_ops_warnings(self, enabled: bool) -> Self:
        """Set whether operators without a handle are logged as a warning.

        Args:
            enabled: Whether to log them.
        """
        self._warn_unsupported = enabled
        return self

    def uncalled_modules_warnings(self, enabled: bool) -> Self:
        """Set whether modules that were not called are logged as a warning.

        Args:
            enabled: Whether to log them; those without a forward, such as a `ModuleList`, are not.
        """
        self._warn_uncalled = enabled
        return self

    def _run(self) -> Recording:
        if self._recording is None:
            args, kwargs = split_inputs(self._inputs)
            with warnings.catch_warnings():
                if self._tracer_warnings == "none":
                    warnings.simplefilter("ignore")
                elif self._tracer_warnings == "no_tracer_warning":
                    warnings.simplefilter("ignore", TracerWarning)
                self._recording = record(self._model, args, kwargs)
        return self._recording

    def _counted(
        self, operators: list[OperatorCall]
    ) -> Iterator[tuple[OperatorCall, Handle | None]]:
        """Yield the outermost operators that have a handle, and the kernels that have none."""
        for call in operators:
            if call.name in self._handles:
                handle = self._handles[call.name]
                if handle is not None:
                    yield call, handle
            elif call.inner:
                yield from self._counted(call.inner)
            elif not _is_free(call):
                yield call, None

    def _modules_of(self, call: OperatorCall) -> set[str]:
        # Operators of a hook that runs outside of all calls belong to the model.
        if self._ancestors == "caller":
            return {"", *call.modules}
        last = call.modules[-1] if call.modules else ""
        parts = last.split(".") if last else []
        names = self._run().names
        return {names[".".join(parts[:count])] for count in range(len(parts) + 1)}

    def _warn(self) -> None:
        if self._warned:
            return
        self._warned = True
        kind = type(self).__name__
        if self._warn_unsupported and (unsupported := self.unsupported_ops()):
            _log.warning(
                "%s does not count these operators: %s.",
                kind,
                ", ".join(f"{name} ({count} times)" for name, count in unsupported.most_common()),
            )
        if self._warn_uncalled and (uncalled := self._silent_modules()):
            _log.warning("%s: these modules were never called: %s.", kind, ", ".join(uncalled))

    def _silent_modules(self) -> list[str]:
        missing = self.uncalled_modules()
        modules = dict(self._model.named_modules())
        return [
            name
            for name in sorted(missing)
            # A module without a forward, such as a ModuleList, cannot be called.
            if name in modules and type(modules[name]).forward is not nn.Module.forward
        ]


def split_inputs(
    inputs: Tensor | tuple[Any, ...] | dict[str, Any],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return inputs as positional and named arguments.

    Args:
        inputs: One input, a tuple of positional inputs, or a dict of named ones.
    """
    if isinstance(inputs, dict):
        return (), inputs
    return (inputs if isinstance(inputs, tuple) else (inputs,)), {}


def _short(name: str) -> str:
    short = name.rpartition("::")[2]
    return "conv" if short == "_convolution" else short


def _is_free(call: OperatorCall) -> bool:
    if call.is_view or not any(v.shape is not None or v.values for v in call.inputs):
        return True  # neither a view nor a tensor made of constants computes
    return call.name.removeprefix("aten::").removesuffix("_") in FREE


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def in_unit(
    analyzer: OperatorAnalyzer, unit: float
) -> tuple[defaultdict[str, float], Counter[str]]:
    """Return the counts by operator in a unit, and the operators without a handle.

    Args:
        analyzer: The analyzer.
        unit: What one is in the counts, such as 1e9.
    """
    counts: defaultdict[str, float] = defaultdict(float)
    for name, count in analyzer.by_operator().items():
        counts[name] = count / unit
    return counts, analyzer.unsupported_ops()
