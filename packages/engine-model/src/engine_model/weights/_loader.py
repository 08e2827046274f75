"""Checkpoints by address: a table from prefixes such as ``s3://`` to functions that load."""

import contextlib
import difflib
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
from engine_model.weights._read import read_checkpoint
from engine_model.weights._urls import (
    ENTRY_POINTS,
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)

#: Loads from an address to a place: ``loader(filename, map_location)``.
Loader = Callable[..., Any]
_LoaderT = TypeVar("_LoaderT", bound=Loader)


def resolve_logger(logger: logging.Logger | str | None) -> logging.Logger | None:
    """Return the logger meant: ``"current"`` and ``None`` are this package's, ``"silent"`` none."""
    if logger == "silent":
        return None
    if logger is None or logger == "current":
        return logging.getLogger("engine.model")
    return logging.getLogger(logger) if isinstance(logger, str) else logger


class CheckpointLoader:
    """Loads checkpoints from wherever they are; the prefix of the address says how.

    Known are local paths and every storage that engine-fileio has a back end for, ``http://``,
    ``https://``, ``torchvision://`` (``modelzoo://``), ``open-mmlab://`` (``openmmlab://``) and
    ``mmcls://``.

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
        """Register how addresses of one or more prefixes are loaded; also as a decorator.

        Args:
            prefixes: Beginnings of addresses. The longest that an address has counts.
            loader: Called with the whole address and ``map_location``; if it has a parameter
                ``weights_only``, with that too. Without it a decorator is returned.
            force: Replace what is registered for the prefix.

        Raises:
            KeyError: If a prefix is registered and ``force`` is not set.
        """
        names = [prefixes] if isinstance(prefixes, str) else list(prefixes)

        def register(function: _LoaderT) -> _LoaderT:
            for name in names:
                if name in cls._schemes and not force:
                    raise KeyError(f"{name!r} has a loader already; replace it with force=True")
            cls._schemes.update(dict.fromkeys(names, function))
            return function

        return register if loader is None else register(loader)

    @classmethod
    def _get_checkpoint_loader(cls, path: str) -> Loader:
        prefix = max((p for p in cls._schemes if path.startswith(p)), key=len)
        return cls._schemes[prefix]

    @classmethod
    def load_checkpoint(
        cls,
        filename: str | Path,
        map_location: Any = None,
        logger: logging.Logger | str | None = "current",
        *,
        weights_only: bool = True,
    ) -> Any:
        """Load a checkpoint.

        Args:
            filename: A path or an address.
            map_location: Where tensors go, as in ``torch.load``.
            logger: Who is told where the checkpoint comes from; ``"silent"`` for nobody.
            weights_only: Run nothing that the file says (see :func:`read_checkpoint`).

        Returns:
            What was saved, usually a dict.
        """
        address = str(filename)
        loader = cls._get_checkpoint_loader(address)
        chosen = resolve_logger(logger)
        if chosen is not None:
            chosen.info("%s loads checkpoint from path: %s", _source(address), address)
        if _takes_weights_only(loader):
            return loader(address, map_location=map_location, weights_only=weights_only)
        return loader(address, map_location=map_location)


def _takes_weights_only(loader: Loader) -> bool:
    parameters = inspect.signature(loader).parameters
    return "weights_only" in parameters or any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()
    )


def _source(address: str) -> str:
    """Return the name of where an address leads: its scheme, or ``local``."""
    scheme, found, _ = address.partition("://")
    return scheme if found else "local"


@CheckpointLoader.register_scheme("")
def load_from_storage(filename: str, map_location: Any = None, weights_only: bool = True) -> Any:
    """Load from a local path, or from a storage that engine-fileio knows.

    Args:
        filename: The path or address; ``~`` is the home folder.
        map_location: Where tensors go.
        weights_only: Run nothing that the file says.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    if filename.startswith("~"):
        filename = str(Path(filename).expanduser())
    with get_local_path(filename) as path:
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"{path} is no checkpoint file; look in {Path(path).parent.resolve()}"
            )
        return read_checkpoint(path, map_location, weights_only=weights_only)


@CheckpointLoader.register_scheme(["http://", "https://"])
def load_from_http(filename: str, map_location: Any = None, weights_only: bool = True) -> Any:
    """Load from the web, through a copy in torch's hub folder.

    Processes of one machine that ask at the same time download it once.

    Args:
        filename: The address.
        map_location: Where tensors go.
        weights_only: Run nothing that the file says.

    Raises:
        ConnectionError: If it cannot be downloaded.
    """
    name = PurePosixPath(urlparse(filename).path).name
    # Two addresses may end in the same name; only equal addresses share a copy.
    mark = hashlib.sha256(filename.encode()).hexdigest()[:12]
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{mark}-{name}"
    if not path.exists():
        with _one_process_at_a_time(folder / f"{mark}.lock"):
            if not path.exists():
                _download(filename, path)
    return read_checkpoint(path, map_location, weights_only=weights_only)


def _download(address: str, path: Path) -> None:
    try:
        torch.hub.download_url_to_file(address, str(path), progress=False)
    except OSError as error:
        raise ConnectionError(
            f"{address} cannot be downloaded: {error}. Where there is no network, put the file "
            f"at {path}, or give its local path"
        ) from error


@contextlib.contextmanager
def _one_process_at_a_time(path: Path) -> Iterator[None]:
    if os.name == "nt":
        # No fcntl: each process downloads for itself, and the last rename wins.
        yield
        return
    import fcntl

    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@CheckpointLoader.register_scheme(["torchvision://", "modelzoo://"])
def load_from_torchvision(
    filename: str, map_location: Any = None, weights_only: bool = True
) -> Any:
    """Load the weights of a model of torchvision, as in ``torchvision://resnet50``.

    Args:
        filename: The address: the model's name, perhaps with its weights
            (``resnet50.imagenet1k_v1``).
        map_location: Where tensors go.
        weights_only: Run nothing that the file says.

    Raises:
        ImportError: If torchvision is not installed.
        KeyError: If it has no such model.
    """
    urls = get_torchvision_models()
    if not urls:
        raise ImportError(f"{filename} needs the package torchvision: pip install torchvision")
    address = _look_up(urls, filename)
    return load_from_http(address, map_location, weights_only=weights_only)


@CheckpointLoader.register_scheme(["open-mmlab://", "openmmlab://"])
def load_from_openmmlab(filename: str, map_location: Any = None, weights_only: bool = True) -> Any:
    """Load published weights by a name that an installed library provides.

    Args:
        filename: The address.
        map_location: Where tensors go.
        weights_only: Run nothing that the file says.

    Raises:
        KeyError: If no library provides the name.
    """
    scheme, _, name = filename.partition("://")
    current = get_deprecated_model_names().get(name)
    if current is not None:
        logging.getLogger("engine.model").warning(
            "%s://%s is an old name; use %s://%s", scheme, name, scheme, current
        )
        filename = f"{scheme}://{current}"
    address = _look_up(get_external_models(), filename)
    return CheckpointLoader.load_checkpoint(
        address, map_location, "silent", weights_only=weights_only
    )


@CheckpointLoader.register_scheme("mmcls://")
def load_from_mmcls(filename: str, map_location: Any = None, weights_only: bool = True) -> Any:
    """Load published weights of a classifier by a name that an installed library provides.

    Args:
        filename: The address.
        map_location: Where tensors go.
        weights_only: Run nothing that the file says.

    Raises:
        KeyError: If no library provides the name.
    """
    address = _look_up(get_mmcls_models(), filename)
    return CheckpointLoader.load_checkpoint(
        address, map_location, "silent", weights_only=weights_only
    )


def _look_up(urls: Mapping[str, str], filename: str) -> str:
    name = filename.partition("://")[2]
    if name not in urls:
        close = difflib.get_close_matches(name, urls, n=3)
        if close:
            hint = f"did you mean {', '.join(close)}?"
        elif urls:
            hint = f"{len(urls)} names are known"
        else:
            hint = f"no installed library provides any, as an entry point of {ENTRY_POINTS!r}"
        raise KeyError(f"no published weights under {filename!r}; {hint}")
    return urls[name]
