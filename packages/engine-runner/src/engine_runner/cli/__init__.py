"""The command ``engine``: train, test, and look at configs and the environment."""

from engine_runner.cli._app import main

__all__ = ["main"]
