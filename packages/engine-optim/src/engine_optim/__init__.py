"""Optimizer wrappers, constructors and schedulers of any hyper-parameter."""

__all__: list[str] = []
