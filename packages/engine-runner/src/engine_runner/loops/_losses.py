"""The mean losses of a validation or a test, exact over batches and ranks."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from engine_dist import all_gather_object
from engine_evaluator import drop_padding
from engine_model import BaseTTAModel, is_model_wrapper
from engine_runner._batch_size import samples_in
from engine_runner._errors import SettingsError
from engine_runner._types import Batch, Model

_METHODS = ("data_preprocessor", "_run_forward", "parse_losses")


class MeanLosses:
    """Sum the losses of each batch on the device, and return their means per sample.

    Each batch counts by its number of samples; padding of a sampler does not count. Values are
    read from the device once, at the end.

    Args:
        setting: The setting that asks for losses, such as ``"val_cfg.compute_loss"``.

    Example:
        >>> losses = MeanLosses("val_cfg.compute_loss")
        >>> losses.add({"loss": torch.tensor(1.0)}, 3)
        >>> losses.add({"loss": torch.tensor(5.0)}, 1)
        >>> losses.means()
        {'loss': 2.0}
    """

    def __init__(self, setting: str) -> None:
        self._setting = setting
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add_batch(
        self,
        model: Model,
        data_batch: Batch,
        indices: Sequence[int | None] | None,
        dataloader: Any = None,
    ) -> None:
        """Run the model in the mode ``"loss"``, and add its losses.

        Args:
            model: The model, in its wrapper and in evaluation mode.
            data_batch: The batch as the data loader yields it.
            indices: The index of each sample, and None for padding; None if they are unknown.
            dataloader: The loader, whose batch size helps to count samples of unknown indices.

        Raises:
            SettingsError: The model is not a `BaseModel` or does test-time augmentation, or the
                number of samples is unknown.
        """
        count = None if indices is None else sum(index is not None for index in indices)
        if indices is not None and 0 < (count or 0) < len(indices):
            data_batch, _, _ = drop_padding(data_batch, list(indices), indices)
        if count is None:
            count = samples_in(data_batch, dataloader)
        if count is None:
            raise SettingsError(
                f"{self._setting} needs the number of samples of a batch, got a "
                f"{type(data_batch).__name__} without one; give the data loader as a config, or "
                "set compute_loss=False"
            )
        # A batch of padding alone runs all the same: ranks that share a model must run together.
        self.add(self._losses(model, data_batch), count)

    def add(self, losses: Mapping[str, Tensor], count: int) -> None:
        """Add the losses of a batch of ``count`` samples."""
        for name, value in losses.items():
            if "loss" not in name or not count:
                continue
            # Many batches are summed; Apple's devices have no double precision.
            precision = torch.float32 if value.device.type == "mps" else torch.float64
            weighted = value.detach().to(precision) * count
            former = self._sums.get(name)
            self._sums[name] = weighted if former is None else former + weighted
            self._counts[name] = self._counts.get(name, 0) + count

    def means(self) -> dict[str, float]:
        """Return the mean of each loss over the samples of all ranks; all ranks must call this."""
        values = torch.stack(list(self._sums.values())).tolist() if self._sums else []
        own = {
            name: (value, self._counts[name])
            for name, value in zip(self._sums, values, strict=True)
        }
        ranks = all_gather_object(own)
        names = dict.fromkeys(name for rank in ranks for name in rank)
        totals = {name: [rank[name] for rank in ranks if name in rank] for name in names}
        return {
            name: sum(value for value, _ in found) / sum(count for _, count in found)
            for name, found in totals.items()
        }

    def beside(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Return the metrics and the mean losses; all ranks must call this.

        Raises:
            SettingsError: A metric has the name of a loss.
        """
        means = self.means()
        for name in means:
            if name in metrics:
                raise SettingsError(
                    f"{self._setting} must report names that no metric has, got {name!r} from "
                    "both; set a prefix of the metric, such as prefix='metric', or "
                    "compute_loss=False"
                )
        return {**metrics, **means}

    def _losses(self, model: Model, data_batch: Batch) -> dict[str, Tensor]:
        inner: Any = model.module if is_model_wrapper(model) else model
        if isinstance(inner, BaseTTAModel):
            raise SettingsError(
                f"{self._setting} must be False with test-time augmentation, got True: "
                f"{type(inner).__name__} merges predictions and has no losses"
            )
        missing = [name for name in _METHODS if not hasattr(inner, name)]
        if missing:
            raise SettingsError(
                f"{self._setting} needs a model with {', '.join(_METHODS)}, and "
                f"{type(inner).__name__} has no {missing[0]}; derive it from "
                "engine_model.BaseModel, or set compute_loss=False"
            )
        data = inner.data_preprocessor(data_batch, False)
        _, losses = inner.parse_losses(inner._run_forward(data, "loss"))
        found: dict[str, Tensor] = losses
        return found
