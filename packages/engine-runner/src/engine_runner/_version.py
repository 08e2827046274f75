"""The version of engine-runner; its own module, so that rooms below the package read it."""

__version__ = "0.1.0"
