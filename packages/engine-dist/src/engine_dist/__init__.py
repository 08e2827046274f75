"""Process groups, collectives and devices that work with one process or a thousand."""

__all__: list[str] = []
