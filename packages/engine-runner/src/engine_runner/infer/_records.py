"""Convert predictions to values that JSON can represent."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine_structures import BaseDataElement
from engine_utils import finite_value, plain_value

_OF_LABELS = ("label", "labels", "pred_label")


def as_record(prediction: Any, classes: Sequence[str] | None = None) -> Any:
    """Return a prediction as numbers, strings, lists and dicts.

    Args:
        prediction: A data element, a tensor, an array, a number, or containers of them. Any other
            object becomes its string.
        classes: The names of the classes, by label.

    Example:
        >>> import torch
        >>> from engine_structures import BaseDataElement, LabelData
        >>> sample = BaseDataElement(pred_label=LabelData(label=torch.tensor([1])))
        >>> as_record(sample, ["cat", "dog"])
        {'pred_label': {'label': [1], 'class_names': ['dog']}}
    """
    return finite_value(_plain(prediction, classes))


def _plain(value: Any, classes: Sequence[str] | None) -> Any:
    if isinstance(value, BaseDataElement):
        value = dict(value.items())
    if isinstance(value, Mapping):
        record = {str(key): _plain(item, classes) for key, item in value.items()}
        names = _class_names(record, classes)
        return record if names is None else {**record, "class_names": names}
    if isinstance(value, set | frozenset):
        value = plain_value(value)  # sorted, so that records are equal in each process
    if isinstance(value, list | tuple):
        return [_plain(item, classes) for item in value]
    plain = plain_value(value)
    is_plain = plain is None or isinstance(plain, bool | int | float | str | list)
    return plain if is_plain else str(plain)


def _class_names(record: dict[str, Any], classes: Sequence[str] | None) -> list[str] | None:
    labels = next((record[key] for key in _OF_LABELS if key in record), None)
    labels = [labels] if isinstance(labels, int) else labels
    if classes is None or not isinstance(labels, list) or "class_names" in record:
        return None
    if not all(isinstance(label, int) and 0 <= label < len(classes) for label in labels):
        return None
    return [str(classes[label]) for label in labels]
