"""Share the scalars and the runtime info of a run among its parts."""

import copy
import logging
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Self

from engine_logging._history import HistoryBuffer
from engine_logging._plain import NotPlain, plain
from engine_utils import ManagerMixin, did_you_mean

_logger = logging.getLogger("engine.logging")

_MISSING: Any = object()

# The maximum number of values per scalar in a checkpoint.
_SAVED_VALUES = 10_000

# Values that need no copy.
_ATOMS = (int, float, str, bool, type(None))


class MessageHub(ManagerMixin):
    """Collect the scalars of a run with their history, and runtime info that any part may read.

    Each scalar (loss, learning rate, time) is a `HistoryBuffer`. An update of runtime info
    (iteration, epoch, meta data) replaces the old value. Several threads may update at the same
    time.

    Args:
        name: The name of the instance.
        log_scalars: The initial scalars.
        runtime_info: The initial runtime info.
        resumed_keys: For each key of both, whether `state_dict` includes it; True by default.

    Example:
        >>> hub = MessageHub.get_instance("example")
        >>> hub.update_scalar("train/loss", 3.0)
        >>> hub.update_scalars({"train/loss": {"value": 1.0, "count": 1}})
        >>> float(hub.get_scalar("train/loss").mean())
        2.0
        >>> hub.update_info("iter", 7)
        >>> hub.get_info("iter")
        7
        >>> MessageHub.release_instance("example")
        True
    """

    def __init__(
        self,
        name: str,
        log_scalars: Mapping[str, HistoryBuffer] | None = None,
        runtime_info: Mapping[str, Any] | None = None,
        resumed_keys: Mapping[str, bool] | None = None,
    ) -> None:
        super().__init__(name)
        self._log_scalars: OrderedDict[str, HistoryBuffer] = OrderedDict()
        self._runtime_info: OrderedDict[str, Any] = OrderedDict()
        self._resumed_keys: dict[str, bool] = {}
        # Info keys that are missing from the state; a warning was logged for each.
        self._dropped: set[str] = set()
        self._fill(
            _mapping("log_scalars", log_scalars),
            _mapping("runtime_info", runtime_info),
            _mapping("resumed_keys", resumed_keys),
        )

    def _fill(
        self,
        log_scalars: Mapping[str, HistoryBuffer],
        runtime_info: Mapping[str, Any],
        resumed_keys: Mapping[str, bool],
    ) -> None:
        unknown = set(resumed_keys) - set(log_scalars) - set(runtime_info)
        if unknown:
            raise ValueError(
                "resumed_keys must hold keys of log_scalars or runtime_info, got "
                f"{', '.join(sorted(unknown))}"
            )
        for key, buffer in log_scalars.items():
            if not isinstance(buffer, HistoryBuffer):
                raise TypeError(
                    f"log_scalars[{key!r}] must be a HistoryBuffer, got {type(buffer).__name__}"
                )
            self._adopt(key, buffer)
        self._runtime_info.update(runtime_info)
        for key in (*log_scalars, *runtime_info):
            self._resumed_keys[key] = bool(resumed_keys.get(key, True))

    def _adopt(self, key: str, buffer: HistoryBuffer) -> None:
        # Set the family first: another thread may read the buffer as soon as it is in the dict.
        buffer._family = weakref.ref(self._log_scalars)
        self._log_scalars[key] = buffer

    @classmethod
    def get_current_instance(cls) -> Self:
        """Return the hub of the open `as_current` block, or the one created last.

        If there is none, create one named ``engine``.
        """
        current = cls._find_current()
        return cls.get_instance("engine") if current is None else current

    def update_scalar(self, key: str, value: Any, count: Any = 1, resumed: bool = True) -> None:
        """Add a value to the history of a scalar; the first value creates the scalar.

        Args:
            key: The name of the scalar. Names that begin with ``train/``, ``val/`` or ``test/`` are
                logged.
            value: A number, or a tensor or array of one element. A tensor is read from its device
                when a statistic is computed.
            count: The weight of the value in the mean.
            resumed: Whether `state_dict` includes the scalar; the same at each call.

        Raises:
            ValueError: ``resumed`` differs from an earlier call for this key.
        """
        # The fast path of every iteration: two look-ups and one append.
        buffer = self._log_scalars.get(key)
        if buffer is None or self._resumed_keys.get(key) is not resumed:
            buffer = self._scalar(key, resumed)
        buffer.update(value, count)

    def _scalar(self, key: str, resumed: bool) -> HistoryBuffer:
        self._set_resumed(key, resumed)
        buffer = self._log_scalars.get(key)
        if buffer is None:
            # Two threads may create the scalar at the same time: setdefault returns one buffer to
            # both.
            fresh = HistoryBuffer()
            fresh._family = weakref.ref(self._log_scalars)
            buffer = self._log_scalars.setdefault(key, fresh)
        return buffer

    def _set_resumed(self, key: str, resumed: bool) -> None:
        if not isinstance(key, str):
            raise TypeError(f"a key must be a string, got {type(key).__name__}: {key!r}")
        before = self._resumed_keys.setdefault(key, bool(resumed))
        if before != bool(resumed):
            raise ValueError(
                f"resumed of {key} must be the same at each call, got {resumed} after {before}"
            )

    def update_scalars(self, log_dict: Mapping[str, Any], resumed: bool = True) -> None:
        """Add a value to each of several scalars.

        Args:
            log_dict: Values by key; a value may be ``{"value": …, "count": …}``.
            resumed: Whether `state_dict` includes these scalars.

        Raises:
            ValueError: A mapping among the values lacks ``value``, or has other keys.
        """
        for key, entry in _mapping("log_dict", log_dict).items():
            if isinstance(entry, Mapping):
                if "value" not in entry or len(entry) > 2 or set(entry) - {"value", "count"}:
                    raise ValueError(
                        f'the entry of {key} must have the key "value" and may have "count", '
                        f"got {list(entry)}"
                    )
                self.update_scalar(key, entry["value"], entry.get("count", 1), resumed)
            else:
                self.update_scalar(key, entry, 1, resumed)

    def update_info(self, key: str, value: Any, resumed: bool = True) -> None:
        """Set or replace a value of the runtime info.

        Args:
            key: The key.
            value: Any value.
            resumed: Whether `state_dict` includes the value, if it is plain data; the same at each
                call.

        Raises:
            ValueError: ``resumed`` differs from an earlier call for this key.
        """
        # Compared by identity: the usual bool takes no function call.
        if self._resumed_keys.get(key) is not resumed:
            self._set_resumed(key, resumed)
        self._runtime_info[key] = value

    def update_info_dict(self, info_dict: Mapping[str, Any], resumed: bool = True) -> None:
        """Set several values of the runtime info; see `update_info`."""
        for key, value in _mapping("info_dict", info_dict).items():
            self.update_info(key, value, resumed)

    @property
    def log_scalars(self) -> OrderedDict[str, HistoryBuffer]:
        """The histories of all scalars by key, without a copy."""
        return self._log_scalars

    @property
    def runtime_info(self) -> OrderedDict[str, Any]:
        """A deep copy of the runtime info."""
        # A list first: another thread may add a key while a value is copied.
        return copy.deepcopy(OrderedDict(list(self._runtime_info.items())))

    def get_scalar(self, key: str) -> HistoryBuffer:
        """Return the history of a scalar, without a copy.

        Raises:
            KeyError: There is no such scalar.
        """
        try:
            return self._log_scalars[key]
        except KeyError:
            raise KeyError(_unknown(key, self._log_scalars)) from None

    def get_info(self, key: str, default: Any = None) -> Any:
        """Return a copy of a value of the runtime info.

        Args:
            key: The key.
            default: Returned if the key is missing.

        Raises:
            TypeError: The value cannot be copied, such as a generator or an open file.
        """
        value = self._runtime_info.get(key, _MISSING)
        if value is _MISSING:
            return default
        if type(value) in _ATOMS:
            return value
        try:
            return copy.deepcopy(value)
        except TypeError as error:
            raise TypeError(f"the info {key!r} cannot be copied: {error}") from error

    def pop_info(self, key: str, default: Any = None) -> Any:
        """Remove a value of the runtime info, and return it.

        Args:
            key: The key. A later `update_info` of it may set another ``resumed``.
            default: Returned if the key is missing.
        """
        value = self._runtime_info.pop(key, _MISSING)
        if value is _MISSING:
            return default
        if key not in self._log_scalars:  # scalars and infos share the table of resumed keys
            self._resumed_keys.pop(key, None)
        return value

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed run needs, as plain Python values.

        It includes the keys for which ``resumed`` is set: the last 10,000 values of each scalar,
        and the runtime info. A value of the runtime info that is not plain data is skipped, with
        one warning per key.

        Returns:
            A dict with the keys ``log_scalars``, ``runtime_info`` and ``resumed_keys``.
        """
        scalars, infos = {}, {}
        # Lists, because other threads may add keys meanwhile.
        for key, buffer in list(self._log_scalars.items()):
            if self._resumed_keys.get(key, True):
                values, counts = buffer.data
                scalars[key] = {
                    "log_history": values[-_SAVED_VALUES:].tolist(),
                    "count_history": counts[-_SAVED_VALUES:].tolist(),
                    "max_length": buffer._max_length,
                }
        for key, value in list(self._runtime_info.items()):
            if self._resumed_keys.get(key, True):
                try:
                    infos[key] = plain(value)
                except NotPlain as found:
                    self._warn_dropped(key, found)
        kept = dict.fromkeys((*scalars, *infos), True)
        return {"log_scalars": scalars, "runtime_info": infos, "resumed_keys": kept}

    def _warn_dropped(self, key: str, found: NotPlain) -> None:
        if key not in self._dropped:
            self._dropped.add(key)
            _logger.warning(
                "%s is not saved: it holds %s, and a checkpoint holds plain data only. "
                "Pass resumed=False to update_info if it need not be saved.",
                key,
                found,
            )

    def load_state_dict(self, state_dict: "Mapping[str, Any] | MessageHub") -> None:
        """Load scalars and runtime info; other keys of this hub stay unchanged.

        Args:
            state_dict: The result of `state_dict`, or another hub; everything is copied.

        Raises:
            KeyError: One of the three keys is missing, or the state of a scalar lacks a key.
            TypeError: ``state_dict`` is neither a mapping nor a hub, or a part of it has a wrong
                type.
        """
        if isinstance(state_dict, MessageHub):
            # A deep copy of a buffer holds arrays only, so this reads the waiting tensors.
            buffers = OrderedDict(list(state_dict._log_scalars.items()))
            scalars, infos = copy.deepcopy(buffers), state_dict.runtime_info
            resumed: Mapping[str, bool] = state_dict._resumed_keys
        else:
            scalars, infos, resumed = _read_state(state_dict)
        self._fill(scalars, infos, {key: resumed.get(key, True) for key in (*scalars, *infos)})


def _read_state(
    state_dict: Mapping[str, Any],
) -> tuple[OrderedDict[str, HistoryBuffer], OrderedDict[str, Any], Mapping[str, bool]]:
    """Check and copy a state; return its scalars, runtime info and resumed keys."""
    state = _mapping("state_dict", state_dict)
    missing = {"log_scalars", "runtime_info", "resumed_keys"} - set(state)
    if missing:
        raise KeyError(
            f"the state of a message hub has no {', '.join(sorted(missing))}; "
            f"it has {', '.join(state) or 'no keys'}"
        )
    entries = _mapping("log_scalars", state["log_scalars"])
    scalars = OrderedDict((key, _restored(key, entry)) for key, entry in entries.items())
    infos = OrderedDict(copy.deepcopy(dict(_mapping("runtime_info", state["runtime_info"]))))
    return scalars, infos, _mapping("resumed_keys", state["resumed_keys"])


def _restored(key: str, entry: Any) -> HistoryBuffer:
    if isinstance(entry, HistoryBuffer):
        return copy.deepcopy(entry)
    if not isinstance(entry, Mapping):
        raise TypeError(
            f"the state of the scalar {key} must be a mapping or a HistoryBuffer, "
            f"got {type(entry).__name__}"
        )
    missing = {"log_history", "count_history", "max_length"} - set(entry)
    if missing:
        raise KeyError(f"the state of the scalar {key} has no {', '.join(sorted(missing))}")
    return HistoryBuffer(entry["log_history"], entry["count_history"], entry["max_length"])


def _mapping(name: str, value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping, got {type(value).__name__}")
    return value


def _unknown(key: str, scalars: Mapping[str, Any]) -> str:
    hint = did_you_mean(key, scalars) or f"; there are: {', '.join(scalars) or 'none'}"
    return f"there is no scalar {key!r} in this message hub{hint}"
