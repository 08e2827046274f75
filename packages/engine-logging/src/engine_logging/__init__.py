"""Loggers that know their rank, and a hub for the numbers of a run."""

__all__: list[str] = []
