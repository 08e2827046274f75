"""Put the sections, the points and the scripts together to one page."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from html import escape
from importlib.resources import files

from engine_runner.report import _sections as sections
from engine_runner.report._panels import as_json, encode, panels_of
from engine_runner.report._run import RunData

_SECTIONS = {
    "pictures": ("Sample predictions", sections.pictures),
    "checkpoints": ("Checkpoints", sections.checkpoints),
    "configs": ("Configs", sections.configs),
    "environment": ("Environment", sections.environment),
    "messages": ("Warnings and errors", sections.messages),
}
_CONTROLS = (
    '<form id="controls" hidden><label>smoothing <input id="smoothing" type="range" min="0" '
    'max="0.99" step="0.01" value="0"> <output id="smoothing-value">0</output></label>'
    '<label><input id="log-scale" type="checkbox"> logarithmic</label>'
    '<span><button id="zoom-in" type="button">zoom in</button> <button id="zoom-out" '
    'type="button">zoom out</button> <button id="reset" type="button">show all</button></span>'
    "</form>"
    '<p class="hint" hidden>Drag over a curve to zoom; double click shows all. On a focused curve: '
    "+, -, arrows and Escape. A click in the legend hides a run.</p>"
)


def page(runs: Sequence[RunData], refresh: float | None = None) -> str:
    """Return the page about runs.

    Args:
        runs: The runs, in the order of the page.
        refresh: Reload the page after as many seconds; never by default.
    """
    panels = panels_of(runs)
    index, texts = encode(panels)
    title = ", ".join(run.name for run in runs[:3]) + (" …" if len(runs) > 3 else "")
    scripts = [_asset("uPlot.iife.min.js"), _asset("report.js")]
    facts = as_json({"runs": [run.name for run in runs], "refresh": refresh})
    body = "".join(
        f'<section id="{name}"><h2>{heading}</h2>{content(runs)}</section>'
        for name, (heading, content) in _SECTIONS.items()
    )
    links = "".join(f'<a href="#{name}">{heading}</a>' for name, (heading, _) in _SECTIONS.items())
    data = "".join(
        f'<script type="text/plain" id="points-{n}">{text}</script>' for n, text in enumerate(texts)
    )
    made = datetime.now().strftime("%Y/%m/%d %H:%M:%S")
    return (
        f"{_head(title, scripts, refresh)}"
        f'<body><header><h1>{escape(title)}</h1><p>Report of {made}</p><nav aria-label="sections">'
        f'<a href="#curves">Curves</a>{links}</nav></header><main>'
        f"{sections.overview(runs, panels)}"
        f'<section id="curves"><h2>Curves</h2>{_CONTROLS}{_legend(runs)}{sections.charts(panels)}'
        f"</section>{body}</main>{data}"
        f'<script type="application/json" id="facts">{facts}</script>'
        f'<script type="application/json" id="panels">{index}</script>'
        f"{''.join(f'<script>{script}</script>' for script in scripts)}</body></html>\n"
    )


def _head(title: str, scripts: Sequence[str], refresh: float | None) -> str:
    # Only our own scripts run, and nothing is loaded, whatever a log or a config contains.
    hashes = " ".join(f"'sha256-{_hash(script)}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    reload = f'<noscript><meta http-equiv="refresh" content="{refresh}"></noscript>'
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark">{reload if refresh else ""}'
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title>'
        f"<style>{_asset('uPlot.min.css')}{_asset('report.css')}</style></head>"
    )


def _legend(runs: Sequence[RunData]) -> str:
    entries = "".join(
        f'<li><button type="button" data-run="{n}" aria-pressed="true">{sections.swatch(n)}'
        f"{escape(run.name)}</button></li>"
        for n, run in enumerate(runs)
    )
    return f'<ul class="legend" aria-label="runs">{entries}</ul>'


def _asset(name: str) -> str:
    return (files("engine_runner.report") / "assets" / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
