"""Metrics over all ranks, exact in number and order."""

__all__: list[str] = []
