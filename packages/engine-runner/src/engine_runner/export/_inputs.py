"""Inputs with which a model is traced, and its export compared."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine_runner._errors import ExportError
from engine_runner.export._forward import input_names
from engine_runner.parts import build_dataloader

_WAY_OUT = "give the shape of the input instead"


def random_inputs(
    model: nn.Module, shapes: Sequence[Sequence[int]], dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """Return random tensors for the first parameters of a model's forward.

    Numbers of a float type are normally distributed; integers and booleans are 0 or 1. They are the
    same at each call.

    Args:
        model: The model.
        shapes: The shape of each input, with the batch size first.
        dtype: The type of the elements.

    Raises:
        ExportError: The forward has fewer parameters than there are shapes.

    Example:
        >>> {name: x.shape for name, x in random_inputs(nn.Linear(2, 1), [(4, 2)]).items()}
        {'input': torch.Size([4, 2])}
    """
    generator = torch.Generator().manual_seed(0)
    found = {}
    for name, shape in zip(input_names(model, len(shapes)), shapes, strict=True):
        if dtype.is_floating_point:
            values = torch.randn(*shape, generator=generator)
        else:
            values = torch.randint(0, 2, tuple(shape), generator=generator)
        found[name] = values.to(dtype)
    return found


def first_inputs(
    model: nn.Module, dataloader: Any, *, with_preprocessor: bool = False
) -> dict[str, Tensor]:
    """Return the input of the first sample of a data loader, as a batch of one.

    The input is the value ``inputs`` of a batch that is a dict, or else its first value.

    Args:
        model: The model, whose data preprocessor is applied unless ``with_preprocessor`` is true.
        dataloader: A loader or its config.
        with_preprocessor: Whether the data preprocessor is a part of what is exported.

    Raises:
        ExportError: The input is not a tensor, or a list of tensors of one shape.
    """
    batch = _first_batch(dataloader)
    preprocessor = getattr(model, "data_preprocessor", None)
    if not with_preprocessor and preprocessor is not None:
        with torch.no_grad():
            batch = preprocessor(batch, False)
    if isinstance(batch, Mapping) and batch:
        name = "inputs" if "inputs" in batch else str(next(iter(batch)))
        value = batch[name]
    elif isinstance(batch, list | tuple) and len(batch):
        [name], value = input_names(model, 1), batch[0]
    else:
        raise ExportError(
            f"the batch must be a dict, a list or a tuple, got {type(batch).__name__}; {_WAY_OUT}"
        )
    return {name: _stacked(name, value)}


def _first_batch(dataloader: Any) -> Any:
    if isinstance(dataloader, Mapping):
        # Of several sets by name the first one; workers would only be started and ended.
        while "dataset" not in dataloader and isinstance(next(iter(dataloader.values())), Mapping):
            dataloader = next(iter(dataloader.values()))
        alone = {"num_workers": 0, "persistent_workers": False, "prefetch_factor": None}
        dataloader = build_dataloader({**dataloader, **alone})
    dataset: Any = getattr(dataloader, "dataset", None)
    if hasattr(dataset, "__getitem__") and getattr(dataloader, "collate_fn", None):
        return dataloader.collate_fn([dataset[0]])
    return next(iter(dataloader))


def _stacked(name: str, value: Any) -> Tensor:
    items = list(value) if isinstance(value, list | tuple) else []
    shapes = {item.shape if isinstance(item, Tensor) else None for item in items}
    if len(shapes) == 1 and None not in shapes:  # images that no preprocessor has stacked
        value = torch.stack(items)
    if not isinstance(value, Tensor):
        raise ExportError(
            f"the input {name!r} of the first sample must be a tensor, got "
            f"{type(value).__name__}; {_WAY_OUT}"
        )
    return value
