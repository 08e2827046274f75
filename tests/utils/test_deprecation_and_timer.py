"""Old names with a warning, and stopwatches."""

import re
import time

import pytest

from engine_utils import Timer, TimerError, check_time, deprecated_api_warning, deprecated_function


@deprecated_api_warning({"color_name": "color"})
def paint(color: str, width: int = 1) -> tuple[str, int]:
    """Paint."""
    return color, width


def test_deprecated_argument_warns_and_works() -> None:
    with pytest.warns(
        DeprecationWarning, match="argument color_name of paint is deprecated, use col"
    ):
        assert paint(color_name="red", width=2) == ("red", 2)
    assert paint("red") == ("red", 1)
    assert paint.__doc__ == "Paint."


def test_deprecated_argument_with_its_new_name_raises() -> None:
    with pytest.raises(ValueError, match="got both color_name and its new name color"):
        paint(color_name="red", color="blue")


class Brush:
    @deprecated_api_warning({"color_name": "color"}, cls_name="Brush")
    def paint(self, color: str) -> str:
        return color


def test_deprecated_argument_of_a_method_names_the_class() -> None:
    with pytest.warns(DeprecationWarning, match=r"of Brush\.paint"):
        assert Brush().paint(color_name="red") == "red"


def test_deprecated_function_warns_and_notes_it() -> None:
    @deprecated_function(since="0.2", removed_in="0.3", instructions="use paint")
    def draw(color: str) -> str:
        """Draw.

        In one color.
        """
        return color

    with pytest.warns(DeprecationWarning, match=r"draw is deprecated since version 0\.2.*0\.3: u"):
        assert draw("red") == "red"
    assert draw.__doc__ is not None
    assert draw.__doc__.startswith(".. deprecated:: 0.2\n")
    assert "Draw.\n\nIn one color." in draw.__doc__


def test_timer_counts_from_start_and_last_check() -> None:
    timer = Timer()
    time.sleep(0.02)
    first = timer.since_start()
    second = timer.since_last_check()
    assert first >= 0.02
    assert second < timer.since_start()
    assert timer.is_running


def test_timer_that_is_not_running_raises() -> None:
    timer = Timer(start=False)
    assert not timer.is_running
    for check in (timer.since_start, timer.since_last_check):
        with pytest.raises(TimerError, match=r"call start\(\) first"):
            check()
    assert str(TimerError("why")) == TimerError("why").message == "why"


@pytest.mark.parametrize(
    ("template", "expected"),
    [(None, r"\d+\.\d{3}\n"), ("took {:.1f} seconds", r"took \d+\.\d seconds\n")],
)
def test_timer_block_prints_the_seconds(
    template: str | None, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Timer(print_tmpl=template) as timer:
        assert timer.is_running
    assert not timer.is_running
    assert re.fullmatch(expected, capsys.readouterr().out)


def test_check_time_counts_between_calls() -> None:
    assert check_time("a") == 0
    time.sleep(0.02)
    assert check_time("b") == 0
    assert check_time("a") >= 0.02
