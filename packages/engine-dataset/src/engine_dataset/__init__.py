"""Datasets, samplers and loaders that share memory and resume exactly."""

__all__: list[str] = []
