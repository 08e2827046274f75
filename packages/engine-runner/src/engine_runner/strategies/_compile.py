"""Compile a model, some of its modules or its steps, in place."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from engine_model import (
    BaseModel,
    MMDistributedDataParallel,
    MMFullyShardedDataParallel,
    compile_forwards,
    compile_step,
    select_modules,
)
from engine_runner._class_name import class_name
from engine_runner._errors import SettingsError
from engine_runner._rules import compile_rule

MODEL, STEP = "model", "step"
# Methods of a model by their names, as configs of the field give them.
_OTHER_NAMES = {"forward": MODEL, "train_step": STEP}
_STEPS = (
    BaseModel.train_step,
    MMDistributedDataParallel.train_step,
    MMFullyShardedDataParallel.train_step,
)

_log = logging.getLogger("engine.runner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """What to compile, and how.

    Attributes:
        target: ``"model"``, ``"step"``, or names of modules and of their classes.
        options: Arguments of `torch.compile`.

    Example:
        >>> Compilation.of({"target": ["backbone"], "dynamic": True})
        Compilation(target=('backbone',), options={'dynamic': True})
        >>> Compilation.of(True)
        Compilation(target='model', options={})
    """

    target: str | tuple[str, ...]
    options: dict[str, Any]

    @classmethod
    def of(cls, setting: bool | Mapping[str, Any]) -> "Compilation | None":
        """Return the compilation that the setting ``compile`` asks for, or None for none.

        Args:
            setting: A switch, or arguments of `torch.compile` and the key ``target``.

        Raises:
            SettingsError: It has another type, or an argument that does not exist.
        """
        for _, message in compile_rule("compile", setting):
            raise SettingsError(message)
        if not isinstance(setting, Mapping):
            return cls(target=MODEL, options={}) if setting else None
        options = dict(setting)
        target = options.pop("target", MODEL)
        names = _OTHER_NAMES.get(target, target) if isinstance(target, str) else tuple(target)
        if isinstance(names, str) and names not in (MODEL, STEP):
            names = (names,)
        return cls(target=names, options=options)

    def before_wrapping(self, model: nn.Module) -> None:
        """Compile the model or its modules, which keep their names.

        Args:
            model: The model, without its wrapper.

        Raises:
            SettingsError: The model has no module of a name or class.
        """
        if self.target == MODEL:
            self._compile({model: "model"})
        elif self.target != STEP:
            try:
                modules = select_modules(model, self.target, "compile.target")
            except ValueError as error:
                raise SettingsError(f"{error}; 'model' and 'step' compile all of it") from error
            self._compile(modules)

    def _compile(self, modules: Mapping[nn.Module, str]) -> None:
        """Compile modules in place: `torch.compile` would return ones with other names."""
        of_torch = {
            module: name
            for module, name in modules.items()
            if type(module).forward.__module__.startswith("torch.")
        }
        for module in modules:
            if module not in of_torch:
                module.compile(**self.options)
        compile_forwards(of_torch, **self.options)

    def after_wrapping(self, wrapped: nn.Module, model: nn.Module) -> None:
        """Compile the steps.

        Args:
            wrapped: The model in its wrapper, or the model itself.
            model: The model.

        Raises:
            SettingsError: The steps are not those of `engine_model.BaseModel`.
        """
        if self.target != STEP:
            return
        own = getattr(type(wrapped), "train_step", None)
        inner = getattr(type(model), "train_step", None)
        if own not in _STEPS or inner is not BaseModel.train_step:
            kind = class_name(model if own in _STEPS else wrapped)
            raise SettingsError(
                f"compile.target must be 'model' or names of modules for {kind}, which has a "
                "train_step of its own, got 'step'"
            )
        for name in ("val_step", "test_step"):
            if getattr(type(model), name) is not getattr(BaseModel, name):
                _log.warning(
                    "%s has a %s of its own, which runs uncompiled; compile.target='model' "
                    "compiles its forward pass",
                    *(class_name(model), name),
                )
        compile_step(wrapped, **self.options)
