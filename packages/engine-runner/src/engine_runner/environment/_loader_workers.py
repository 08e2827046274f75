"""The workers of a run's loaders: they outlive signals to stop, and end with the run."""

import signal
from collections.abc import Callable, Iterator, Mapping
from types import FrameType, GeneratorType
from typing import Any

from torch.utils.data import DataLoader

from engine_dataset import end_workers
from engine_runner._limits import LimitedLoader

_OUTLIVE_SECONDS = 60


class OutlivingWorker:
    """The ``worker_init_fn`` of a data loader whose workers run until the trainer ends them.

    A terminal, a scheduler or ``timeout`` signals the workers, too. Without them the trainer would
    not get to the end of its step. SIGINT and SIGHUP are ignored; SIGTERM, with which a trainer
    ends a worker that is stuck, ends it after a minute.

    Args:
        inner: The loader's own function, called after this.

    Example:
        >>> loader = DataLoader([1, 2], num_workers=2)
        >>> loader.worker_init_fn = OutlivingWorker(loader.worker_init_fn)
    """

    def __init__(self, inner: Callable[[int], Any] | None = None) -> None:
        self.inner = inner

    def __call__(self, worker_id: int) -> None:
        """Set the handlers of a worker."""
        # Functions rather than SIG_IGN, which the programs that a dataset starts would inherit.
        for name in ("SIGINT", "SIGHUP"):
            if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
                signal.signal(getattr(signal, name), _ignore)
        if hasattr(signal, "alarm"):
            signal.signal(signal.SIGTERM, _end_later)
        if self.inner is not None:
            self.inner(worker_id)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing: the trainer ends this worker."""


def _end_later(number: int, frame: FrameType | None) -> None:
    # The action of SIGALRM ends the process, whatever it does by then.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_OUTLIVE_SECONDS)


def outlive_signals(*loops: Any) -> list[DataLoader[Any]]:
    """Let the workers of all loaders of loops outlive signals; return those that were changed.

    Args:
        loops: Objects whose attributes are loaders, or mappings or sequences of loaders.
    """
    changed = []
    for loop in loops:
        for loader in _loaders(list(getattr(loop, "__dict__", {}).values())):
            if loader.num_workers and not isinstance(loader.worker_init_fn, OutlivingWorker):
                loader.worker_init_fn = OutlivingWorker(loader.worker_init_fn)
                changed.append(loader)
    return changed


def restore_workers(changed: list[DataLoader[Any]]) -> None:
    """Give loaders their own ``worker_init_fn`` again.

    Args:
        changed: The loaders that `outlive_signals` returned.
    """
    for loader in changed:
        if isinstance(loader.worker_init_fn, OutlivingWorker):
            loader.worker_init_fn = loader.worker_init_fn.inner


def end_workers_of(*loops: Any) -> None:
    """End the workers of all loaders of loops, now.

    Args:
        loops: Objects whose attributes are loaders, iterators, or mappings or sequences of loaders.
    """
    for loop in loops:
        attributes = getattr(loop, "__dict__", {})
        # First: a generator that is closed frees its pass, and with it the workers that are stuck.
        for loader in _loaders(list(attributes.values())):
            end_workers(loader)
        for name, value in list(attributes.items()):
            # Of an endless loop. Another generator is the loop's own.
            if name == "dataloader_iterator" and isinstance(value, GeneratorType):
                value.close()
                del attributes[name]
            elif hasattr(value, "leave_pass"):  # the position in a loader that has none itself
                value.leave_pass()


def _loaders(value: Any) -> Iterator[DataLoader[Any]]:
    if isinstance(value, DataLoader):
        yield value
    elif isinstance(value, LimitedLoader):
        yield from _loaders(value.loader)
    elif isinstance(value, Mapping):
        yield from _loaders(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _loaders(item)
