"""Typed containers for the annotations and predictions of a sample."""

__all__: list[str] = []
