"""Save and resume the positions of the data loaders that a training loop has beside its own."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from engine_dataset import ResumableDataLoader

_log = logging.getLogger("engine.runner")


class FurtherLoaders:
    """The data loaders in the attributes of a loop, such as one of unlabeled samples, by name.

    Those in a list or a mapping have names such as ``unlabeled.0``. A loader whose workers return
    batches out of order has no position.

    Args:
        loop: The training loop.

    Attributes:
        loaders: The loaders by name, without ``dataloader`` of the loop.

    Example:
        >>> from types import SimpleNamespace
        >>> loop = SimpleNamespace(dataloader=ResumableDataLoader([1, 2]))
        >>> loop.unlabeled = [ResumableDataLoader([3, 4])]
        >>> list(FurtherLoaders(loop).loaders)
        ['unlabeled.0']
    """

    def __init__(self, loop: Any) -> None:
        self.loaders: dict[str, ResumableDataLoader[Any]] = {}
        seen = {id(getattr(loop, "dataloader", None))}
        for name, value in getattr(loop, "__dict__", {}).items():
            for part, loader in _loaders_in(name, value):
                if id(loader) not in seen and (loader.in_order or not loader.num_workers):
                    seen.add(id(loader))
                    self.loaders[part] = loader

    def state_dict(self) -> dict[str, Any]:
        """Return the positions by name."""
        return {name: loader.state_dict() for name, loader in self.loaders.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue at the positions of a checkpoint; a loader that it lacks begins anew."""
        for name, loader in self.loaders.items():
            if name in state_dict:
                loader.load_state_dict(state_dict[name])
            else:
                _log.warning(
                    "the checkpoint has no position of the data loader %r of the loop, which "
                    "begins at its first batch",
                    name,
                )


def _loaders_in(name: str, value: Any) -> Iterator[tuple[str, ResumableDataLoader[Any]]]:
    if isinstance(value, ResumableDataLoader):
        yield name, value
    elif isinstance(value, list | tuple | Mapping):
        entries = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, one in entries:
            if isinstance(one, ResumableDataLoader):
                yield f"{name}.{key}", one
