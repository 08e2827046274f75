"""What a model costs: parameters, floating-point operations and activations of each module."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from engine_model.analysis._numbers import short_number, table


@dataclass(frozen=True, kw_only=True)
class ModuleCost:
    """What one module costs, with the modules inside it.

    Attributes:
        name: Its name in the model; empty for the model itself.
        kind: The name of its class.
        params: Its parameters; one that is used twice counts once.
        flops: Floating-point operations of one forward pass; a multiplication and an addition are
            two. Counted are those of ``torch.utils.flop_counter``: products of matrices,
            convolutions, attention and recurrent layers.
        activations: Elements of the tensors that the innermost modules that ran gave, each time.
        calls: How often it ran.

    Example:
        >>> cost = ModuleCost(name="fc", kind="Linear", params=6, flops=8, activations=2, calls=1)
        >>> cost.depth
        1
    """

    name: str
    kind: str
    params: int
    flops: int
    activations: int
    calls: int

    @property
    def depth(self) -> int:
        """How deep it lies: 0 for the model itself."""
        return self.name.count(".") + 1 if self.name else 0


@dataclass(frozen=True, kw_only=True)
class ModelCost:
    """What a model and each of its modules cost; ``str`` of it is a table.

    Attributes:
        modules: A row for each module, the model itself first, in the order of ``named_modules``.

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
        """Parameters of the model."""
        return self.modules[0].params

    @property
    def flops(self) -> int:
        """Floating-point operations of one forward pass."""
        return self.modules[0].flops

    @property
    def activations(self) -> int:
        """Elements that the innermost modules gave in one forward pass."""
        return self.modules[0].activations

    def __getitem__(self, name: str) -> ModuleCost:
        for module in self.modules:
            if module.name == name:
                return module
        raise KeyError(
            f"no module {name!r} in the model; there are: {[m.name for m in self.modules]}"
        )

    def table(self, max_depth: int | None = None) -> str:
        """Return a table with a line for each module.

        Args:
            max_depth: Leave out modules that lie deeper; 0 shows the model alone.
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
    """Run a model once and count what each of its modules costs.

    It runs in evaluation mode and without gradients; the mode of each module is as before after.

    Args:
        model: The model.
        *args: Its inputs, on its device.
        **kwargs: Likewise.

    Returns:
        The counts for the inputs given, whatever their batch size is.
    """
    counter = FlopCounterMode(display=False)
    with (
        _evaluation_mode(model),
        _counting_outputs(model) as (elements, calls),
        _products_in_the_open(),
        torch.no_grad(),
        counter,
    ):
        model(*args, **kwargs)
    counts = {name: sum(ops.values()) for name, ops in counter.get_flop_counts().items()}
    root = type(model).__name__
    # A module that ran others mostly hands their outputs on: only those are counted.
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
    """Return the names under which the operations of a module are counted.

    A module that is not called itself, as a ``ModuleList`` never is, has those of the outermost
    modules inside it that are.
    """
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
def _products_in_the_open() -> Iterator[None]:
    """Run attention and recurrent layers as products of matrices: fused kernels are not counted."""
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
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def _counting_outputs(model: nn.Module) -> Iterator[tuple[dict[str, int], dict[str, int]]]:
    """Count, by name, the elements that modules give and how often they run."""
    elements: dict[str, int] = {}
    calls: dict[str, int] = {}
    handles = []

    def watch(name: str, module: nn.Module) -> None:
        def count(_module: nn.Module, _inputs: Any, output: Any) -> None:
            calls[name] = calls.get(name, 0) + 1
            tensors = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
            elements[name] = elements.get(name, 0) + sum(tensor.numel() for tensor in tensors)

        handles.append(module.register_forward_hook(count))

    for name, module in model.named_modules():
        watch(name, module)
    try:
        yield elements, calls
    finally:
        for handle in handles:
            handle.remove()
