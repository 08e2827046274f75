"""Describe the state of a run by short texts that are equal where every bit is."""

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine_model import get_state_dict

_DEEPEST = 8  # levels of nested values; objects of users may refer to one another
_MOST = 10_000  # elements of a value, such as the records of a dataset, that are looked at
_GENERATORS = random.Random | np.random.Generator | np.random.RandomState | torch.Generator


def digest(value: Any) -> str:
    """Return a short text that is equal for equal values, whatever their addresses.

    Args:
        value: Tensors, arrays and plain values, nested, also as attributes of objects.
    """
    found = hashlib.blake2b(digest_size=8)
    for part in _parts(value, _DEEPEST, set()):
        found.update(part)
    return found.hexdigest()


def _parts(value: Any, depth: int, above: set[int]) -> Iterator[bytes]:
    if isinstance(value, Tensor):
        yield from _tensor_parts(value)
    elif isinstance(value, np.ndarray | np.generic):
        yield f"{value.dtype}{value.shape}".encode()
        yield value.tobytes() if value.dtype != object else repr(value).encode()
    elif isinstance(value, str | int | float | bool | bytes | complex | None):
        yield f"{type(value).__name__}{value!r}".encode()
    elif depth == 0 or id(value) in above:
        yield type(value).__name__.encode()
    else:
        yield type(value).__name__.encode()
        for name, item in _items(value):
            yield str(name).encode()
            yield from _parts(item, depth - 1, above | {id(value)})


def _tensor_parts(tensor: Tensor) -> Iterator[bytes]:
    whole = tensor.detach().cpu()
    yield f"{whole.dtype}{tuple(whole.shape)}".encode()
    if whole.is_sparse or whole.is_quantized:
        yield repr(whole).encode()
    else:
        yield whole.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the entries of a collection, or the attributes of an object."""
    if isinstance(value, Mapping):
        yield from islice(value.items(), _MOST)
    elif isinstance(value, Sequence):
        yield from enumerate(islice(value, _MOST))
    elif isinstance(value, set | frozenset):
        yield from enumerate(sorted(map(repr, value)))
    elif isinstance(value, _GENERATORS):
        yield "state", _generator_state(value)
    elif not callable(value) or isinstance(value, nn.Module):
        yield from vars(value).items() if hasattr(value, "__dict__") else ()


def _generator_state(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    is_python = isinstance(generator, random.Random)
    return generator.getstate() if is_python else generator.get_state()


def state_facts(runner: Any) -> dict[str, str]:
    """Return the weights, the optimizers, the schedules and the generators of a run by name."""
    facts = {f"weight {name}": digest(item) for name, item in get_state_dict(runner.model).items()}
    for key, item in _flat(runner.optim_wrapper.state_dict(), ""):
        facts[f"optimizer {key}"] = digest(item)
    for name, state in random_states().items():
        facts[f"random numbers of {name}"] = digest(state)
    return facts


def random_states() -> dict[str, Any]:
    """Return the states of the generators of this process."""
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    states = {"random": random.getstate(), "numpy": np.random.get_state()}
    return {**states, "torch": torch.get_rng_state(), **({"CUDA": devices} if devices else {})}


def loss_facts(outputs: Any) -> dict[str, str]:
    """Return the losses of an iteration as readable numbers."""
    facts = {}
    for name, value in (outputs or {}).items() if isinstance(outputs, Mapping) else ():
        number = value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
        facts[f"loss {name}"] = repr(number) if isinstance(number, float) else digest(number)
    return facts


def object_facts(value: Any) -> dict[str, str]:
    """Return the plain attributes of an object: short ones as they are, others as digests."""
    facts = {}
    for name, item in vars(value).items() if hasattr(value, "__dict__") else ():
        if isinstance(item, str | int | float | bool | None):
            facts[name] = repr(item)
        elif isinstance(item, Tensor | np.ndarray | Mapping | list | tuple | set | _GENERATORS):
            facts[name] = digest(item)
    return facts


def own_generators(value: Any, place: str, depth: int = 5) -> Iterator[str]:
    """Yield the places of generators of their own that a dataset and its transforms have."""
    if depth == 0 or isinstance(value, Tensor | np.ndarray | str | bytes | nn.Module):
        return
    for name, item in islice(_items(value), 100):
        inner = f"{place}[{name}]" if isinstance(value, Mapping | Sequence) else f"{place}.{name}"
        if isinstance(item, _GENERATORS):
            yield f"`{inner}` ({type(item).__module__.partition('.')[0]})"
        else:
            yield from own_generators(item, inner, depth - 1)


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a state by their paths."""
    entries: Any = None
    if isinstance(value, Mapping):
        entries = value.items()
    elif isinstance(value, list | tuple):
        entries = enumerate(value)
    if entries is None:
        yield path, value
        return
    for name, item in entries:
        yield from _flat(item, f"{path}.{name}" if path else str(name))
