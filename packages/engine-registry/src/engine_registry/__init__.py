"""Find and build classes and functions by name, across packages and scopes."""

__all__: list[str] = []
