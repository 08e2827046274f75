"""Load checkpoints by path or address, with one loader per prefix such as ``s3://``."""

import contextlib
import hashlib
import inspect
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, TypeVar, overload
from urllib.parse import urlparse

import torch

from engine_fileio import get_local_path
from engine_model.weights._errors import CheckpointError
from engine_model.weights._read import MapLocation, read_checkpoint
from engine_model.weights._urls import (
    ENTRY_POINTS,
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)
from engine_model.weights.sharded import is_sharded_path, read_sharded
from engine_utils import closest_names, expand_home, import_extra
from engine_utils.dl_utils import download_file

Loader = Callable[..., Any]
"""A loader of one prefix, called as ``loader(filename, map_location=...)``."""
_LoaderT = TypeVar("_LoaderT", bound=Loader)


def resolve_logger(logger: logging.Logger | str | None) -> logging.Logger | None:
    """Return a logger from a logger or its name.

    Args:
        logger: A logger or its name. ``"current"`` and ``None`` return the logger of this package.
            ``"silent"`` returns ``None``.
    """
    if logger == "silent":
        return None
    if logger is None or logger == "current":
        return logging.getLogger("engine.model")
    return logging.getLogger(logger) if isinstance(logger, str) else logger


class CheckpointLoader:
    """Load a checkpoint with the loader that is registered for the prefix of its address.

    Loaders exist for local paths, the storage backends of engine-fileio, ``http://``, ``https://``,
    ``torchvision://`` (``modelzoo://``), ``open-mmlab://`` (``openmmlab://``) and ``mmcls://``.

    Example:
        >>> @CheckpointLoader.register_scheme("zeros://")
        ... def load_zeros(filename, map_location=None):
        ...     return {"state_dict": {"weight": torch.zeros(int(filename[8:]))}}
        >>> CheckpointLoader.load_checkpoint("zeros://2")
        {'state_dict': {'weight': tensor([0., 0.])}}
    """

    _schemes: ClassVar[dict[str, Loader]] = {}

    @overload
    @classmethod
    def register_scheme(
        cls, prefixes: str | Sequence[str], loader: None = None, force: bool = False
    ) -> Callable[[_LoaderT], _LoaderT]: ...
    @overload
    @classmethod
    def register_scheme(
        cls, prefixes: str | Sequence[str], loader: _LoaderT, force: bool = False
    ) -> _LoaderT: ...

    @classmethod
    def register_scheme(
        cls,
        prefixes: str | Sequence[str],
        loader: _LoaderT | None = None,
        force: bool = False,
    ) -> _LoaderT | Callable[[_LoaderT], _LoaderT]:
        """Register the loader of one or more prefixes, also as a decorator.

        Args:
            prefixes: Beginnings of addresses. The longest matching prefix selects the loader.
            loader: A callable with the parameters ``filename`` (the whole address),
                ``map_location``, and optionally ``weights_only``. If omitted, a decorator is
                returned.
            force: Whether to replace the registered loader of a prefix.

        Raises:
            KeyError: A prefix has a loader and ``force`` is not set.
        """
        names = [prefixes] if isinstance(prefixes, str) else list(prefixes)

        def register(function: _LoaderT) -> _LoaderT:
            for name in names:
                if name in cls._schemes and not force:
                    raise KeyError(f"{name!r} has a loader already; replace it with force=True")
            # Register after all checks, so that an error registers none of the prefixes.
            cls._schemes.update(dict.fromkeys(names, function))
            return function

        return register if loader is None else register(loader)

    @classmethod
    def _get_checkpoint_loader(cls, path: str) -> Loader:
        # The empty prefix of local paths matches every address, so max always finds one.
        prefix = max((p for p in cls._schemes if path.startswith(p)), key=len)
        return cls._schemes[prefix]

    @classmethod
    def load_checkpoint(
        cls,
        filename: str | Path,
        map_location: MapLocation = None,
        logger: logging.Logger | str | None = "current",
        *,
        weights_only: bool = True,
        backend_args: Mapping[str, Any] | None = None,
    ) -> Any:
        """Load a checkpoint.

        Args:
            filename: A path or an address.
            map_location: The devices of the tensors, as in `torch.load`.
            logger: The logger of the address; ``"silent"`` logs nothing.
            weights_only: Whether to read plain data only and run no code; see `read_checkpoint`.
            backend_args: Arguments of the storage backend, which then reads the address, whatever
                loader its prefix has.

        Returns:
            The saved object, usually a dict.
        """
        address = str(filename)
        loader = cls._get_checkpoint_loader(address)
        chosen = resolve_logger(logger)
        if chosen is not None:
            chosen.info("%s loads checkpoint from path: %s", _source(address), address)
        if backend_args:
            return load_from_storage(
                address, map_location, weights_only=weights_only, backend_args=backend_args
            )
        if _takes_weights_only(loader):
            return loader(address, map_location=map_location, weights_only=weights_only)
        return loader(address, map_location=map_location)


def _takes_weights_only(loader: Loader) -> bool:
    # Loaders with the documented interface have only `filename` and `map_location`.
    parameters = inspect.signature(loader).parameters
    return "weights_only" in parameters or any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()
    )


def _source(address: str) -> str:
    """Return the scheme of an address, or ``local`` for a path."""
    scheme, found, _ = address.partition("://")
    return scheme if found else "local"


@CheckpointLoader.register_scheme("")
def load_from_storage(
    filename: str,
    map_location: MapLocation = None,
    weights_only: bool = True,
    backend_args: Mapping[str, Any] | None = None,
) -> Any:
    """Load from a local path, or from a storage backend of engine-fileio.

    Args:
        filename: The path or address of a file, or of a folder of shards whose name ends in
            ``.dcp``; ``~`` is the home folder.
        map_location: The devices of the tensors.
        weights_only: Whether to read plain data only and run no code.
        backend_args: Arguments of the storage backend.

    Raises:
        FileNotFoundError: The file does not exist.
    """
    filename = expand_home(filename)
    if is_sharded_path(filename):
        return read_sharded(
            filename, map_location, weights_only=weights_only, backend_args=backend_args
        )
    with get_local_path(filename, backend_args=backend_args) as path:
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"no checkpoint file {path}; look in {Path(path).parent.resolve()}"
            )
        try:
            return read_checkpoint(path, map_location, weights_only=weights_only)
        except CheckpointError as error:
            if "://" in filename:  # the message names a temporary copy, which is deleted
                raise CheckpointError(str(error).replace(str(path), filename)) from error
            raise


@CheckpointLoader.register_scheme(["http://", "https://"])
def load_from_http(
    filename: str, map_location: MapLocation = None, weights_only: bool = True
) -> Any:
    """Download a file to torch's hub folder once, and load it.

    Processes of one machine that load the file at the same time download it once.

    Args:
        filename: The address.
        map_location: The devices of the tensors.
        weights_only: Whether to read plain data only and run no code.

    Raises:
        ConnectionError: The file cannot be downloaded.
    """
    if is_sharded_path(filename):
        return read_sharded(filename, map_location, weights_only=weights_only)
    name = PurePosixPath(urlparse(filename).path).name
    # Two addresses may end in the same name, so the digest distinguishes their copies.
    digest = hashlib.sha256(filename.encode()).hexdigest()[:12]
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{digest}-{name}"
    if not path.exists():
        with _one_process_at_a_time(folder / f"{digest}.lock"):
            # Check again: another process may have downloaded it while this one waited.
            if not path.exists():
                download_file(filename, path, progress=False)
    return read_checkpoint(path, map_location, weights_only=weights_only)


@contextlib.contextmanager
def _one_process_at_a_time(path: Path) -> Iterator[None]:
    if os.name == "nt":
        # Windows has no fcntl: each process downloads the file, and the last rename wins.
        yield
        return
    import fcntl

    # The system releases the lock when the process ends, also after a crash. Do not remove the
    # file: another process could then lock a new file of the same name.
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@CheckpointLoader.register_scheme(["torchvision://", "modelzoo://"])
def load_from_torchvision(
    filename: str, map_location: MapLocation = None, weights_only: bool = True
) -> Any:
    """Load the weights of a model of torchvision, as in ``torchvision://resnet50``.

    Args:
        filename: The address with the name of a model, such as ``torchvision://resnet50``, and
            optionally its weights (``resnet50.imagenet1k_v1``).
        map_location: The devices of the tensors.
        weights_only: Whether to read plain data only and run no code.

    Raises:
        ImportError: Torchvision is not installed.
        KeyError: Torchvision has no such model.
    """
    import_extra("torchvision", install="torchvision", purpose=filename)
    address = _look_up(get_torchvision_models(), filename)
    return load_from_http(address, map_location, weights_only=weights_only)


@CheckpointLoader.register_scheme(["open-mmlab://", "openmmlab://"])
def load_from_openmmlab(
    filename: str, map_location: MapLocation = None, weights_only: bool = True
) -> Any:
    """Load published weights by a name that an installed library lists.

    Args:
        filename: The address.
        map_location: The devices of the tensors.
        weights_only: Whether to read plain data only and run no code.

    Raises:
        KeyError: No library lists the name.
    """
    scheme, _, name = filename.partition("://")
    current = get_deprecated_model_names().get(name)
    if current is not None:
        logging.getLogger("engine.model").warning(
            "%s://%s is an old name; use %s://%s", scheme, name, scheme, current
        )
        filename = f"{scheme}://{current}"
    return _load_published(get_external_models(), filename, map_location, weights_only)


@CheckpointLoader.register_scheme("mmcls://")
def load_from_mmcls(
    filename: str, map_location: MapLocation = None, weights_only: bool = True
) -> Any:
    """Load published weights of a classifier by a name that an installed library lists.

    Args:
        filename: The address.
        map_location: The devices of the tensors.
        weights_only: Whether to read plain data only and run no code.

    Raises:
        KeyError: No library lists the name.
    """
    return _load_published(get_mmcls_models(), filename, map_location, weights_only)


def _load_published(
    urls: Mapping[str, str], filename: str, map_location: MapLocation, weights_only: bool
) -> Any:
    address = _look_up(urls, filename)
    # Log nothing here: the published name has been logged already.
    return CheckpointLoader.load_checkpoint(
        address, map_location, "silent", weights_only=weights_only
    )


def _look_up(urls: Mapping[str, str], filename: str) -> str:
    name = filename.partition("://")[2]
    if name not in urls:
        close = closest_names(name, urls)
        if close:
            hint = f"did you mean {', '.join(close)}?"
        elif urls:
            hint = f"installed libraries list {len(urls)} other names"
        else:
            hint = f"no installed library has an entry point of the group {ENTRY_POINTS!r}"
        raise KeyError(f"no published weights under {filename!r}; {hint}")
    return urls[name]
