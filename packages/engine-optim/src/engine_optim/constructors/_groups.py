"""Merge equal parameter groups, and show the options of each parameter in a table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from engine_optim.wrappers import OptimWrapper
from engine_utils import plain_name


def is_listed(param: nn.Parameter, groups: Iterable[dict[str, Any]]) -> bool:
    """Return whether a parameter is in one of the groups already."""
    # By identity: `==` of tensors compares their values.
    return any(param is other for group in groups for other in group["params"])


def merge_equal_groups(
    groups: list[dict[str, Any]], defaults: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Merge parameter groups with equal options.

    Merged groups are in the order of their first parameter, and parameters keep their order. An
    optimizer restores its state by position. Therefore merge before the first step, and merge a
    resumed run in the same way.

    Args:
        groups: Parameter groups; they are not changed.
        defaults: The optimizer's default options, for groups that lack an option.

    Example:
        >>> merged = merge_equal_groups(
        ...     [{"params": ["a"], "lr": 1}, {"params": ["b"], "lr": 2}, {"params": ["c"], "lr": 1}]
        ... )
        >>> [group["params"] for group in merged]
        [['a', 'c'], ['b']]
    """
    merged: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for group in groups:
        options = {**(defaults or {}), **group, "params": None}
        # Search one by one: options may be lists, which cannot be keys of a dict.
        same = next((target for other, target in merged if other == options), None)
        if same is None:
            merged.append((options, {**group, "params": list(group["params"])}))
        else:
            same["params"].extend(group["params"])
    return [target for _, target in merged]


@dataclass(frozen=True, kw_only=True)
class ParamOptions:
    """The options of one parameter in its optimizer.

    Attributes:
        name: Its name in the model.
        shape: Its shape.
        group: The index of its group.
        options: ``lr``, ``weight_decay``, and all other options in which groups differ.

    Example:
        >>> from torch import nn, optim
        >>> model = nn.Linear(2, 1)
        >>> table = param_table(model, OptimWrapper(optim.SGD(model.parameters(), lr=0.1)))
        >>> [row.name for row in table.rows if row.options["lr"] > 0.01]
        ['weight', 'bias']
    """

    name: str
    shape: tuple[int, ...]
    group: int
    options: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ParamTable:
    """The options of all parameters of a model; `str` formats them as a table.

    Attributes:
        rows: A row per parameter of the model that the optimizer updates.
        left_out: The names of the parameters that it does not update.

    Example:
        >>> row = ParamOptions(name="fc.bias", shape=(10,), group=1, options={"lr": 0.1})
        >>> print(ParamTable(rows=[row], left_out=[]))
        parameter  shape  group  lr
        fc.bias    (10,)  1      0.1
    """

    rows: list[ParamOptions]
    left_out: list[str]

    def __str__(self) -> str:
        keys = list(self.rows[0].options) if self.rows else []
        lines = [["parameter", "shape", "group", *keys]]
        lines += [
            [row.name, str(row.shape), str(row.group), *map(str, row.options.values())]
            for row in self.rows
        ]
        lines += [[name, "", "not optimized"] for name in self.left_out]
        columns = len(lines[0])
        widths = [max(len(line[i]) for line in lines if i < len(line)) for i in range(columns)]
        text = ("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=False)) for line in lines)
        return "\n".join(line.rstrip() for line in text)


def param_table(model: nn.Module, optim_wrapper: OptimWrapper) -> ParamTable:
    """Return the group and the options of each parameter of a model.

    Args:
        model: The model that the wrapper was built for.
        optim_wrapper: The wrapper.

    Example:
        >>> from torch import nn, optim
        >>> model = nn.Linear(2, 1)
        >>> optim_wrapper = OptimWrapper(optim.SGD(model.parameters(), lr=0.1))
        >>> print(param_table(model, optim_wrapper))
        parameter  shape   group  lr   weight_decay
        weight     (1, 2)  0      0.1  0
        bias       (1,)    0      0.1  0
    """
    groups = optim_wrapper.optimizer.param_groups
    first = groups[0]
    keys = [
        key
        for key in dict.fromkeys(key for group in groups for key in group)
        if key in ("lr", "weight_decay")
        or (key != "params" and any(group.get(key) != first.get(key) for group in groups))
    ]
    places = {id(p): index for index, group in enumerate(groups) for p in group["params"]}
    rows, left_out = [], []
    for full_name, param in model.named_parameters():
        name = plain_name(full_name)
        index = places.get(id(param))
        if index is None:
            left_out.append(name)
        else:
            options = {key: groups[index].get(key) for key in keys}
            row = ParamOptions(name=name, shape=tuple(param.shape), group=index, options=options)
            rows.append(row)
    return ParamTable(rows=rows, left_out=left_out)
