"""Match predictions with the truth."""

import numpy as np


def match(
    overlaps: np.ndarray,
    predicted_labels: np.ndarray | None,
    true_labels: np.ndarray | None,
    scores: np.ndarray | None,
    threshold: float,
) -> np.ndarray:
    """Return the truth that each prediction hits, ``(N,)``, -1 for a false alarm.

    The prediction with the highest score is matched first, the first one of equal scores. It takes
    the free truth of its class with the largest IoU, the first one of equal IoUs.

    Args:
        overlaps: IoU ``(N, M)`` of predictions and truths.
        predicted_labels: Labels ``(N,)``; ``None`` matches all classes.
        true_labels: Labels ``(M,)``; ``None`` matches all classes.
        scores: Scores ``(N,)``; ``None`` for the order of the predictions.
        threshold: The smallest IoU of a hit.
    """
    hits = np.full(len(overlaps), -1)
    if not overlaps.size:
        return hits
    allowed = (overlaps >= threshold) & (overlaps > 0)
    if predicted_labels is not None and true_labels is not None:
        allowed &= predicted_labels[:, None] == true_labels[None]
    values = np.where(allowed, overlaps, -1.0)
    order = np.arange(len(hits)) if scores is None else np.argsort(-scores, kind="stable")
    for place in order:
        best = int(values[place].argmax())
        if values[place, best] >= 0:
            hits[place] = best
            values[:, best] = -1.0
    return hits
