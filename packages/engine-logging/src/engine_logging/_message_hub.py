"""The scalars and facts of a run, shared among its parts."""

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

_REQUIRED: Any = object()

# The most values of a scalar that a checkpoint holds.
_SAVED_VALUES = 10_000

# Values that need no copy.
_ATOMS = (int, float, str, bool, type(None))


class MessageHub(ManagerMixin):
    """Collect the scalars of a run, with their history, and facts that any part may read.

    Scalars (loss, learning rate, times) are kept as `HistoryBuffer`; facts (iteration, epoch,
    meta data) are overwritten by each update. Threads may update at once.

    Args:
        name: The name of the instance.
        log_scalars: The first scalars.
        runtime_info: The first facts.
        resumed_keys: For each key of both, whether `state_dict` holds it; True by default.

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
        # Facts whose absence from the state was logged already.
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
        # The family first: another thread may read the buffer as soon as it is in the dict.
        buffer._family = weakref.ref(self._log_scalars)
        self._log_scalars[key] = buffer

    @classmethod
    def get_current_instance(cls) -> Self:
        """Return the hub of the open `as_current` block, or the one created last.

        Without any, create one named ``engine``.
        """
        current = cls._find_current()
        return cls.get_instance("engine") if current is None else current

    def update_scalar(self, key: str, value: Any, count: Any = 1, resumed: bool = True) -> None:
        """Add a value to the history of a scalar, which the first value creates.

        Args:
            key: Its name. Those that begin with ``train/``, ``val/`` or ``test/`` are logged.
            value: A number, or a tensor or array of one element. A tensor is read from its device
                when a statistic is computed.
            count: The weight of the value in the mean.
            resumed: Whether `state_dict` holds the scalar; the same at each call.

        Raises:
            ValueError: If ``resumed`` differs from an earlier call for this key.
        """
        # The path of every iteration: two look-ups and the append.
        buffer = self._log_scalars.get(key)
        if buffer is None or self._resumed_keys.get(key) is not resumed:
            buffer = self._scalar(key, resumed)
        buffer.update(value, count)

    def _scalar(self, key: str, resumed: bool) -> HistoryBuffer:
        self._set_resumed(key, resumed)
        buffer = self._log_scalars.get(key)
        if buffer is None:
            # Two threads may arrive here at once: setdefault gives both the same buffer.
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
            resumed: Whether `state_dict` holds these scalars.

        Raises:
            ValueError: If a mapping among the values has no ``value``, or other keys.
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
        """Set or replace a fact.

        Args:
            key: Its name.
            value: Any value.
            resumed: Whether `state_dict` holds it, if it is plain data; the same at each call.

        Raises:
            ValueError: If ``resumed`` differs from an earlier call for this key.
        """
        # By identity: the usual bool of every iteration passes without a call.
        if self._resumed_keys.get(key) is not resumed:
            self._set_resumed(key, resumed)
        self._runtime_info[key] = value

    def update_info_dict(self, info_dict: Mapping[str, Any], resumed: bool = True) -> None:
        """Set several facts; see `update_info`."""
        for key, value in _mapping("info_dict", info_dict).items():
            self.update_info(key, value, resumed)

    @property
    def log_scalars(self) -> OrderedDict[str, HistoryBuffer]:
        """The histories of all scalars, by key: the hub's own, not a copy."""
        return self._log_scalars

    @property
    def runtime_info(self) -> OrderedDict[str, Any]:
        """A deep copy of all facts."""
        # A list first: another thread may add a fact while a value is being copied.
        return copy.deepcopy(OrderedDict(list(self._runtime_info.items())))

    def get_scalar(self, key: str) -> HistoryBuffer:
        """Return the history of a scalar: the hub's own, not a copy.

        Raises:
            KeyError: If there is no such scalar.
        """
        try:
            return self._log_scalars[key]
        except KeyError:
            raise KeyError(_unknown("scalar", key, self._log_scalars)) from None

    def get_info(self, key: str, *, default: Any = _REQUIRED) -> Any:
        """Return a copy of a fact.

        Args:
            key: Its name.
            default: Returned if there is no such fact.

        Raises:
            KeyError: If there is no such fact, and no default.
            TypeError: If it cannot be copied, such as a generator or an open file.
        """
        value = self._runtime_info.get(key, _REQUIRED)
        if value is _REQUIRED:
            if default is _REQUIRED:
                raise KeyError(_unknown("info", key, self._runtime_info))
            return default
        if type(value) in _ATOMS:
            return value
        try:
            return copy.deepcopy(value)
        except TypeError as error:
            raise TypeError(f"the info {key!r} cannot be copied: {error}") from error

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed run needs, as plain Python values.

        It holds the last 10,000 values of each scalar and the facts that are plain data, if
        ``resumed`` is set for them. Another fact is skipped, with a warning the first time.

        Returns:
            A dict with the keys ``log_scalars``, ``runtime_info`` and ``resumed_keys``.
        """
        scalars, facts = {}, {}
        # Lists: other threads may add scalars and facts meanwhile.
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
                    facts[key] = plain(value)
                except NotPlain as found:
                    self._warn_dropped(key, found)
        kept = dict.fromkeys((*scalars, *facts), True)
        return {"log_scalars": scalars, "runtime_info": facts, "resumed_keys": kept}

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
        """Load scalars and facts; those under other keys stay.

        Args:
            state_dict: The result of `state_dict`, or a hub, all of which is copied.

        Raises:
            KeyError: If one of the three keys is missing, or a scalar lacks a part.
            TypeError: If it is neither a mapping nor a hub, or a part of it has another type.
        """
        if isinstance(state_dict, MessageHub):
            # Deep copies hold arrays only: copying reads the tensors that wait.
            buffers = OrderedDict(list(state_dict._log_scalars.items()))
            scalars, facts = copy.deepcopy(buffers), state_dict.runtime_info
            resumed: Mapping[str, bool] = state_dict._resumed_keys
        else:
            scalars, facts, resumed = _read_state(state_dict)
        self._fill(scalars, facts, {key: resumed.get(key, True) for key in (*scalars, *facts)})


def _read_state(
    state_dict: Mapping[str, Any],
) -> tuple[OrderedDict[str, HistoryBuffer], OrderedDict[str, Any], Mapping[str, bool]]:
    """Return the scalars, the facts and which of them are saved again, all checked and copied."""
    state = _mapping("state_dict", state_dict)
    missing = {"log_scalars", "runtime_info", "resumed_keys"} - set(state)
    if missing:
        raise KeyError(
            f"the state of a message hub has no {', '.join(sorted(missing))}; "
            f"it has {', '.join(state) or 'no keys'}"
        )
    entries = _mapping("log_scalars", state["log_scalars"])
    scalars = OrderedDict((key, _restored(key, entry)) for key, entry in entries.items())
    facts = OrderedDict(copy.deepcopy(dict(_mapping("runtime_info", state["runtime_info"]))))
    return scalars, facts, _mapping("resumed_keys", state["resumed_keys"])


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


def _unknown(kind: str, key: str, keys: Mapping[str, Any]) -> str:
    hint = did_you_mean(key, keys) or f"; there are: {', '.join(keys) or 'none'}"
    return f"there is no {kind} {key!r} in this message hub{hint}"
