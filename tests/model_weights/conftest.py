"""Files as other programs write them."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch


class Spy:
    """An object whose pickle calls a function that writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


class Buffer:
    """A foreign class with state and attributes."""

    def __init__(self) -> None:
        self.history = [1.0, 2.0]


@pytest.fixture
def spy() -> type[Spy]:
    return Spy


@pytest.fixture
def foreign() -> type[Buffer]:
    return Buffer


@pytest.fixture
def saved() -> Callable[..., io.BytesIO]:
    """Save an object as ``torch.save`` does, and return the file at its start."""

    def save(item: Any, **options: Any) -> io.BytesIO:
        file = io.BytesIO()
        torch.save(item, file, **options)
        file.seek(0)
        return file

    return save
