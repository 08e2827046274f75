"""The built site: ``scripts/docs`` builds it before these tests run."""

import subprocess
import sys
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs/_build/html"
PUBLIC_NAMES = """
import sys
sys.path.insert(0, sys.argv[1])
from public_names import public_names
print(*sorted({name.home for name in public_names()}))
"""

pytestmark = pytest.mark.skipif(
    not (SITE / "objects.inv").exists(), reason="the site is not built; run: make docs"
)


def page(name: str) -> str:
    return (SITE / name).read_text()


def test_every_public_name_has_an_entry() -> None:
    body = zlib.decompress((SITE / "objects.inv").read_bytes().split(b"\n", 4)[4]).decode()
    entries = {line.split()[0] for line in body.splitlines() if " py:" in line}
    command = [sys.executable, "-c", PUBLIC_NAMES, str(ROOT / "docs/_ext")]

    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    assert len(names) > 600
    assert [name for name in names if name not in entries] == []


def test_hooks_are_listed_with_priority_points_and_parameters() -> None:
    text = page("reference/hooks.html")

    for word in ("EMAHook", "49", "before_save_checkpoint", "ema_type", "patience"):
        assert word in text


def test_config_keys_are_listed_with_their_registries() -> None:
    text = page("reference/config-keys.html")

    for word in ("activation_checkpointing", "PARAM_SCHEDULERS", "batch_sampler", "TestLoop"):
        assert word in text


def test_names_in_code_lead_to_the_reference_and_outside() -> None:
    link = 'href="../reference/api/engine_runner.html#engine_runner.Runner"'

    assert link in page("packages/engine-runner.html")
    assert "https://docs.pytorch.org/docs/stable/" in page("reference/api/engine_optim.html")


def test_dead_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here">1</a> <a href="b.html#there">2</a> <a href="c.html">3</a>'
        '<a href="https://docs.python.org/3/library/pathlib.html#pathlib.Path">4</a>'
        '<a href="https://docs.python.org/3/library/pathlib.html#pathlib.Pth">5</a>'
        '<a href="https://no host/">6</a>'
    )
    (tmp_path / "b.html").write_text('<p id="here">')
    command = [sys.executable, str(ROOT / "docs/_ext/site_links.py"), str(tmp_path)]

    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "a.html: b.html#there",
        "a.html: c.html",
        "a.html: https://docs.python.org/3/library/pathlib.html#pathlib.Pth",
        "a.html: https://no host/",
    ]
