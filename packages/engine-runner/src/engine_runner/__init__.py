"""Train, validate and test PyTorch models from a config file."""

__all__: list[str] = []
