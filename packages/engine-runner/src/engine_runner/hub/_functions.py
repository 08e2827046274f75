"""Get a config, or a model with its weights, by the path of the config."""

import os
from pathlib import Path
from typing import Any

from torch import nn

from engine_config import Config
from engine_model.weights import load_checkpoint
from engine_registry import MODELS, DefaultScope
from engine_runner.hub._index import models_in
from engine_runner.hub._packages import (
    INDEX,
    HubError,
    config_folders,
    configs_of,
    folders_with_index,
    import_parts,
)
from engine_utils import closest_names, expand_home


def get_config(cfg_path: str, pretrained: bool = False) -> Config:
    """Return a config that an installed package ships.

    Args:
        cfg_path: ``package::path``, with the path relative to the package's folder of configs, or
            the path of a file. The ending ``.py`` may be left out.
        pretrained: Whether to set ``model_path`` of the config to the address of the weights that
            the package's index of models lists for it.

    Raises:
        HubError: The package is not installed, has no such config, or lists no weights for it.

    Example:
        >>> get_config("no_such_package::resnet/resnet18.py")
        Traceback (most recent call last):
        engine_runner.hub._packages.HubError: the package 'no_such_package' is not installed; ...
    """
    file = _config_file(str(cfg_path))
    cfg = Config.fromfile(file)
    if pretrained:
        package, colons, _ = str(cfg_path).partition("::")
        cfg.model_path = _weights_of(Path(file), package if colons else None)
    return cfg


def get_model(cfg_path: str, pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Return the model of a config that an installed package ships.

    The parts of the package are registered first, and its name is the default scope during the
    build. The model has its config as ``cfg``.

    Args:
        cfg_path: As for `get_config`.
        pretrained: Whether to load the weights that the package's index of models lists.
        **kwargs: Values for the arguments of the model that the config does not set.

    Raises:
        HubError: As for `get_config`, or the config has no model.
        StateDictError: None of the weights fits the model.
    """
    package, colons, _ = str(cfg_path).partition("::")
    cfg = get_config(cfg_path, pretrained)
    if "model" not in cfg:
        raise HubError(f"{cfg_path} has no model; name the config of a model")
    scope = package if colons else cfg.get("default_scope")
    with DefaultScope.overwrite_default_scope(scope):
        if scope:
            import_parts(scope)
        if cfg.get("data_preprocessor") is not None:
            kwargs.setdefault("data_preprocessor", cfg.data_preprocessor)
        model: nn.Module = MODELS.build(cfg.model, default_args=kwargs)
    if pretrained:
        load_checkpoint(model, cfg.model_path, map_location="cpu")
    model.cfg = cfg  # type: ignore[assignment]  # a config, which torch's stub does not foresee
    return model


def _config_file(cfg_path: str) -> str:
    package, colons, inner = cfg_path.partition("::")
    if not (inner if colons else cfg_path).strip("/"):
        raise HubError(f"cfg_path must name a config, as package::path, got {cfg_path!r}")
    if not colons:
        return _existing(Path(expand_home(cfg_path))) or _no_file(cfg_path)
    for folder in config_folders(package):
        # By the text of the path: an editable install may link folders outside of the package.
        path = os.path.normpath(folder / inner)
        if os.path.isabs(inner) or not path.startswith(os.path.join(folder, "")):
            raise HubError(f"{cfg_path} leaves the package {package!r}; use a path in it")
        if found := _existing(Path(path)):
            return found
    known = configs_of(package)
    close = closest_names(inner.removesuffix(".py"), known)
    hint = f"did you mean {', '.join(close)}?" if close else f"it has {len(known)} others"
    raise HubError(f"the package {package!r} has no config {inner!r}; {hint}")


def _existing(path: Path) -> str | None:
    for candidate in (path, path.with_name(f"{path.name}.py")):
        if candidate.is_file():
            return str(candidate)
    return None


def _no_file(cfg_path: str) -> str:
    folder = Path(expand_home(cfg_path)).parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    close = closest_names(Path(cfg_path).name, names)
    hint = f"; did you mean {', '.join(close)}?" if close else ""
    raise HubError(
        f"no config file {cfg_path}{hint}; a config of an installed package is written "
        "package::path"
    )


def _weights_of(file: Path, package: str | None) -> str:
    """Return the weights that an index of models lists for a config.

    Args:
        file: The config.
        package: The package that ships it, or None for the nearest index above the file.

    Raises:
        HubError: There is no index, or it lists no weights for the config.
    """
    listed = False
    folders = folders_with_index(file, package)
    for model in (model for root in folders for model in models_in(root)):
        if model.config.exists() and model.config.samefile(file):
            listed = True
            if model.weights:
                return model.weights
    way_out = "use pretrained=False, and load weights of your own"
    if not folders:
        place = f"the package {package!r} has" if package else f"above {file} there is"
        raise HubError(f"{place} no {INDEX}, which lists weights; {way_out}")
    lacks = "lists no weights for" if listed else "does not list"
    raise HubError(f"{folders[0] / INDEX} {lacks} {file}; {way_out}")
