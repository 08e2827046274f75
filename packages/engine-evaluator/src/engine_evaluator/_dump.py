"""Write predictions to a file."""

import logging
from os import PathLike
from typing import Any, Literal

from engine_evaluator._device import to_cpu
from engine_evaluator._metric import BaseMetric
from engine_fileio import dump
from engine_registry import METRICS

_logger = logging.getLogger("engine.evaluator")


@METRICS.register_module()
class DumpResults(BaseMetric):
    """Write the predictions of all ranks to a pickle file, for `Evaluator.offline_evaluate`.

    Args:
        out_file_path: The file to write, local or remote. It ends with ``.pkl`` or ``.pickle``.
        collect_device: The device over which ranks exchange predictions: ``"cpu"`` or ``"gpu"``.
        collect_dir: A folder that all ranks reach, to exchange predictions through files; see
            `BaseMetric`.

    Raises:
        ValueError: ``out_file_path`` has another extension, or ``collect_dir`` is given with
            ``"gpu"``.

    Example:
        >>> import tempfile
        >>> from engine_fileio import load
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     metric = DumpResults(f"{folder}/predictions.pkl")
        ...     metric.process(None, [{"label": 1}, {"label": 0}])
        ...     values = metric.evaluate(size=2)
        ...     load(f"{folder}/predictions.pkl"), values
        ([{'label': 1}, {'label': 0}], {})
    """

    default_prefix = ""  # it returns no values

    def __init__(
        self,
        out_file_path: str,
        collect_device: Literal["cpu", "gpu"] = "cpu",
        collect_dir: str | PathLike[str] | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, collect_dir=collect_dir)
        if not str(out_file_path).endswith((".pkl", ".pickle")):
            raise ValueError(
                f"out_file_path must end with .pkl or .pickle, got {out_file_path!r}; "
                "predictions are written as a pickle"
            )
        self.out_file_path = out_file_path

    def process(self, data_batch: Any, predictions: Any) -> None:
        """Store the predictions of one batch on the CPU.

        Args:
            data_batch: Unused.
            predictions: A list of samples. Any other value is stored as one result per batch.
        """
        kept = to_cpu(predictions)
        self.results.extend(kept if isinstance(kept, list) else [kept])

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Write the predictions to the file, and return an empty dict.

        Args:
            results: The predictions of all ranks.
        """
        dump(results, self.out_file_path)
        _logger.info("wrote the predictions of %d samples to %s", len(results), self.out_file_path)
        return {}
