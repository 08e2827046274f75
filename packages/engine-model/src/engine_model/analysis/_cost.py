"""Count the parameters, floating-point operations and activations of each module of a model."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from engine_model.analysis._counts import count_both
from engine_model.analysis._numbers import short_number, table


@dataclass(frozen=True, kw_only=True)
class ModuleCost:
    """The cost of one module, including the modules inside it.

    Attributes:
        name: Its name in the model; empty for the model itself.
        kind: The name of its class.
        params: The number of its parameters; a shared one counts once.
        flops: Floating-point operations of the convolutions, matrix products, attention and
            recurrent layers in one forward pass; a multiplication with an addition is two.
        activations: Elements of the outputs of convolutions, matrix products, attention and
            recurrent layers, as `ActivationAnalyzer` counts them.
        calls: The number of its calls.

    Example:
        >>> import torch
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
        >>> import torch
        >>> cost = measure_cost(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), torch.zeros(2, 3))
        >>> print(cost)
        module  type        parameters  FLOPs  activations
        -       Sequential          16     48            8
          0     Linear              16     48            8
          1     ReLU                 0      0            0
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
        """The activations of one forward pass."""
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

    The model runs in the mode it is in, without gradients and without compilation. Its weights,
    buffers and modes and the random state are as before afterwards.

    Args:
        model: The model.
        *args: The positional inputs, on its device.
        **kwargs: The named inputs.

    Returns:
        The counts for these inputs, including their batch size.
    """
    recording, flops, activations = count_both(model, args, kwargs)
    flop_counts, activation_counts = flops.by_module(), activations.by_module()
    return ModelCost(
        modules=[
            ModuleCost(
                name=name,
                kind=kind,
                params=recording.params[name],
                flops=flop_counts[name],
                activations=activation_counts[name],
                calls=recording.calls.get(name, 0),
            )
            for name, kind in recording.kinds.items()
        ]
    )
