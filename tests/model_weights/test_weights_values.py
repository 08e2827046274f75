"""Plain values of other libraries are read as such, and whatever they hold runs no code."""

import datetime as dt
import io
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from pathlib import Path, PureWindowsPath
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from engine_config import ConfigDict
from engine_model.weights import ForeignObject, read_checkpoint
from engine_model.weights._foreign import InertUnpickler

Save = Callable[..., io.BytesIO]
NOON = dt.datetime(2023, 1, 2, 12, 30, 0, 5)


MODULE = "mmengine.config.config"


def by_call(self: dict[str, Any], _protocol: Any) -> Any:
    """Return a call of the class with a dict, as newer versions pickle a config."""
    return type(self), (dict(self),), None, None, None


class Zone(dt.tzinfo):
    """A time zone of another library, whose pickle would run code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def utcoffset(self, _moment: Any) -> dt.timedelta:
        return dt.timedelta(hours=1)

    def dst(self, _moment: Any) -> None:
        return None

    def tzname(self, _moment: Any) -> str:
        return "one hour east"

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (NOON, NOON),
        (NOON.replace(tzinfo=dt.UTC), NOON.replace(tzinfo=dt.UTC)),
        (NOON.date(), NOON.date()),
        (dt.timedelta(hours=2), dt.timedelta(hours=2)),
        (Path("/data/train"), "/data/train"),
        (PureWindowsPath("C:/data"), "C:\\data"),
        (deque([3, 4], maxlen=2), [3, 4]),
        (defaultdict(list, {"a": [1]}), {"a": [1]}),
        (OrderedDict(a=1), OrderedDict(a=1)),
        (ConfigDict(a=ConfigDict(b=[1])), {"a": {"b": [1]}}),
        (np.str_("cat"), "cat"),
        (np.bool_(True), True),
        (np.complex64(2j), 2j),
        (np.array(["cat", "dog"]), ["cat", "dog"]),
        (np.array([b"cat"]), [b"cat"]),
        (np.array([]), []),
        (np.array(3), 3),
        (np.asfortranarray(np.arange(6).reshape(2, 3)), [[0, 1, 2], [3, 4, 5]]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_plain_value_of_another_library_is_read(
    saved: Save, value: Any, expected: Any, protocol: int
) -> None:
    # torch's own reader raises an error for the NumPy scalar.
    found = read_checkpoint(saved({"x": value, "y": np.float64(1)}, pickle_protocol=protocol))["x"]

    if isinstance(found, np.ndarray):
        assert found.flags.writeable
        found = found.tolist()
    assert found == expected
    assert not isinstance(found, ConfigDict)


@pytest.mark.parametrize("extra", [{"__reduce_ex__": by_call}, {}], ids=["newer", "older"])
def test_config_of_the_reference_is_read_as_a_dict(
    saved: Save, extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("mmengine", "mmengine.config", MODULE):
        monkeypatch.setitem(sys.modules, part, ModuleType(part))
    kind: Any = type("ConfigDict", (dict,), {"__module__": MODULE, **extra})
    monkeypatch.setattr(sys.modules[MODULE], "ConfigDict", kind, raising=False)
    config = kind(classes=("cat", "dog"), inner=kind(a=1))
    config.frozen = True  # an attribute, which is dropped

    found = read_checkpoint(saved({"dataset_meta": config}))["dataset_meta"]

    assert found == {"classes": ("cat", "dog"), "inner": {"a": 1}}
    assert type(found) is type(found["inner"]) is dict


def test_date_in_a_zone_of_another_library_stays_a_placeholder_and_runs_no_code(
    saved: Save, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    marker = tmp_path / "ran"

    found = read_checkpoint(saved({"x": NOON.replace(tzinfo=Zone(marker)), "y": np.float64(1)}))

    assert isinstance(found["x"], ForeignObject)
    assert (found["y"], marker.exists()) == (1, False)
    assert "datetime.datetime" in caplog.text


@pytest.mark.parametrize(
    "call",
    [
        b"cmmengine.config.config\nConfigDict\n(cbuiltins\neval\nS'1'\ntR",
        b"cdatetime\ndatetime\n(S'no date'\ntR",
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'O8'\ntRS'x'\ntR",
        b"cnumpy.core.numeric\n_frombuffer\n(S'x'\ncnumpy\ndtype\n(S'i8'\ntR(I9\ntS'C'\ntR",
        b"cbuiltins\nbytes\n(I999999999999\ntR",
        b"ccollections\ndeque\n(I1\ntR",
        b"cpathlib\nPosixPath\n(I1\ntR",
    ],
    ids=["config", "date", "scalar", "array", "bytes", "deque", "path"],
)
def test_hostile_arguments_of_plain_values_are_not_used(call: bytes) -> None:
    found = InertUnpickler(io.BytesIO(call + b".")).load()

    assert found in ({}, []) or isinstance(found, ForeignObject)
