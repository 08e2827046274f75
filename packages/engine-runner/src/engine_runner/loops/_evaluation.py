"""Validate and test: one pass over the data, and the metrics."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from engine_dataset import ResumableDataLoader, rank_positions
from engine_registry import LOOPS
from engine_runner._autocast import autocast
from engine_runner._loaders import batches_of, no_batch, samples_of
from engine_runner._protocols import Run
from engine_runner._types import Batch
from engine_runner.loops._base import BaseLoop

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from engine_evaluator import Evaluator


class _EvaluationLoop(BaseLoop):
    """Base of validation and test, which differ in the model's step and the hook points."""

    _mode: str

    def __init__(
        self,
        runner: Run,
        dataloader: "DataLoader[Any] | Mapping[str, Any]",
        evaluator: "Evaluator | Mapping[str, Any] | Sequence[Any]",
        fp16: bool = False,
    ) -> None:
        super().__init__(runner, dataloader)
        self.evaluator: Evaluator = runner.build_evaluator(evaluator)
        self.fp16 = fp16
        # Any iterable of batches may be the data, also one without a dataset.
        metainfo = getattr(getattr(self.dataloader, "dataset", None), "metainfo", None)
        if metainfo is not None:
            self.evaluator.dataset_meta = metainfo
            runner.visualizer.dataset_meta = metainfo

    def run(self) -> dict[str, Any]:
        """Evaluate the model, and return the metrics by name.

        The points at which hooks act, ``MODE`` being ``val`` or ``test``::

            before_MODE
                before_MODE_epoch
                    before_MODE_iter
                    after_MODE_iter
                after_MODE_epoch
            after_MODE
        """
        runner, mode = self._runner, self._mode
        runner.call_hook(f"before_{mode}")
        runner.call_hook(f"before_{mode}_epoch")
        runner.model.eval()
        if isinstance(self.dataloader, ResumableDataLoader):
            self.dataloader.restart()  # each evaluation augments alike
        idx = -1
        for idx, data_batch in enumerate(batches_of(self.dataloader)):
            self.run_iter(idx, data_batch)
        if idx < 0 and runner.world_size == 1:
            raise no_batch(f"{mode}_dataloader", self.dataloader)
        metrics = self.evaluator.evaluate(self._size())
        runner.call_hook(f"after_{mode}_epoch", metrics=metrics)
        runner.call_hook(f"after_{mode}")
        return metrics

    def _size(self) -> int | None:
        """Return the number of samples without padding; None keeps all results."""
        resumable = isinstance(self.dataloader, ResumableDataLoader)
        # One process has no padding, and its sampler may yield more samples than the dataset has.
        if not resumable and self._runner.world_size == 1:
            return None
        return samples_of(self.dataloader)

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: Batch) -> None:
        """Predict one batch, and pass predictions and batch to the evaluator.

        Args:
            idx: Index of the batch, from 0.
            data_batch: The batch as the data loader yields it.
        """
        runner, mode = self._runner, self._mode
        runner.call_hook(f"before_{mode}_iter", batch_idx=idx, data_batch=data_batch)
        # By name at each batch: a hook may exchange the model for the time of an evaluation.
        step = getattr(runner.model, f"{mode}_step")
        with autocast(enabled=self.fp16):
            outputs = step(data_batch)
        # Samplers repeat samples so that all ranks have as many; indices reveal the repetitions.
        indices = getattr(self.dataloader, "batch_indices", None)
        if indices is None and runner.world_size > 1:
            indices = rank_positions(self.dataloader, idx)
        known = {} if indices is None else {"indices": indices}
        self.evaluator.process(data_samples=outputs, data_batch=data_batch, **known)
        runner.call_hook(
            f"after_{mode}_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs
        )


@LOOPS.register_module()
class ValLoop(_EvaluationLoop):
    """Validate a model on data that it is not trained on.

    Args:
        runner: The run.
        dataloader: The validation data, or its config.
        evaluator: An evaluator, a metric, several, or configs of them.
        fp16: Predict in mixed precision.

    Example:
        >>> val_cfg = dict(type="ValLoop", fp16=True)  # of a config: predict in mixed precision
    """

    _mode = "val"


@LOOPS.register_module()
class TestLoop(_EvaluationLoop):
    """Test a trained model.

    Args:
        runner: The run.
        dataloader: The test data, or its config.
        evaluator: An evaluator, a metric, several, or configs of them.
        fp16: Predict in mixed precision.

    Example:
        >>> test_cfg = dict(type="TestLoop", fp16=True)  # of a config: predict in mixed precision
    """

    __test__ = False  # pytest must not collect it
    _mode = "test"
