"""Named instances, imports, paths, versions, sequences, timers and progress: the ground floor of Engine."""

__all__: list[str] = []
