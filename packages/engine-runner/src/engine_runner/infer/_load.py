"""Find the config, the weights and the class names of an inferencer."""

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine_config import Config, ConfigError
from engine_model.weights import CheckpointLoader
from engine_runner.checkpoint import backend_args_in
from engine_runner.hub import find_model, get_config
from engine_runner.infer._types import ModelType
from engine_utils import expand_home, plain_value

_CONFIG_ENDINGS = (".py", ".json", ".yaml", ".yml")


def config_and_weights(model: ModelType, scope: str | None) -> tuple[Config, str | None]:
    """Return the config of a model, and the weights that a metafile lists for it.

    Args:
        model: A config, the path of one, ``package::path``, or a name in the metafiles of the
            package ``scope``.
        scope: The package of the name.

    Raises:
        FileNotFoundError: ``model`` is the path of a config, and does not exist.
        HubError: No metafile lists the name.
        ValueError: ``model`` is a name, and there is no scope.
    """
    if isinstance(model, Config):
        return copy.deepcopy(model), None
    if isinstance(model, Mapping):
        return Config(model), None
    if not isinstance(model, str | os.PathLike):
        raise TypeError(
            "model must be a config, its path, or the name of a model in a metafile, got "
            f"{type(model).__name__}"
        )
    name = os.fspath(model)
    if "::" in name:
        return get_config(name), None
    path = Path(expand_home(name))
    if path.is_file():
        return Config.fromfile(path), None
    if path.suffix in _CONFIG_ENDINGS or os.sep in name:
        raise FileNotFoundError(f"no config file {name}; a relative path begins in {Path.cwd()}")
    if scope is None:
        raise ValueError(
            f"model must be the path of a config, or a name in the metafiles of a package, got "
            f"{name!r} without a package; pass scope='package'"
        )
    entry = find_model(scope, name)
    return Config.fromfile(entry.config), entry.weights


def read_weights(weights: str, cfg: Config) -> Any:
    """Return a checkpoint, read as a run of a config reads it: with ``backend_args`` of its hook.

    Args:
        weights: The path or address.
        cfg: The config; an empty one if it is that of the checkpoint.

    Raises:
        CheckpointError: There is no such checkpoint, or it is damaged.
    """
    arguments = backend_args_in(cfg, weights)
    return CheckpointLoader.load_checkpoint(weights, map_location="cpu", backend_args=arguments)


def config_in(checkpoint: Any, weights: str) -> Config:
    """Return the config that a checkpoint contains, without running code from it.

    Args:
        checkpoint: The loaded checkpoint.
        weights: Its path, for errors.

    Raises:
        ValueError: The checkpoint has no config, or one that only running it could read.
    """
    text = _meta(checkpoint).get("cfg")
    way_out = "pass the config as model"
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{weights} must contain the config of its model, got none; {way_out}")
    try:
        return Config.fromstring(text, ".py", execute=False)
    except ConfigError as error:
        raise ValueError(f"the config in {weights} cannot be read: {error}; {way_out}") from error


def unimported(cfg: Config) -> list[str]:
    """Return the modules that a config names in ``custom_imports``."""
    imports = (cfg.get("custom_imports") or {}).get("imports") or []
    return [imports] if isinstance(imports, str) else list(imports)


def dataset_meta_of(checkpoint: Any, cfg: Config) -> dict[str, Any]:
    """Return the class names and other metainfo of the data that a model was trained on.

    They come from ``meta.dataset_meta`` of the checkpoint, from ``meta.CLASSES`` of an old one, or
    else from ``metainfo`` of the test data in the config. The result is empty if there are none.

    Args:
        checkpoint: The loaded checkpoint, or None.
        cfg: The config.
    """
    meta = _meta(checkpoint)
    if isinstance(meta.get("dataset_meta"), Mapping):
        return {str(key).lower(): value for key, value in meta["dataset_meta"].items()}
    if meta.get("CLASSES") is not None:
        names = {"classes": meta["CLASSES"], "palette": meta.get("PALETTE")}
        return {key: plain_value(value) for key, value in names.items() if value is not None}
    metainfo = test_data(cfg).get("metainfo")
    return {str(k).lower(): v for k, v in metainfo.items()} if isinstance(metainfo, Mapping) else {}


def test_loader(cfg: Config) -> Mapping[str, Any]:
    """Return the config of the test data, the first where there are several; or an empty one."""
    loader = cfg.get("test_dataloader") or {}
    while isinstance(loader, Mapping) and loader and "dataset" not in loader:
        loader = next(iter(loader.values()))  # of several sets by name
    return loader if isinstance(loader, Mapping) else {}


def test_data(cfg: Config) -> Mapping[str, Any]:
    """Return the config of the test dataset, inside its wrappers; empty if none is set."""
    dataset: Any = test_loader(cfg).get("dataset") or {}
    while isinstance(dataset, Mapping) and "pipeline" not in dataset and "dataset" in dataset:
        dataset = dataset["dataset"]
    return dataset if isinstance(dataset, Mapping) else {}


def _meta(checkpoint: Any) -> Mapping[str, Any]:
    meta = checkpoint.get("meta") if isinstance(checkpoint, Mapping) else None
    return meta if isinstance(meta, Mapping) else {}
