"""Validate and test: one pass over the data, and the metrics."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch

from engine_dataset import ResumableDataLoader, rank_positions
from engine_registry import LOOPS
from engine_runner._autocast import autocast
from engine_runner._loader_rules import evaluators_by_set
from engine_runner._loaders import batches_of, evaluated_samples, length_of, metainfo_of, no_batch
from engine_runner._protocols import Run
from engine_runner._types import Batch
from engine_runner.loops._base import BaseLoop
from engine_runner.loops._losses import MeanLosses

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from engine_evaluator import Evaluator

_FULL_PRECISION = nullcontext()


class _EvaluationLoop(BaseLoop):
    """Base of validation and test, which differ in the model's step and the hook points.

    Attributes:
        evaluator: The evaluator, or one for each set by its name.
        current_set: The name of the set that is being evaluated, of several; else empty.
    """

    _mode: str

    def __init__(
        self,
        runner: Run,
        dataloader: "DataLoader[Any] | Mapping[str, Any]",
        evaluator: "Evaluator | Mapping[str, Any] | Sequence[Any]",
        fp16: bool = False,
        *,
        compute_loss: bool = False,
        num_batch_per_epoch: int | None = None,
    ) -> None:
        self._setting = f"{self._mode}_dataloader"
        super().__init__(runner, dataloader, num_batch_per_epoch=num_batch_per_epoch)
        self.evaluator: Any = self._built_evaluator(evaluator)
        self.fp16 = fp16
        self.compute_loss = compute_loss
        self.current_set = ""
        self._losses: MeanLosses | None = None
        self._noted: set[str] = set()  # data without a length
        for name, loader in self._sets().items():
            self._show_meta(loader, self._evaluator_of(name))

    def run(self) -> dict[str, Any]:
        """Evaluate the model, and return the metrics by name.

        The points at which hooks act, ``MODE`` being ``val`` or ``test``::

            before_MODE
                before_MODE_epoch
                    before_MODE_iter
                    after_MODE_iter
                after_MODE_epoch
            after_MODE

        Several sets are evaluated in turn, and ``batch_idx`` begins at 0 for each. All of them are
        one epoch: ``after_MODE_epoch`` gets the metrics of all, named ``<set>/<metric>``. A hook
        with the methods ``before_MODE_set(runner, name)`` and ``after_MODE_set(runner, name,
        metrics)`` acts before and after each set.
        """
        runner, mode = self._runner, self._mode
        runner.call_hook(f"before_{mode}")
        runner.call_hook(f"before_{mode}_epoch")
        runner.model.eval()
        metrics: dict[str, Any] = {}
        if isinstance(self.dataloader, Mapping):
            for name in self.dataloader:
                metrics |= self._run_set(name)
        else:
            metrics = self._run_pass("")
        runner.call_hook(f"after_{mode}_epoch", metrics=metrics)
        runner.call_hook(f"after_{mode}")
        return metrics

    def _run_set(self, name: str) -> dict[str, Any]:
        """Evaluate one of several sets, and return its metrics with its name."""
        runner, mode = self._runner, self._mode
        self.current_set = name
        try:
            # The sets may share an evaluator, and the visualizer draws for one at a time.
            self._show_meta(self.current_dataloader, self._evaluator_of(name))
            runner.call_hook(f"before_{mode}_set", name=name)
            found = self._run_pass(name)
            metrics = {f"{name}/{metric}": value for metric, value in found.items()}
            runner.call_hook(f"after_{mode}_set", name=name, metrics=metrics)
        finally:
            self.current_set = ""
        return metrics

    def _run_pass(self, name: str) -> dict[str, Any]:
        """Return the metrics of a pass over the data of a set, or over all data."""
        loader, evaluator = self.current_dataloader, self._evaluator_of(name)
        place = f"{self._mode}_dataloader.{name}".rstrip(".")
        self._losses = MeanLosses(f"{self._mode}_cfg.compute_loss") if self.compute_loss else None
        if isinstance(loader, ResumableDataLoader):
            loader.restart()  # each evaluation augments alike
        if length_of(loader) is None and place not in self._noted:
            self._noted.add(place)
            self._runner.logger.info(
                f"{place} has no length, and is read to its end; for data without an end, set "
                f"num_batch_per_epoch in {self._mode}_cfg"
            )
        idx = -1
        for idx, data_batch in enumerate(batches_of(loader)):
            self.run_iter(idx, data_batch)
        if idx < 0 and self._runner.world_size == 1:
            raise no_batch(place, loader)
        metrics: dict[str, Any] = evaluator.evaluate(self._size(loader))
        return metrics if self._losses is None else self._losses.beside(metrics)

    @property
    def current_dataloader(self) -> Any:
        """The data loader of the set that is being evaluated; all data between evaluations."""
        return self.dataloader[self.current_set] if self.current_set else self.dataloader

    def _sets(self) -> dict[str, Any]:
        several = isinstance(self.dataloader, Mapping)
        return dict(self.dataloader) if several else {"": self.dataloader}

    def _evaluator_of(self, name: str) -> Any:
        return self.evaluator[name] if name else self.evaluator

    def _built_evaluator(self, evaluator: Any) -> Any:
        build = self._runner.build_evaluator
        if not isinstance(self.dataloader, Mapping):
            return build(evaluator)
        separate = evaluators_by_set(evaluator)
        return {name: build(evaluator[name] if separate else evaluator) for name in self.dataloader}

    def _show_meta(self, loader: Any, evaluator: Any) -> None:
        """Give evaluator and visualizer the meta data of a dataset."""
        # Any iterable of batches may be the data, also one without a dataset.
        metainfo = metainfo_of(loader)
        if metainfo is not None:
            evaluator.dataset_meta = metainfo
            self._runner.visualizer.dataset_meta = metainfo

    def _size(self, loader: Any) -> int | None:
        """Return the number of samples without padding; None keeps all results."""
        # One process has no padding, and its sampler may yield more samples than the dataset has.
        if not isinstance(loader, ResumableDataLoader) and self._runner.world_size == 1:
            return None
        return evaluated_samples(loader, self._runner.world_size)

    def run_iter(self, idx: int, data_batch: Batch) -> None:
        """Predict one batch, and pass predictions and batch to the evaluator.

        Args:
            idx: Index of the batch, from 0.
            data_batch: The batch as the data loader yields it.
        """
        runner, mode, loader = self._runner, self._mode, self.current_dataloader
        # Not as a decorator, which makes a context of its own at each call.
        with torch.no_grad():
            runner.call_hook(f"before_{mode}_iter", batch_idx=idx, data_batch=data_batch)
            # Samplers repeat samples so that all ranks have as many; indices reveal the
            # repetitions.
            indices = getattr(loader, "batch_indices", None)
            if indices is None and runner.world_size > 1:
                indices = rank_positions(loader, idx)
            # By name at each batch: a hook may exchange the model for the time of an evaluation.
            step = getattr(runner.model, f"{mode}_step")
            with autocast() if self.fp16 else _FULL_PRECISION:
                outputs = step(data_batch)
                if self._losses is not None:
                    self._losses.add_batch(runner.model, data_batch, indices, loader)
            evaluator = self._evaluator_of(self.current_set)
            takes = indices is not None and _takes_indices(type(evaluator).process)
            known = {"indices": indices} if takes else {}
            evaluator.process(data_samples=outputs, data_batch=data_batch, **known)
            runner.call_hook(
                f"after_{mode}_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs
            )


@cache
def _takes_indices(process: Callable[..., None]) -> bool:
    """Return whether an evaluator's `process` has the parameter that ours adds to the manual's."""
    parameters = signature(process).parameters.values()
    return any(one.name == "indices" or one.kind is one.VAR_KEYWORD for one in parameters)


@LOOPS.register_module()
class ValLoop(_EvaluationLoop):
    """Validate a model on data that it is not trained on.

    Args:
        runner: The run.
        dataloader: The validation data, or its config; several sets by name.
        evaluator: An evaluator, a metric, several, or configs of them. With several sets, it is
            built for each, or it is a mapping by the names of the sets.
        fp16: Predict in mixed precision.
        compute_loss: Report the losses of the data, too; see `MeanLosses`.
        num_batch_per_epoch: The most batches of each set; all by default.

    Example:
        >>> val_cfg = dict(type="ValLoop", fp16=True)  # of a config: predict in mixed precision
    """

    _mode = "val"


@LOOPS.register_module()
class TestLoop(_EvaluationLoop):
    """Test a trained model.

    Args:
        runner: The run.
        dataloader: The test data, or its config; several sets by name.
        evaluator: An evaluator, a metric, several, or configs of them. With several sets, it is
            built for each, or it is a mapping by the names of the sets.
        fp16: Predict in mixed precision.
        compute_loss: Report the losses of the data, too; see `MeanLosses`.
        num_batch_per_epoch: The most batches of each set; all by default.

    Example:
        >>> test_cfg = dict(type="TestLoop", fp16=True)  # of a config: predict in mixed precision
    """

    __test__ = False  # pytest must not collect it
    _mode = "test"
