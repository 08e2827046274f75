"""Test with test-time augmentation."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from engine_config import Config
from engine_registry import HOOKS, MODELS
from engine_runner._errors import SettingsError
from engine_runner._hook import Hook
from engine_runner._loaders import is_sets
from engine_runner._protocols import Run
from engine_runner._types import Model


@HOOKS.register_module()
class PrepareTTAHook(Hook):
    """Wrap the model with a `BaseTTAModel` for the time of a test.

    The model is wrapped after its weights are loaded, and also after it is sharded, so that weights
    keep their names. After the test the run has its model back. The test data must yield several
    views of each sample; `tta_config` sets both from a config.

    Args:
        tta_cfg: The config of a subclass of `BaseTTAModel`, without ``module``.

    Raises:
        ValueError: ``tta_cfg`` has no ``type``.

    Example:
        >>> hook = PrepareTTAHook(dict(type="AverageScores"))
        >>> hook.get_triggered_stages()
        ['before_test', 'after_test']
    """

    priority = "NORMAL"

    def __init__(self, tta_cfg: Mapping[str, Any]) -> None:
        if not isinstance(tta_cfg, Mapping) or "type" not in tta_cfg:
            raise ValueError(
                "tta_cfg must be a dict with the type of a BaseTTAModel, such as "
                f"dict(type='AverageScores'), got {tta_cfg!r}"
            )
        self.tta_cfg = dict(tta_cfg)
        self._model: Model | None = None

    @contextmanager
    def around_run(self, runner: Run) -> Iterator[None]:
        """Give the run its model back, if a test ends with an error."""
        try:
            yield
        finally:
            self.after_test(runner)

    def before_test(self, runner: Run) -> None:
        """Wrap the model."""
        wrapped = MODELS.build({**self.tta_cfg, "module": runner.model})
        self._model, runner.model = runner.model, wrapped

    def after_test(self, runner: Run) -> None:
        """Give the run its model back."""
        if self._model is not None:
            runner.model, self._model = self._model, None


def tta_config(cfg: Config) -> Config:
    """Return the config of a test with the ``tta_model`` and ``tta_pipeline`` of a config.

    The pipeline of the test data is replaced by ``tta_pipeline``, also inside dataset wrappers, and
    in each of several sets. `PrepareTTAHook` is added to the hooks.

    Args:
        cfg: The config of a run, with ``tta_model``, the config of a subclass of `BaseTTAModel`,
            and ``tta_pipeline``, a list of transforms. It is not changed.

    Raises:
        SettingsError: ``tta_model``, ``tta_pipeline`` or ``test_dataloader`` is missing, or the
            test data is not a config.

    Example:
        >>> cfg = Config(dict(
        ...     tta_model=dict(type="AverageScores"),
        ...     tta_pipeline=[dict(type="Views")],
        ...     test_dataloader=dict(dataset=dict(type="Pictures", pipeline=[])),
        ... ))
        >>> tta_config(cfg).test_dataloader.dataset.pipeline
        [{'type': 'Views'}]
    """
    missing = [key for key in ("tta_model", "tta_pipeline", "test_dataloader") if not cfg.get(key)]
    if missing:
        raise SettingsError(
            f"test-time augmentation needs tta_model, tta_pipeline and test_dataloader in the "
            f"config; missing: {', '.join(missing)}"
        )
    cfg = copy.deepcopy(cfg)
    # The validation data may be the same object.
    loader = copy.deepcopy(cfg.test_dataloader)
    for one in loader.values() if is_sets(loader) else [loader]:
        _set_pipeline(one.get("dataset") if isinstance(one, Mapping) else one, cfg.tta_pipeline)
    cfg.test_dataloader = loader
    given = cfg.get("custom_hooks") or []
    hooks = [given] if isinstance(given, Mapping) else list(given)
    cfg.custom_hooks = [*hooks, {"type": "PrepareTTAHook", "tta_cfg": cfg.tta_model}]
    return cfg


def _set_pipeline(dataset: Any, pipeline: Any) -> None:
    """Set the pipeline of a dataset, or of each that it wraps."""
    if not isinstance(dataset, Mapping):
        raise SettingsError(
            "test-time augmentation needs the config of the test dataset, got "
            f"{type(dataset).__name__}; give dict(type=..., pipeline=...)"
        )
    inner = [dataset["dataset"]] if "dataset" in dataset else dataset.get("datasets", ())
    for item in inner:
        _set_pipeline(item, pipeline)
    if not inner:
        dataset["pipeline"] = copy.deepcopy(pipeline)  # type: ignore[index]  # a dict of a config
