"""What `Config.dump` writes reads back equal, or `dump` raises with the key."""

import datetime
import decimal
import functools
import math
import zoneinfo
from collections.abc import Callable
from enum import Enum, Flag
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine_config import Config, ConfigDict, ConfigTypeError, LazyObject
from engine_config.write._dump import text_as
from engine_runner import Runner

MANY = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
ZONES = [None, datetime.UTC, datetime.timezone(datetime.timedelta(hours=2), "x")]


class Mode(Enum):
    FAST = 1


class Access(Flag):
    READ = 1
    WRITE = 2


class Owned(ConfigDict):
    """A ConfigDict of a library."""


NUMPY_SCALARS = st.one_of(
    st.booleans().map(np.bool_),
    st.integers(-128, 127).map(np.int8),
    st.floats(width=32).map(np.float32),
    st.floats(width=16).map(np.float16),
    st.floats().map(np.float64),
    st.text("ab\\'", max_size=3).map(np.str_),
    st.complex_numbers(width=64).map(np.complex64),
)
NUMBERS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), NUMPY_SCALARS
)
DATES = st.one_of(
    st.dates(),
    st.datetimes(timezones=st.sampled_from([*ZONES, zoneinfo.ZoneInfo("UTC")])),
    st.times(timezones=st.sampled_from(ZONES)),
    st.timedeltas(),
)
NAMED = st.sampled_from(
    [
        *(torch.float16, torch.bfloat16, torch.channels_last, torch.device("cuda:1")),
        *(np.float32, np.add, np.dtype("float32"), np.dtype(">i4"), np.dtype("U3")),
        *(PureWindowsPath("C:\\a"), PurePosixPath("/a"), Path("a\\b") / "it's"),
        *(decimal.Decimal("0.10"), torch.Size([1, 2]), Mode.FAST, type(None), len, datetime),
    ]
) | st.builds(lambda: LazyObject("torch.nn", "ReLU"))
LEAVES = st.one_of(NUMBERS, DATES, NAMED, st.binary(max_size=4), st.complex_numbers())
PYTHON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=4), inner, max_size=3).map(Owned),
    ),
    max_leaves=6,
)
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["{{fileDirname}}", "a {{ _base_.b }}'", "\\{{$HOME:x}}\n", "1e-3", "\ud800"]),
)
DATA = st.recursive(
    st.one_of(NUMBERS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(TEXTS | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)


def same(first: Any, second: Any) -> bool:
    """Compare as Python does, but not-a-number is equal to itself, and 1 is not True."""
    if isinstance(first, dict):
        return list(map(repr, sorted(first, key=repr))) == list(
            map(repr, sorted(second, key=repr))
        ) and all(same(value, second[key]) for key, value in first.items())
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, complex | np.complexfloating):
        return same(float(first.real), second.real) and same(float(first.imag), second.imag)
    if isinstance(first, float | np.floating) and math.isnan(first):
        return math.isnan(second)
    flags = isinstance(first, bool | np.bool_) == isinstance(second, bool | np.bool_)
    return bool(first == second) and flags


@MANY
@given(st.dictionaries(st.sampled_from(["a", "date", "numpy"]), PYTHON, max_size=3))
def test_python_dump_of_any_accepted_value_reads_back_equal(values: dict[str, Any]) -> None:
    cfg = Config(values)

    again = Config.fromstring(str(cfg.dump()), ".py")

    assert same(dict(cfg), dict(again))
    assert again.pretty_text == cfg.pretty_text


@MANY
@given(st.dictionaries(st.sampled_from(["a", "b"]), DATA, max_size=2))
@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_data_dump_of_any_accepted_value_reads_back_equal(
    suffix: str, values: dict[str, Any]
) -> None:
    cfg = Config(values)
    try:
        text = text_as(cfg._cfg_dict, suffix, None)
    except ConfigTypeError:
        return

    again = Config.fromstring(text, suffix)

    assert same(dict(cfg), dict(again))


@pytest.mark.parametrize(
    "value",
    [
        np.arange(30).reshape(2, 15),
        np.zeros((0, 3), np.float32),
        np.array(["a", "bc"]),
        np.array(0.1, np.float32),
        np.array([True, False]),
        np.array([1, 2], ">i4"),
        np.array([math.inf, math.nan]),
        np.array([1j], np.complex64),
        torch.tensor([0.1, 1e-30, math.nan]),
        torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8),
        torch.zeros(0, 2),
        torch.tensor(1.5, dtype=torch.bfloat16),
    ],
    ids=lambda value: type(value).__name__,
)
def test_array_or_tensor_reads_back_with_its_dtype_and_shape(value: Any) -> None:
    text = str(Config({"w": value, "part": {"w": [value]}}).dump())

    again = Config.fromstring(text, ".py")

    assert repr(value).count("nan") or again == Config({"w": value, "part": {"w": [value]}})
    assert again != Config({"w": value, "part": {"w": [value[None]]}})
    for read in (again.w, again.part.w[0]):
        assert type(read) is type(value)
        assert (read.dtype, read.shape) == (value.dtype, value.shape)
        assert repr(read) == repr(value)


def test_partial_function_reads_back() -> None:
    value = functools.partial(torch.nn.LayerNorm, eps=1e-6, bias=False)

    read = Config.fromstring(str(Config({"norm": value}).dump()), ".py").norm

    assert (read.func, read.args, read.keywords) == (value.func, (), value.keywords)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        lambda: 0,
        np.zeros(5000),
        torch.zeros(5000),
        torch.nn.Linear(1, 1),
        torch.nn.Parameter(torch.zeros(1)),
        np.datetime64("2020-01-01"),
        np.array([None]),
        np.longdouble("0.1"),
        Access.READ | Access.WRITE,
        torch.Generator(),
        {1: {"in": [{object()}]}},
        functools.partial(lambda: 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_value_without_text_is_refused_by_dump_and_shortened_in_pretty_text(
    value: Any, tmp_path: Path
) -> None:
    cfg = Config({"k": 1, "part": {"item": [0, value]}})

    with pytest.raises(ConfigTypeError, match=r"part\.item\.1.* cannot be written as text"):
        cfg.dump(tmp_path / "c.py")

    assert not list(tmp_path.iterdir())
    assert len(cfg.pretty_text) < 200
    assert " at 0x" not in cfg.pretty_text
    assert Config.fromstring(cfg.pretty_text, ".py").k == 1
    assert Config.diff(cfg, cfg) == ""


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
@pytest.mark.parametrize(
    "value",
    [
        *(b"x", 1j, datetime.date(2020, 1, 1), torch.float16, np.zeros(2), torch.zeros(2)),
        *(Mode.FAST, 10**4000, object(), {(1, 2): 3}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_data_formats_refuse_what_they_cannot_hold(suffix: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigTypeError, match=r"test_config_round_trip\.py:\d+: part\.v.*as Python"
    ):
        Config({"part": {"v": value}}).dump(tmp_path / f"c{suffix}")


def test_json_refuses_infinity_and_keys_that_are_not_text() -> None:
    for value in (math.inf, math.nan, {1: "a"}, {None: 0}):
        with pytest.raises(ConfigTypeError, match=r"part\.v"):
            text_as(Config({"part": {"v": value}})._cfg_dict, ".json", None)


def test_folder_with_a_backslash_keeps_its_name(tmp_path: Path) -> None:
    folder = tmp_path / r"it's \1 {x}"
    folder.mkdir()
    (folder / "c.py").write_text("here = '{{fileDirname}}'\n")

    cfg = Config.fromfile(folder / "c.py")

    assert cfg.here == str(folder)
    cfg.dump(folder / "d.py")
    assert Config.fromfile(folder / "d.py") == cfg


@pytest.mark.parametrize("name", ["cfg.py", "cfg.yaml"])
def test_run_with_values_without_text_trains_and_records_them_shortened(
    toy_run: Callable[..., Runner], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    values = {"weights": np.ones(2), "odd": object(), "lr": 0.1}
    runner = toy_run(cfg=Config(values, filename=name))

    runner.train()

    work_dir = Path(runner.work_dir)
    assert Config.fromfile(work_dir / "cfg.py").lr == 0.1
    assert "odd = '<object object>'" in (work_dir / "cfg.py").read_text()
    assert (work_dir / "epoch_2.pth").exists()
    (tracked,) = work_dir.glob("*/vis_data/config.py")
    assert tracked.read_text() == runner.cfg.pretty_text
    (log,) = work_dir.glob("*/*.log")
    assert "shortened objects, such as odd" in log.read_text()
