"""The base class of tracking backends."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, cast

import numpy as np

from engine_utils import declare_secrets, expand_home, mask_secrets, plain_value

if TYPE_CHECKING:
    import torch

_logger = logging.getLogger("engine.visualization")

_Method = TypeVar("_Method", bound=Callable[..., Any])


class ConfigLike(Protocol):
    """The interface that backends need of a config, such as `Config` of engine-config."""

    @property
    def pretty_text(self) -> str:
        """The config as formatted text."""

    def dump(self, file: str | None = None) -> str | None:
        """Write the config to a file, in the format of its suffix."""


def without_secrets(config: Any) -> Any:
    """Return a config with ``"***"`` in place of each secret; the config itself if it has none.

    Args:
        config: A `Config` of engine-config. Another object is returned as it is.
    """
    values = getattr(config, "_cfg_dict", None)
    masked = mask_secrets(values)
    return config if masked is values else type(config)(masked, filename=config.filename)


def single_number(backend: "BaseVisBackend", name: str, value: Any, service: str) -> float | None:
    """Return a scalar as a number; None if it is not a single one, with one warning in the log.

    Args:
        backend: The backend, which notes the names that it has warned of.
        name: Its name.
        value: A number, or a tensor or array.
        service: The name of the service that records single numbers only.
    """
    number = plain_value(value, scalars=True)
    if isinstance(number, int | float):
        return number
    if name not in backend.skipped:
        backend.skipped.add(name)
        _logger.warning(
            "%s records single numbers only; %r is a %s", service, name, type(value).__name__
        )
    return None


def scalars_of(scalar_dict: Mapping[str, Any], step: int) -> Iterator[tuple[str, Any, int]]:
    """Yield name, value and step of each scalar; an entry ``step`` is the step of all."""
    at = int(scalar_dict.get("step", step))
    yield from ((name, value, at) for name, value in scalar_dict.items() if name != "step")


def force_init_env(method: _Method) -> _Method:
    """Decorate a method of a backend, so that its first call runs `_init_env` before.

    Example:
        >>> class Printer(BaseVisBackend):
        ...     def _init_env(self):
        ...         print("a run begins")
        ...     @force_init_env
        ...     def add_scalar(self, name, value, step=0, **kwargs):
        ...         print(f"{step}: {name} = {value}")
        >>> Printer("logs").add_scalar("loss", 0.25, step=3)
        a run begins
        3: loss = 0.25
    """

    @wraps(method)
    def initialized(self: "BaseVisBackend", *args: Any, **kwargs: Any) -> Any:
        if not self._env_initialized:
            # Before, as `_init_env` may call such methods itself.
            self._env_initialized = True
            try:
                self._init_env()
            except BaseException:
                self._env_initialized = False
                raise
        return method(self, *args, **kwargs)

    return cast("_Method", initialized)  # a method of the same signature


class BaseVisBackend:
    """Record a run in a service; a subclass overrides the methods that its service supports.

    The other methods do nothing, so one visualizer can use services that differ. The visualizer
    passes each argument by keyword. Open files and connections at the first record, because a
    visualizer without records must not write: in `_init_env`, which runs before the first call of
    a method that `force_init_env` decorates.

    A visualizer logs the first exception of a backend as a warning, and the run continues.

    Args:
        save_dir: Folder for the files of the backend; ``~`` is the home folder.

    Attributes:
        threaded: How a visualizer calls the backend. True: in a thread, for a service that may let
            its callers wait. False: in the thread of the training, which suits files. ``None``: in
            a thread, and the training waits for each record, until one takes longer than 0.5 s.
        write_delay: Time in seconds for which the service may keep records in memory, where a
            killed process loses them. A checkpoint saves the scalars of this time, and a resumed
            training records them again.
        close_timeout: Time limit in seconds for the pending records of a threaded backend when it
            is closed.
        libraries: The modules that the backend imports at its first record, and the requirement
            that installs each. `build_backend` raises if one is missing.
        skipped: The names of scalars that the service cannot record, each of which was logged once.
        secrets: The arguments that are masked where a run logs or stores its config. Names such as
            ``token`` and ``api_key`` always are.

    Example:
        >>> class Printer(BaseVisBackend):
        ...     def add_scalar(self, name, value, step=0, **kwargs):
        ...         print(f"{step}: {name} = {value}")
        >>> Printer("logs").add_scalar("loss", 0.25, step=3)
        3: loss = 0.25
    """

    threaded: ClassVar[bool | None] = None
    write_delay: ClassVar[float] = 0.0
    close_timeout: float = 60.0
    libraries: ClassVar[Mapping[str, str]] = {}
    secrets: ClassVar[tuple[str, ...]] = ()
    _env_initialized: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        declare_secrets(*cls.secrets)

    def __init__(self, save_dir: str | PathLike[str]) -> None:
        self._save_dir = fspath(expand_home(save_dir))
        self.skipped: set[str] = set()

    @property
    def save_dir(self) -> str:
        """The folder for the files of the backend."""
        return self._save_dir

    def _init_env(self) -> None:
        """Open files and connections; `force_init_env` calls it before the first record."""

    @property
    def experiment(self) -> Any:
        """The object of the service, for records that this interface lacks; here the backend."""
        return self

    def add_config(self, config: ConfigLike, **kwargs: Any) -> None:
        """Record the config."""

    def add_graph(self, model: "torch.nn.Module", data_batch: Sequence[Any], **kwargs: Any) -> None:
        """Record the structure of the model. It may be called with ``data_batch``."""

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Record an RGB image ``(H, W, 3)``."""

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a scalar."""

    def add_scalars(
        self,
        scalar_dict: Mapping[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Record the scalars of one step; ``file_path`` is an additional file for them."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a later process needs to continue this record, as plain values.

        A checkpoint saves it. It is called from the thread of the training, so it must not wait for
        a service.
        """
        return {}

    def resume(self, state: Mapping[str, Any], save_dir: str) -> None:
        """Continue the record of an earlier process, from where a checkpoint has saved its state.

        Records after the checkpoint follow again. A backend removes the former ones, or leaves out
        those that come twice. It is called before the first record but that of the config, and must
        not wait for a service. A run that rolls back calls it again, after the records until then.
        A backend without this method begins anew in its own folder.

        Args:
            state: What `state_dict` has returned, and ``records``, the number of scalars and images
                until then.
            save_dir: The folder of the earlier record, which becomes that of the backend.
        """

    def close(self) -> None:
        """Write pending records and close files and connections; a second call does nothing."""

    def abandon(self) -> None:
        """Drop the connection of a threaded backend that could not be closed in time.

        It is called while another call may still wait. It must not wait itself.
        """
