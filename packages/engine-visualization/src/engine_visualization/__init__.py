"""Draw samples, record scalars and plot the curves of a run."""

__all__: list[str] = []
