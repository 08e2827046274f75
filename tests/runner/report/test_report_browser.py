"""The page in a browser."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from engine_fileio import try_lock
from engine_runner.report import find_runs, write_report

FIRST = "[...engineReport.plots.values()][0]"


@pytest.fixture
def page(make_run: Any, tmp_path: Path) -> str:
    """Write the page about two runs, and return its address."""
    make_run("a", lr=0.1, points=3000), make_run("b", lr=0.2, points=3000)
    write_report(find_runs([tmp_path / "runs"]), tmp_path / "page.html")
    return (tmp_path / "page.html").as_uri()


def _open(browser: Any, address: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(address)
    drawn = "return performance.getEntriesByName('engine-report-drawn').length"
    WebDriverWait(browser, 20).until(lambda driver: driver.execute_script(drawn))


def _pixels(browser: Any) -> int:
    """Return how many pixels of the first plot are drawn."""
    script = f"""
        const canvas = {FIRST}.plot.ctx.canvas;
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let count = 0;
        for (let i = 3; i < data.length; i += 4) count += data[i] > 0;
        return count;"""
    return int(browser.execute_script(script))


def _range(browser: Any) -> list[float]:
    scale = f"const x = {FIRST}.plot.scales.x; return [x.min, x.max]"
    found: list[float] = browser.execute_script(scale)
    return found


def _over(browser: Any) -> Any:
    return browser.execute_script(f"return {FIRST}.plot.over")


def test_page_draws_curves_without_a_request_or_an_error(browser: Any, page: str) -> None:
    _open(browser, page)

    assert _pixels(browser) > 2000
    assert browser.get_log("browser") == []
    events = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"].endswith("WillBeSent")]
    assert [url for url in urls if not url.startswith("data:")] == [page]
    assert browser.title == "a, b"  # the script of a log line did not run


def test_dragging_zooms_to_true_points_and_double_click_shows_all(browser: Any, page: str) -> None:
    from selenium.webdriver import ActionChains

    _open(browser, page)
    whole = _range(browser)

    ActionChains(browser).move_to_element_with_offset(_over(browser), -40, 0).click_and_hold(
    ).move_by_offset(30, 0).release().perform()  # fmt: skip
    zoomed = _range(browser)
    shown = browser.execute_script(f"return {FIRST}.plot.data[0].length")
    ActionChains(browser).double_click(_over(browser)).perform()

    assert whole == [10, 30000]
    assert whole[0] < zoomed[0] < zoomed[1] < whole[1]
    assert shown == pytest.approx((zoomed[1] - zoomed[0]) / 10, abs=4)
    assert _range(browser) == whole


def test_pointer_shows_the_values_of_each_run(browser: Any, page: str) -> None:
    from selenium.webdriver import ActionChains

    _open(browser, page)

    ActionChains(browser).move_to_element(_over(browser)).perform()

    text = browser.execute_script(f"return {FIRST}.figure.querySelector('.readout').textContent")
    assert text.startswith("a  iteration 150")
    assert "b  iteration 150" in text
    assert ": 0.101" in text
    assert ": 0.201" in text


def test_smoothing_changes_the_line_and_the_legend_hides_a_run(browser: Any, page: str) -> None:
    _open(browser, page)
    values = f"return {FIRST}.plot.data[1].slice(0, 6)"
    before = browser.execute_script(values)

    browser.execute_script(
        "const s = document.getElementById('smoothing'); s.value = 0.9; s.oninput()"
    )
    after = browser.execute_script(values)
    browser.execute_script("document.querySelector('.legend button').click()")

    assert before[0] == after[0]
    assert before[1] < after[1]
    assert browser.execute_script(f"return {FIRST}.plot.series.map(s => s.show).slice(1)") == [
        False, True,
    ]  # fmt: skip


def test_reload_keeps_the_zoom(browser: Any, page: str) -> None:
    _open(browser, page)
    browser.execute_script("engineReport.zoom('iteration', [1000, 2000])")

    _open(browser, page)

    assert _range(browser) == [1000, 2000]


def test_buttons_and_keys_zoom_and_shift(browser: Any, page: str) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    _open(browser, page)

    browser.find_element(By.ID, "zoom-in").click()
    inner = _range(browser)
    curve = browser.find_element(By.CSS_SELECTOR, ".plot")
    curve.send_keys("+", Keys.ARROW_RIGHT)
    shifted = _range(browser)
    curve.send_keys(Keys.ESCAPE)

    assert inner == pytest.approx([7507.5, 22502.5])
    assert shifted == pytest.approx([13130.625, 20628.125])
    assert _range(browser) == [10, 30000]


def test_page_of_a_run_in_progress_reloads_itself_and_keeps_its_view(
    browser: Any, make_run: Any, tmp_path: Path
) -> None:
    from selenium.common.exceptions import JavascriptException
    from selenium.webdriver.support.ui import WebDriverWait

    work_dir = make_run("a")
    descriptor = os.open(work_dir / ".engine-run.lock", os.O_RDWR | os.O_CREAT)
    assert try_lock(descriptor)
    out = tmp_path / "page.html"
    write_report(find_runs([work_dir]), out, refresh=0.5)
    _open(browser, out.as_uri())
    browser.execute_script("window.old = true; engineReport.zoom('iteration', [100, 200])")

    os.close(descriptor)
    write_report(find_runs([work_dir]), out, refresh=0.5)

    current = f"return !window.old && {FIRST}.plot.scales.x.min === 100"
    WebDriverWait(browser, 20, ignored_exceptions=[JavascriptException]).until(
        lambda driver: driver.execute_script(current)
    )
    assert "ended" in browser.page_source


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_has_no_horizontal_scroll_and_texts_contrast(
    browser: Any, page: str, set_screen: Any, scheme: str
) -> None:
    set_screen(width=375, scheme=scheme)

    _open(browser, page)

    assert browser.execute_script("return document.documentElement.scrollWidth") == 375
    names = ["--ink", "--soft", "--link", "--warning", "--error"]
    ratios = {name: _contrast(browser, name) for name in names}
    assert all(ratio >= 4.5 for ratio in ratios.values()), ratios
    lines = {f"--c{number}": _contrast(browser, f"--c{number}") for number in range(8)}
    assert all(ratio >= 3 for ratio in lines.values()), lines


def test_page_without_javascript_has_pictures_of_curves_and_tables(browser: Any, page: str) -> None:
    from selenium.webdriver.common.by import By

    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})

    browser.get(page)

    curves = browser.find_elements(By.CSS_SELECTOR, ".plot > svg")
    assert len(curves) == 6
    assert all(one.size["height"] > 50 for one in curves)
    assert not browser.find_element(By.ID, "controls").is_displayed()
    captions = [one.text for one in browser.find_elements(By.TAG_NAME, "caption")]
    assert captions == [
        "Runs", "Checkpoints of a", "Checkpoints of b", "Where the configs differ", "Environment",
        "Warnings and errors of a", "Warnings and errors of b",
    ]  # fmt: skip


def _contrast(browser: Any, name: str) -> float:
    """Return the contrast of a color and the card's, as WCAG 2.1 defines it."""
    script = "return getComputedStyle(document.documentElement).getPropertyValue(arguments[0])"
    levels = sorted(_luminance(browser.execute_script(script, n).strip()) for n in (name, "--card"))
    return (levels[1] + 0.05) / (levels[0] + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
