"""Limit the batches of a pass over a data loader."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from torch.utils.data import IterableDataset

from engine_dataset import ResumableDataLoader
from engine_runner._errors import SettingsError
from engine_runner._integer import integer
from engine_runner._loaders import LIMIT, batches_of, length_of

_POSITION = ("state_dict", "load_state_dict")


class LimitedLoader:
    """The first batches of each pass over a loader of any kind.

    It has the other attributes of the loader, such as ``dataset`` and ``sampler``. It has no
    ``state_dict``: the loader's own position does not end with the limit.

    Args:
        loader: Any iterable of batches.
        num_batch_per_epoch: The most batches of a pass.

    Example:
        >>> loader = LimitedLoader([1, 2, 3], 2)
        >>> list(loader), len(loader)
        ([1, 2], 2)
    """

    def __init__(self, loader: Any, num_batch_per_epoch: int) -> None:
        self.loader = loader
        self.num_batch_per_epoch = num_batch_per_epoch

    def __iter__(self) -> Iterator[Any]:
        return islice(batches_of(self.loader), self.num_batch_per_epoch)

    def __len__(self) -> int:
        size = length_of(self.loader)
        return self.num_batch_per_epoch if size is None else min(size, self.num_batch_per_epoch)

    def __getattr__(self, name: str) -> Any:
        # Copying and unpickling look up names before ``loader`` is set.
        if name in _POSITION or name.startswith("__") or name == "loader":
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(self.loader, name)


def limited(dataloader: Any, limit: int | None) -> Any:
    """Return a loader whose passes end after some batches.

    Args:
        dataloader: A loader, which is not changed.
        limit: The most batches of a pass; None for all.

    Raises:
        SettingsError: The loader has another limit, or its sampler never ends.
        ValueError: The limit is not an integer >= 1.
    """
    if limit is None:
        return dataloader
    limit = integer(LIMIT, limit, at_least=1)
    own = getattr(dataloader, LIMIT, None)
    if own is not None:
        agreed_limit("the data loader", own, limit)
        return dataloader
    resumable = isinstance(dataloader, ResumableDataLoader)
    if not resumable or isinstance(dataloader.dataset, IterableDataset):
        return LimitedLoader(dataloader, limit)
    try:
        return dataloader.limited(limit)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def agreed_limit(name: str, own: int | None, given: int | None) -> int | None:
    """Return the limit of a loader that may be set in two places.

    Args:
        name: The loader, for the message.
        own: The limit of the loader or of its config.
        given: The limit that the config of the loop sets.

    Raises:
        SettingsError: The two differ.
    """
    if own is not None and given is not None and own != given:
        raise SettingsError(
            f"num_batch_per_epoch must be set once, got {own} in {name} and {given} in the config "
            "of the loop; remove one of them"
        )
    return given if own is None else own
