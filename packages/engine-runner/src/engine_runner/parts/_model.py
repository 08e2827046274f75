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
    if data_preprocessor is not None and isinstance(model, Mapping):
        model = {"data_preprocessor": data_preprocessor, **model}
    return strategy.build(build, model)


def model_name(model: nn.Module, strategy: Strategy) -> str:
    """Return the class name of a model inside the wrapper of its strategy."""
    return class_name(strategy.unwrap(model))


def prepare(model: nn.Module, strategy: Strategy, optim_wrapper: Any) -> nn.Module:
    """Return the model on its device and in its wrapper, with its frozen parameters.

    Args:
        model: The model.
        strategy: Places, compiles and wraps it.
        optim_wrapper: The setting, whose ``custom_keys`` may have ``requires_grad``. Parameters are
            frozen before the model is wrapped, as a wrapper waits for the gradient of each
            trainable one.
    """
    if isinstance(optim_wrapper, Mapping) and "constructor" not in optim_wrapper:
        freeze_parameters(model, optim_wrapper.get("paramwise_cfg"))
    return strategy.prepare(model)
