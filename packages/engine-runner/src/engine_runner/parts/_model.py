"""Build the model."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from engine_optim import freeze_parameters
from engine_registry import MODELS
from engine_runner._class_name import class_name
from engine_runner._types import Config
from engine_runner.strategies import Strategy


def build_model(model: nn.Module | Config) -> nn.Module:
    """Return the model of a config, or the model given.

    Args:
        model: A model or its config.

    Raises:
        TypeError: ``model`` is neither a module nor a config.
    """
    if isinstance(model, nn.Module):
        return model
    if not isinstance(model, Mapping):
        raise TypeError(f"model must be a torch.nn.Module or a config, got {type(model).__name__}")
    built: nn.Module = MODELS.build(dict(model))
    return built


def build_for(
    strategy: Strategy,
    build: Callable[[Any], nn.Module],
    model: nn.Module | Config,
    data_preprocessor: Any,
) -> nn.Module:
    """Return the model of a run, built as its strategy needs it.

    Args:
        strategy: Chooses the memory of the parameters.
        build: Builds a model from its config.
        model: The setting.
        data_preprocessor: The preprocessor of the run, for a config that has none.
    """
    return strategy.build(build, with_preprocessor(model, data_preprocessor))


def with_preprocessor(model: nn.Module | Config, data_preprocessor: Any) -> nn.Module | Config:
    """Return the setting of a model, with the preprocessor of the run if its config has none."""
    if data_preprocessor is None or not isinstance(model, Mapping):
        return model
    return {"data_preprocessor": data_preprocessor, **model}


def model_name(model: nn.Module, strategy: Strategy) -> str:
    """Return the class name of a model inside the wrapper of its strategy."""
    return class_name(strategy.unwrap(model))


def freeze(model: nn.Module, optim_wrapper: Any) -> None:
    """Freeze the parameters whose ``custom_keys`` have ``requires_grad=False``.

    They must be frozen before the model is wrapped: a wrapper waits for the gradient of each
    trainable one.

    Args:
        model: The model.
        optim_wrapper: The setting.
    """
    if isinstance(optim_wrapper, Mapping) and "constructor" not in optim_wrapper:
        freeze_parameters(model, optim_wrapper.get("paramwise_cfg"))
