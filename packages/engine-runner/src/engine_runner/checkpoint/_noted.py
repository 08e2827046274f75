"""Note the best checkpoints in the message hub, where users and former versions look."""

from collections.abc import Sequence
from pathlib import PurePath

from engine_logging import MessageHub
from engine_runner.checkpoint._best import BestMetric
from engine_runner.checkpoint._retention import Retention


def note_best(
    hub: MessageHub, metrics: Sequence[BestMetric], best: BestMetric, path: str | None
) -> None:
    """Note the score of a metric and its checkpoint as ``best_score`` and ``best_ckpt``.

    Args:
        hub: The message hub of the run.
        metrics: All metrics of the run; if there are several, the names end in that of ``best``.
        best: The metric, with its new score.
        path: Its new checkpoint, or None if there is none.
    """
    best.path = path
    hub.update_info(_info("score", best, metrics), best.score)
    hub.update_info(_info("ckpt", best, metrics), path)


def take_over_former_state(
    hub: MessageHub, retention: Retention, metrics: Sequence[BestMetric], template: str
) -> None:
    """Take over what the message hub has of a resumed run that saved no state of its hooks.

    That is a run of a former version, or of another library.

    Args:
        hub: The message hub of the run.
        retention: The checkpoints that are kept.
        metrics: The metrics that choose a best checkpoint.
        template: The file name of a checkpoint, with ``{}`` for the epoch or iteration.
    """
    names = hub.get_info("kept_checkpoints") or []
    names += [template.format(number) for number in hub.pop_info("keep_ckpt_ids") or []]
    if retention.names or any(item.score is not None for item in metrics):
        return
    retention.names = [str(name) for name in names]
    for item in metrics:
        score, path = (hub.get_info(_info(what, item, metrics)) for what in ("score", "ckpt"))
        # The score may be that of another metric, which only the file name shows.
        if isinstance(score, int | float) and _is_best_of(item, path):
            item.score, item.path = float(score), path


def _is_best_of(item: BestMetric, path: object) -> bool:
    if not isinstance(path, str) or item.key == "auto":
        return True
    return item.key.replace("/", "_") in PurePath(path).name


def _info(what: str, best: BestMetric, metrics: Sequence[BestMetric]) -> str:
    return f"best_{what}" if len(metrics) == 1 else f"best_{what}_{best.key}"
