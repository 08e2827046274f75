"""Count the parameters, floating-point operations and activations of each module of a model."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from engine_model._compiled import uncompiled
from engine_model.analysis._numbers import short_number, table


@dataclass(frozen=True, kw_only=True)
class ModuleCost:
    """The cost of one module, including the modules inside it.

    Attributes:
        name: Its name in the model; empty for the model itself.
        kind: The name of its class.
        params: The number of its parameters; a shared one counts once.
        flops: Floating-point operations of one forward pass; a multiplication and an addition are
            two. As in `torch.utils.flop_counter`, these are matrix products, convolutions,
            attention and recurrent layers.
        activations: Elements of the outputs of the innermost modules, summed over their calls.
        calls: The number of its calls.

    Example:
        >>> cost = measure_cost(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), torch.zeros(2, 3))["0"]
        >>> cost.params, cost.flops, cost.activations
        (16, 48, 8)
    """

    name: str
    kind: str
    params: int
    flops: int
    activations: int
    calls: int

    @property
    def depth(self) -> int:
        """The depth of the module: 0 for the model itself."""
        return self.name.count(".") + 1 if self.name else 0


@dataclass(frozen=True, kw_only=True)
class ModelCost:
    """The cost of a model and each of its modules; `str` formats it as a table.

    Attributes:
        modules: One row per module in the order of `named_modules`, the model itself first.

    Example:
        >>> cost = measure_cost(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), torch.zeros(2, 3))
        >>> print(cost)
        module  type        parameters  FLOPs  activations
        -       Sequential          16     48           16
          0     Linear              16     48            8
          1     ReLU                 0      0            8
        >>> cost.flops == 2 * 2 * 3 * 4
        True
    """

    modules: list[ModuleCost]

    @property
    def params(self) -> int:
        """The number of parameters of the model."""
        return self.modules[0].params

    @property
    def flops(self) -> int:
        """The floating-point operations of one forward pass."""
        return self.modules[0].flops

    @property
    def activations(self) -> int:
        """The elements of the outputs of the innermost modules in one forward pass."""
        return self.modules[0].activations

    def __getitem__(self, name: str) -> ModuleCost:
        for module in self.modules:
            if module.name == name:
                return module
        raise KeyError(f"the model has no module {name!r}; it has {[m.name for m in self.modules]}")

    def table(self, max_depth: int | None = None) -> str:
        """Return a table with one line per module.

        Args:
            max_depth: The depth to show; 0 shows the model alone, ``None`` all modules.
        """
        lines = [["module", "type", "parameters", "FLOPs", "activations"]]
        for row in self.modules:
            if max_depth is None or row.depth <= max_depth:
                name = "  " * row.depth + (row.name.rpartition(".")[2] or "-")
                counts = (row.params, row.flops, row.activations)
                lines.append([name, row.kind, *map(short_number, counts)])
        return table(lines, left=2)

    def __str__(self) -> str:
        return self.table()


def measure_cost(model: nn.Module, *args: Any, **kwargs: Any) -> ModelCost:
    """Run a model once and count the cost of each of its modules.

    The model runs in evaluation mode, without gradients and without compilation. Afterwards each
    module is as before.

    Args:
        model: The model.
        *args: The positional inputs, on its device.
        **kwargs: The named inputs.

    Returns:
        The counts for these inputs, including their batch size.
    """
    with uncompiled(model) as plain:
        return _measure(plain, args, kwargs)


def _measure(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelCost:
    counter = FlopCounterMode(display=False)
    with (
        _evaluation_mode(model),
        _counting_outputs(model) as (elements, calls),
        _unfused_kernels(),
        torch.no_grad(),
        # Enter the counter last: it counts all operations, and the other contexts change them.
        counter,
    ):
        model(*args, **kwargs)
    counts = {name: sum(ops.values()) for name, ops in counter.get_flop_counts().items()}
    # FlopCounterMode begins each name with the class of the model: "Sequential.0".
    root = type(model).__name__
    # Count innermost modules only: a module that calls others usually returns their outputs, which
    # would count twice.
    innermost = [n for n in elements if not any(_within(o, n) and o != n for o in elements)]
    rows = []
    for name, module in model.named_modules():
        rows.append(
            ModuleCost(
                name=name,
                kind=type(module).__name__,
                params=sum(param.numel() for param in module.parameters()),
                flops=sum(counts.get(key, 0) for key in _counted_as(name, calls, root)),
                activations=sum(elements[key] for key in innermost if _within(key, name)),
                calls=calls.get(name, 0),
            )
        )
    return ModelCost(modules=rows)


def _within(name: str, outer: str) -> bool:
    return not outer or name == outer or name.startswith(f"{outer}.")


def _counted_as(name: str, calls: dict[str, int], root: str) -> list[str]:
    """Return the names under which `FlopCounterMode` counts the operations of a module.

    A module that is not called, such as a `ModuleList`, gets the names of the outermost called
    modules inside it.
    """
    # "Global" is the total. It includes operations in the model's own forward.
    if not name:
        return ["Global"]
    if name in calls:
        return [f"{root}.{name}"]
    inside = [called for called in calls if _within(called, name)]
    return [
        f"{root}.{called}"
        for called in inside
        if not any(_within(called, other) and called != other for other in inside)
    ]


@contextmanager
def _unfused_kernels() -> Iterator[None]:
    """Compute attention and recurrent layers as matrix products inside the context."""
    # FlopCounterMode counts the operators that reach its dispatcher, and has no formula for fused
    # kernels. So disable all fused kernels: the fast path of nn.TransformerEncoder, the RNNs of
    # oneDNN and cuDNN, and flash attention.
    fast = torch.backends.mha.get_fastpath_enabled()
    libraries: list[Any] = [torch.backends.mkldnn, torch.backends.cudnn]
    enabled = [library.enabled for library in libraries]
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        for library in libraries:
            library.enabled = False
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for library, value in zip(libraries, enabled, strict=True):
            library.enabled = value


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    # Save the mode of each module: `model.train()` would put a frozen norm layer into training.
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def _counting_outputs(model: nn.Module) -> Iterator[tuple[dict[str, int], dict[str, int]]]:
    """Count the elements of the outputs and the calls of each module, by its name."""
    elements: dict[str, int] = {}
    calls: dict[str, int] = {}
    handles = []

    # One function call per module: a closure in the loop would use the last name for all modules.
    def count_calls(name: str, module: nn.Module) -> None:
        def count(_module: nn.Module, _inputs: object, output: object) -> None:
            calls[name] = calls.get(name, 0) + 1
            # An output may be any container. `tree_leaves` finds the tensors in it.
            tensors = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
            elements[name] = elements.get(name, 0) + sum(tensor.numel() for tensor in tensors)

        handles.append(module.register_forward_hook(count))

    for name, module in model.named_modules():
        count_calls(name, module)
    try:
        yield elements, calls
    finally:
        for handle in handles:
            handle.remove()
