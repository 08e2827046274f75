"""The history of a number: keeping, statistics, tensors, threads."""

import copy
import math
import pickle
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine_logging import HistoryBuffer


def _data(buffer: HistoryBuffer) -> tuple[list[Any], list[Any]]:
    values, counts = buffer.data
    return values.tolist(), counts.tolist()


def test_history_is_empty_at_first() -> None:
    assert _data(HistoryBuffer()) == ([], [])
    assert len(HistoryBuffer()) == 0
    assert bool(HistoryBuffer())


def test_history_keeps_values_and_counts_as_arrays() -> None:
    buffer = HistoryBuffer([1, 2, 3], [1, 2, 3])
    assert str(buffer.data[0]) == "[1 2 3]"
    assert _data(buffer) == ([1, 2, 3], [1, 2, 3])


def test_update_appends_with_a_count_of_one() -> None:
    buffer = HistoryBuffer([1, 2, 3], [1, 1, 1])
    buffer.update(4)
    buffer.update(5, 2)
    assert _data(buffer) == ([1, 2, 3, 4, 5], [1, 1, 1, 1, 2])


def test_histories_do_not_share_values() -> None:
    first, second = HistoryBuffer(), HistoryBuffer()
    first.update(1)
    assert len(second) == 0


def test_max_length_drops_the_oldest_and_prints_a_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    buffer = HistoryBuffer([1, 2, 3], [1, 2, 3], max_length=2)
    assert capsys.readouterr().out == (
        "The length of history buffer(3) exceeds the max_length(2), "
        "the first few elements will be ignored.\n"
    )
    assert _data(buffer) == ([2, 3], [2, 3])
    buffer.update(4, 9)
    assert _data(buffer) == ([3, 4], [3, 9])
    assert len(buffer) == 2


@pytest.mark.parametrize("max_length", [1, 7, 1000, 1500])
def test_max_length_holds_for_any_number_of_updates(max_length: int) -> None:
    buffer = HistoryBuffer(max_length=max_length)
    for number in range(5000):
        buffer.update(number, 1 + number % 3)
        if number % 1777 == 0:
            assert buffer.current() == number
    values, counts = _data(buffer)
    assert values == list(range(5000))[-max_length:]
    assert counts == [1 + number % 3 for number in values]
    assert buffer.max() == 4999


def test_max_length_is_readable() -> None:
    assert (HistoryBuffer().max_length, HistoryBuffer(max_length=3).max_length) == (1000000, 3)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (([1], []), "got 0 counts for 1 values"),
        (([], [], 0), "max_length must be >= 1, got 0"),
    ],
)
def test_construction_with_unequal_lengths_raises(args: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HistoryBuffer(*args)


@pytest.mark.parametrize(
    ("method", "args", "expected"),
    [
        ("min", (2,), 2),
        ("min", (), 1),
        ("max", (2,), 3),
        ("max", (), 3),
        ("mean", (2,), 2.5),
        ("mean", (), 2),
        ("mean", (100,), 2),
        ("current", (), 3),
    ],
)
def test_statistics_of_the_last_values(method: str, args: Any, expected: float) -> None:
    buffer = HistoryBuffer([1, 2, 3], [1, 1, 1])
    assert getattr(buffer, method)(*args) == expected
    assert buffer.statistics(method, *args) == expected


def test_mean_divides_by_the_counts() -> None:
    assert HistoryBuffer([1, 2, 3], [2, 2, 2]).mean() == 1


def test_statistics_over_a_loop_are_those_of_the_manual() -> None:
    rate, loss = HistoryBuffer(), HistoryBuffer()
    shown = []
    for i in range(1, 11):
        rate.update(i / 10 * 0.1, 1)
        loss.update(1 / i, 1)
        if i % 5 == 0:
            shown += [rate.statistics("current"), loss.statistics("mean", 5)]
    assert shown == pytest.approx([0.05, 0.45666666666666667, 0.1, 0.12912698412698415])


@pytest.mark.parametrize("method", ["mean", "max", "min", "current"])
def test_statistics_of_an_empty_history_raise(method: str) -> None:
    with pytest.raises(ValueError, match="this history is empty"):
        HistoryBuffer().statistics(method)


@pytest.mark.parametrize("window", [0, -1])
def test_window_size_below_1_raises(window: int) -> None:
    with pytest.raises(ValueError, match="window_size must be >= 1, got"):
        HistoryBuffer([1], [1]).mean(window)


def test_statistics_with_other_names_or_arguments_raise() -> None:
    buffer = HistoryBuffer([1], [1])
    with pytest.raises(KeyError, match="'data' is not a registered statistic; there are mean"):
        buffer.statistics("data")
    with pytest.raises(TypeError, match="argument"):
        buffer.statistics("mean", 2, 3)


def test_registered_statistics_are_called_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        HistoryBuffer, "_statistics_methods", dict(HistoryBuffer._statistics_methods)
    )

    def weighted_mean(self: HistoryBuffer, window_size: int, weight: list[float]) -> Any:
        values = self._log_history[-window_size:] * np.array(weight)
        return values.sum() / self._count_history[-window_size:].sum()

    assert HistoryBuffer.register_statistics(weighted_mean) is weighted_mean
    HistoryBuffer.register_statistics(weighted_mean)
    assert HistoryBuffer([1, 2], [1, 1]).statistics("weighted_mean", 2, [2, 1]) == 2

    def mean(self: HistoryBuffer) -> float:
        return 0.0

    with pytest.raises(ValueError, match="'mean' is registered as a statistic already"):
        HistoryBuffer.register_statistics(mean)


def test_data_is_read_only() -> None:
    buffer = HistoryBuffer([1, 2], [1, 1])
    values, _ = buffer.data
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 9


def test_data_returned_before_an_update_stays_unchanged() -> None:
    buffer = HistoryBuffer(max_length=100)
    for number in range(100):
        buffer.update(number)
    before = buffer.data[0]
    for number in range(1000):
        buffer.update(-number)
    buffer.current()
    assert before.tolist() == list(range(100))


@pytest.mark.parametrize(
    "value", [1, 1.5, True, np.float32(1.5), np.int64(3), np.array([2.5]), np.array(2.5)]
)
def test_update_accepts_each_kind_of_number(value: Any) -> None:
    buffer = HistoryBuffer()
    buffer.update(value, np.int64(2))
    assert buffer.current() == float(np.asarray(value).item())
    assert buffer.mean() == float(np.asarray(value).item()) / 2


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("1", TypeError, "got str: '1'"),
        (None, TypeError, "got NoneType"),
        ([1.0], TypeError, "got list"),
        (np.zeros(2), ValueError, r"got shape \(2,\); reduce it"),
        (np.array(["1"]), TypeError, "got str: '1'"),
        (np.array([None]), TypeError, "got NoneType"),
        (1j, TypeError, "got complex"),
    ],
)
def test_value_that_is_not_a_number_raises(
    value: Any, error: type[Exception], message: str
) -> None:
    buffer = HistoryBuffer()
    with pytest.raises(error, match=message):
        buffer.update(value)
    assert len(buffer) == 0


@pytest.mark.parametrize(
    ("count", "error", "message"),
    [
        ("2", TypeError, "count: a scalar must be a real number.* got str: '2'"),
        (None, TypeError, "count: .* got NoneType"),
        (np.ones(2), ValueError, r"count: .* got shape \(2,\)"),
    ],
    ids=["text", "none", "array"],
)
def test_count_that_is_not_a_number_raises(
    count: Any, error: type[Exception], message: str
) -> None:
    buffer = HistoryBuffer()
    with pytest.raises(error, match=message):
        buffer.update(1.0, count)
    assert len(buffer) == 0


def test_sizes_that_are_not_integers_raise() -> None:
    with pytest.raises(TypeError, match=r"max_length must be an integer, got 2\.5"):
        HistoryBuffer(max_length=2.5)  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(TypeError, match="window_size must be an integer, got '2'"):
        HistoryBuffer([1], [1]).mean("2")  # type: ignore[arg-type]  # the mistake under test


def test_register_statistics_without_a_function_raises() -> None:
    with pytest.raises(TypeError, match="a statistic must be a function with a name, got 3"):
        HistoryBuffer.register_statistics(3)  # type: ignore[type-var]  # the mistake under test


def test_history_of_integers_becomes_float_with_a_float() -> None:
    buffer = HistoryBuffer([1, 2], [1, 1])
    assert buffer.current() == 2
    buffer.update(0.5)
    assert _data(buffer)[0] == [1.0, 2.0, 0.5]


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda b: pickle.loads(pickle.dumps(b))], ids=["copy", "pickle"]
)
def test_copies_do_not_share_values(
    duplicate: Callable[[HistoryBuffer], HistoryBuffer],
) -> None:
    buffer = HistoryBuffer([1, 2], [1, 1], max_length=3)
    other = duplicate(buffer)
    for value in (3, 4):
        other.update(value)
    assert _data(buffer)[0] == [1, 2]
    assert _data(other)[0] == [2, 3, 4]


def test_update_by_several_threads_keeps_values_with_their_counts() -> None:
    buffer = HistoryBuffer()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def work(start: int) -> None:
        for number in range(start, start + 5000):
            buffer.update(number, number + 1)
            if number % 100 == 0:
                buffer.mean()

    threads = [threading.Thread(target=work, args=(5000 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    sys.setswitchinterval(interval)
    values, counts = _data(buffer)
    assert sorted(values) == list(range(20000))
    assert [value + 1 for value in values] == counts


def test_repr_shows_the_number_of_values() -> None:
    assert repr(HistoryBuffer([1], [1])) == "<HistoryBuffer of 1 values>"


def test_recent_returns_the_last_values_as_numbers() -> None:
    history = HistoryBuffer([1, 2], [1, 1])
    assert history.recent(5) == [1, 2]
    history.update(3.5)
    assert history.recent(1) == [3.5]
    assert history.recent(2) == [2.0, 3.5]
    with pytest.raises(ValueError, match="size must be >= 1, got 0"):
        history.recent(0)


@pytest.mark.parametrize("stored", [0, 4, 10])
def test_mean_does_not_depend_on_what_is_stored_already(stored: int) -> None:
    values = [0.1 * index for index in range(12)]
    history, waiting = HistoryBuffer(values[:stored], [1] * stored), HistoryBuffer()
    assert len(history.data[0]) == stored  # moves the first values into the array
    for value in values[stored:]:
        history.update(value)
    for value in values:
        waiting.update(value)
    assert history.mean(10) == waiting.mean(10) == math.fsum(values[2:]) / 10


@pytest.mark.parametrize(
    ("values", "expected"),
    [([math.inf, -math.inf], math.nan), ([1e308, 1e308], math.inf), ([math.nan, 1.0], math.nan)],
)
@pytest.mark.filterwarnings("ignore:.*encountered in reduce:RuntimeWarning")
def test_mean_of_values_that_have_no_sum(values: list[float], expected: float) -> None:
    history = HistoryBuffer(values, [1, 1])
    np.testing.assert_equal(float(history.mean(2)), expected)


def test_mean_weighs_a_count_that_waits_beyond_the_window() -> None:
    history = HistoryBuffer()
    history.update(8.0, 4)
    history.update(1.0)
    assert history.mean(1) == 1.0
    assert history.mean() == 9 / 5


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ([1, 2.5, 3], [1, 1, 1]),
        ([1, 2, 3], [1, 2, 1]),
        (np.array([1.0, 2.0, 4.0]), np.array([1, 4, 2])),
        (np.array([1, 2, 3], dtype=np.float32), np.array([1.0, 0.5, 1.0])),
    ],
    ids=["plain", "counts", "arrays", "other-dtypes"],
)
def test_first_values_are_those_added_one_by_one(values: Any, counts: Any) -> None:
    made, updated = HistoryBuffer(values, counts, 2), HistoryBuffer(max_length=2)
    for value, count in zip(values, counts, strict=True):
        updated.update(value, count)
    for one, other in zip(made.data, updated.data, strict=True):
        assert one.dtype == other.dtype
        assert one.tolist() == other.tolist()


def test_a_million_first_values_take_no_time() -> None:
    # A long run's history, as a file of another library has it: 4 s, if they are added one by one.
    values: Any = np.ones(1_000_000)
    counts: Any = np.ones(1_000_000, dtype=np.int64)
    start = time.perf_counter()
    HistoryBuffer(values, counts)
    assert time.perf_counter() - start < 1
