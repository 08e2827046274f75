"""The parts of a run, each built once, when it is first needed."""

from collections.abc import Callable
from typing import Any, Protocol, Self, overload

from engine_runner._errors import NotConfiguredError
from engine_runner._instances import RunInstances
from engine_runner._settings import TABLE, Settings


class Parts:
    """Build the parts of a run from its settings when they are first needed, and keep them.

    A run that only tests builds no optimizer.

    Args:
        settings: The settings of the run.
        instances: The named instances of the run, current while a part is built.

    Attributes:
        finished: The parts that were built or set, by their settings.

    Example:
        >>> settings = Settings(model={"type": "LeNet"}, work_dir="runs")
        >>> parts = Parts(settings, RunInstances())
        >>> parts.get("model", lambda config: config["type"].lower()), parts.built("model")
        ('lenet', 'lenet')
    """

    def __init__(self, settings: Settings, instances: RunInstances) -> None:
        self._settings = settings
        self._instances = instances
        self.finished: dict[str, Any] = {}

    def built(self, key: str) -> Any:
        """Return the part if it was built, else None."""
        return self.finished.get(key)

    def put(self, key: str, part: Any) -> None:
        """Set a part, in place of the one that would be built; None builds it again when needed."""
        if part is None:
            self.finished.pop(key, None)
        else:
            self.finished[key] = part

    def configured(self, key: str) -> bool:
        """Return whether the settings have this part."""
        return getattr(self._settings, key) is not None

    def get(self, key: str, build: Callable[[Any], Any]) -> Any:
        """Return the part, and build it from its setting the first time.

        Args:
            key: The setting, such as ``"train_cfg"``.
            build: Returns the part of the setting's value.

        Raises:
            NotConfiguredError: The run has no such setting.
        """
        if key not in self.finished:
            setting = getattr(self._settings, key)
            if setting is None:
                raise _not_configured(key)
            with self._instances.current():
                self.finished[key] = build(setting)
        return self.finished[key]


class _OwnsParts(Protocol):
    _parts: Parts


class LazyPart:
    """A documented name of a runner for one of its parts.

    Args:
        key: The setting of the part.
        builder: The method of the runner that builds it; a subclass may override it.
        doc: The docstring of the name.
        optional: Return None for a part that is not configured, in place of an error.

    Example:
        >>> class Run:
        ...     model = LazyPart("model", "build_model", "The model.")
        ...     def __init__(self, **settings):
        ...         self._parts = Parts(Settings(work_dir="runs", **settings), RunInstances())
        ...     def build_model(self, config):
        ...         return f"a built {config['type']}"
        >>> Run(model={"type": "LeNet"}).model
        'a built LeNet'
    """

    def __init__(self, key: str, builder: str, doc: str, *, optional: bool = False) -> None:
        self._key, self._builder, self._optional = key, builder, optional
        self.__doc__ = doc

    @overload
    def __get__(self, owner: None, kind: type | None = None) -> Self: ...
    @overload
    def __get__(self, owner: _OwnsParts, kind: type | None = None) -> Any: ...
    def __get__(self, owner: _OwnsParts | None, kind: type | None = None) -> Any:
        """Return the part, built if this is its first use."""
        if owner is None:
            return self
        parts = owner._parts
        try:  # the path of every iteration: one look-up, no call
            return parts.finished[self._key]
        except KeyError:
            if self._optional and not parts.configured(self._key):
                return None
        return parts.get(self._key, getattr(owner, self._builder))

    def __set__(self, owner: _OwnsParts, part: Any) -> None:
        """Set the part, in place of the one that would be built."""
        owner._parts.put(self._key, part)


def _not_configured(key: str) -> NotConfiguredError:
    purpose = TABLE[key].group
    *first, last = [name for name, row in TABLE.items() if row.group == purpose]
    return NotConfiguredError(
        f"{purpose} is not configured: give the Runner {', '.join(first)} and {last}"
    )
