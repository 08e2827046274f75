"""What follows a checkpoint: the marker, the deletion of former ones, the note of the best."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from logging import Logger

from engine_logging import MessageHub
from engine_runner._errors import CheckpointWriteError
from engine_runner._protocols import Following
from engine_runner.checkpoint._best import BestMetric
from engine_runner.checkpoint._folder import CheckpointFolder
from engine_runner.checkpoint._marker import mark_or_log
from engine_runner.checkpoint._noted import note_best
from engine_runner.checkpoint._paths import file_name
from engine_runner.checkpoint._retention import Retention, remove_checkpoint


@dataclass(frozen=True, slots=True)
class Place:
    """Where the checkpoints of a run are.

    Attributes:
        folder: Their folder, in any storage of engine-fileio.
        work_dir: The work directory of the run.
        logger: The log of the run.

    Example:
        >>> from logging import getLogger
        >>> place = Place(CheckpointFolder("s3://bucket/run"), "runs/digits", getLogger("run"))
        >>> place.folder.join("epoch_1.pth")
        's3://bucket/run/epoch_1.pth'
    """

    folder: CheckpointFolder
    work_dir: str
    logger: Logger

    def remove(self, name: str) -> bool:
        """Delete an old checkpoint, and return whether it is gone."""
        arguments = dict(self.folder.backend_args) if self.folder.backend_args else None
        return remove_checkpoint(self.folder.path, name, self.logger, arguments)


class Rotation:
    """Mark a checkpoint of an interval as the latest, and delete the surplus of former ones.

    Made before the save: the list in the checkpoint then has the checkpoint itself, so that a
    resumed run deletes it in its turn.

    Args:
        retention: The checkpoints that are kept, to which this one is added.
        filename: Its name.
        place: Where it is saved.
        kept: Names in the folder that another hook keeps, which are not deleted.

    Example:
        >>> from logging import getLogger
        >>> retention = Retention(most=1)
        >>> place = Place(CheckpointFolder("runs"), "runs", getLogger("run"))
        >>> rotation = Rotation(retention, "epoch_1.pth", place)
        >>> rotation.settle(OSError("the disk is full"))
        >>> retention.names
        []
    """

    def __init__(
        self, retention: Retention, filename: str, place: Place, kept: Collection[str] = ()
    ) -> None:
        self._retention, self._place, self._kept = retention, place, kept
        self._former = retention.names
        retention.add(filename)
        self._surplus = retention.surplus()
        self._left: list[str] = []

    def complete(self, path: str) -> None:
        """Mark the checkpoint, then delete."""
        # In this order: a process that ends here leaves one checkpoint too many, never none.
        place = self._place
        marked = mark_or_log(place.work_dir, path, place.logger, saved_in=place.folder)
        surplus = [name for name in self._surplus if name not in self._kept]
        self._left = [name for name in surplus if not (marked and self._place.remove(name))]

    def settle(self, error: Exception | None) -> None:
        """Note what is kept now."""
        if error is not None:
            self._retention.names = self._former
        else:
            self._retention.drop([name for name in self._surplus if name not in self._left])


class NewBest:
    """Note a new best score and its checkpoint, and delete that of the former one.

    Made before the save: the checkpoint then has its own score.

    Args:
        hub: The message hub of the run.
        metrics: All metrics that choose a best checkpoint.
        best: The one that has improved.
        score: Its new value.
        path: The path of the checkpoint.
        text: What is logged when the checkpoint is saved.
        place: Where it is saved.

    Example:
        >>> from logging import getLogger
        >>> from engine_runner.checkpoint import best_metrics
        >>> [best] = best_metrics("accuracy", "greater", None, None)
        >>> place = Place(CheckpointFolder("runs"), "runs", getLogger("run"))
        >>> facts = {"score": 0.9, "path": "runs/best.pth", "text": "", "place": place}
        >>> following = NewBest(MessageHub("run"), [best], best, **facts)
        >>> following.settle(OSError("the disk is full"))
        >>> best.score is None
        True
    """

    def __init__(
        self,
        hub: MessageHub,
        metrics: Sequence[BestMetric],
        best: BestMetric,
        *,
        score: float,
        path: str,
        text: str,
        place: Place,
    ) -> None:
        self._hub, self._metrics, self._best = hub, metrics, best
        self._text, self._place = text, place
        self._former_score, self._former_path = best.score, best.path
        best.score = score
        note_best(hub, metrics, best, path)

    def complete(self, path: str) -> None:
        """Delete the former best one, and log the new one."""
        if self._former_path is not None and self._former_path != self._best.path:
            self._place.remove(file_name(self._former_path))
        self._place.logger.info(self._text)

    def settle(self, error: Exception | None) -> None:
        """Keep the new best one, or go back to the former."""
        if error is not None:
            self._best.score = self._former_score
            note_best(self._hub, self._metrics, self._best, self._former_path)


@dataclass(kw_only=True, slots=True)
class Attempt:
    """An attempt to save, whose failure is logged, and noted for the end of the training.

    Attributes:
        what: What is saved, for the log: the failure of an earlier attempt at it is forgotten.
        filename: The name of the file.
        logger: The log of the run.
        failures: The failed ones, by ``what``.
        inner: What follows.

    Example:
        >>> from logging import getLogger
        >>> log = getLogger("run")
        >>> place = Place(CheckpointFolder("runs"), "runs", log)
        >>> inner = Rotation(Retention(), "epoch_1.pth", place)
        >>> attempt = Attempt(what="it", filename="epoch_1.pth", logger=log, inner=inner)
        >>> attempt.settle(None)
        >>> attempt.failures
        {}
    """

    what: str
    filename: str
    logger: Logger
    inner: Following
    failures: dict[str, str] = field(default_factory=dict)

    def complete(self, path: str) -> None:
        """Do what follows."""
        self.inner.complete(path)

    def settle(self, error: Exception | None) -> None:
        """Note the outcome."""
        self.inner.settle(error)
        if error is None:
            self.failures.pop(self.what, None)
            return
        if isinstance(error, CheckpointWriteError):
            self.failures[self.what] = f"{self.filename}: {error}"
            if error.is_logged:
                return
        self.logger.error(
            f"{self.what} {self.filename} was not saved: {error}. The former one stays, and the "
            "training continues"
        )
