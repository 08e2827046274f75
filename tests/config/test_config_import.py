"""Modules that `import engine_config` must not load."""

import subprocess
import sys

import pytest

import engine_config

# Slow to import, and needed only to read, print or check a config.
LATER = {
    "argparse",
    "ast",
    "dataclasses",
    "difflib",
    "engine_fileio",
    "engine_utils",
    "inspect",
    "json",
    "yaml",
}


def test_import_does_not_load_the_modules_for_reading_and_checking() -> None:
    code = (
        "import sys; old = set(sys.modules); import engine_config; print(*set(sys.modules) - old)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=600
    )
    assert "engine_config" in done.stdout.split()
    assert LATER.isdisjoint(done.stdout.split())


def test_unknown_name_of_the_package_raises() -> None:
    with pytest.raises(AttributeError, match="'engine_config' has no attribute 'Confg'"):
        engine_config.Confg  # noqa: B018  # the access itself is what is tested
