"""The back end that records to Weights & Biases."""

import os
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import torch

from engine_utils import plain_value
from engine_visualization.backends._base import BaseVisBackend, ConfigLike
from engine_visualization.backends._table import import_library
from engine_visualization.drawing import to_image


class WandbVisBackend(BaseVisBackend):
    """Records scalars, images, the config and the model's gradients to Weights & Biases.

    Needs the extra ``wandb``, which is imported, and a run begun, at the first record. Without an
    account ``init_kwargs={"mode": "offline"}`` keeps the run below ``save_dir``.

    Args:
        save_dir: Folder for wandb's local files.
        init_kwargs: Arguments of ``wandb.init``; its ``dir`` is ``save_dir``.
        define_metric_cfg: Summary of each metric, as in ``{"accuracy": "max"}``.
        commit: Whether each record ends wandb's step. With False, records gather until one is
            committed through :attr:`experiment`.
        log_code_name: Name of the code artifact; with None the code is recorded under wandb's name.
        watch_kwargs: Arguments of ``wandb.watch``, which :meth:`add_graph` calls.

    Example:
        >>> WandbVisBackend("logs", init_kwargs={"mode": "offline"}).save_dir
        'logs'
    """

    def __init__(
        self,
        save_dir: str | PathLike[str],
        init_kwargs: Mapping[str, Any] | None = None,
        define_metric_cfg: Mapping[str, str] | None = None,
        commit: bool | None = True,
        log_code_name: str | None = None,
        watch_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(save_dir)
        self._init_kwargs = {"dir": self.save_dir, **(init_kwargs or {})}
        self._metrics = dict(define_metric_cfg or {})
        self._commit = commit
        self._log_code_name = log_code_name
        self._watch_kwargs = dict(watch_kwargs or {})
        self._wandb: Any = None

    @property
    def experiment(self) -> Any:
        """The module ``wandb``, with a run begun at the first use.

        Raises:
            ImportError: wandb is not installed.
        """
        if self._wandb is None:
            self._wandb = self._begin()
        return self._wandb

    def add_config(self, config: ConfigLike, **kwargs: Any) -> None:
        """Record the config's text and, where it can be read as a mapping, its values."""
        values = dict(config) if isinstance(config, Mapping) else {}
        self.experiment.config.update({**values, "config": config.pretty_text})

    def add_graph(self, model: torch.nn.Module, data_batch: Sequence[Any], **kwargs: Any) -> None:
        """Let wandb follow the model's parameters and gradients."""
        self.experiment.watch(model, **self._watch_kwargs)

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Record an image ``(H, W, 3)`` or ``(H, W)``; wandb counts steps itself."""
        pixels, wandb = to_image(image), self.experiment
        wandb.log({name: wandb.Image(pixels)}, commit=self._commit)

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a number; wandb counts steps itself."""
        self.experiment.log({name: plain_value(value, scalars=True)}, commit=self._commit)

    def add_scalars(
        self,
        scalar_dict: Mapping[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Record numbers of one step; wandb counts steps itself and keeps no ``file_path``."""
        values = plain_value(dict(scalar_dict), scalars=True)
        self.experiment.log(values, commit=self._commit)

    def close(self) -> None:
        """End the run."""
        if self._wandb is not None:
            self._wandb.finish()
            self._wandb = None

    def _begin(self) -> Any:
        wandb = import_library("WandbVisBackend", "wandb")
        os.makedirs(self.save_dir, exist_ok=True)
        run = wandb.init(**self._init_kwargs)
        for name, summary in self._metrics.items():
            run.define_metric(name, summary=summary)
        run.log_code(name=self._log_code_name)
        return wandb
