"""Rewrite one file until killed; each content is 300,000 equal bytes. Not a test module.

Started with ``python -S`` to be up quickly, so it finds the package by itself.
"""

import importlib.util
import itertools
import sys
import types
from pathlib import Path


def load_atomic_write() -> types.ModuleType:
    """Load the module of atomic writes without the rest of the package."""
    source = Path(__file__).parents[2] / "packages/engine-fileio/src/engine_fileio"
    package = types.ModuleType("engine_fileio")
    package.__path__ = [str(source)]
    sys.modules["engine_fileio"] = package
    spec = importlib.util.spec_from_file_location("engine_fileio._atomic", source / "_atomic.py")
    if spec is None or spec.loader is None:
        raise ImportError(str(source))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    atomic = load_atomic_write()
    print("writing", flush=True)
    for number in itertools.count(1):
        with atomic.atomic_write(sys.argv[1]) as file:
            for _ in range(30):
                file.write(bytes([number % 251]) * 10_000)
