"""Note the best checkpoints in the message hub, where users and former versions look."""

from collections.abc import Sequence

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
    hub: MessageHub, retention: Retention, metrics: Sequence[BestMetric]
) -> None:
    """Take over the state of a resumed run of a former version, which the message hub has."""
    kept = hub.get_info("kept_checkpoints", default=[])
    if retention.names or not kept:
        return
    retention.names = [str(name) for name in kept]
    for item in metrics:
        item.score = hub.get_info(_info("score", item, metrics), default=None)
        item.path = hub.get_info(_info("ckpt", item, metrics), default=None)


def _info(what: str, best: BestMetric, metrics: Sequence[BestMetric]) -> str:
    return f"best_{what}" if len(metrics) == 1 else f"best_{what}_{best.key}"
