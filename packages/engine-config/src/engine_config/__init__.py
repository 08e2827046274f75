"""Configuration files that inherit, merge, and say where each value came from."""

__all__: list[str] = []
