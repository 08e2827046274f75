"""Base model, preprocessors, wrappers, weight initialisation, averaging and weight files."""

__all__: list[str] = []
