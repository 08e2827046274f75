"""Read the fields of a sample as arrays of checked shapes."""

from typing import Any

import numpy as np

from engine_visualization.samples._notices import NotDrawable


def to_array(value: Any) -> np.ndarray:
    """Return the numbers of an array, a tensor on any device, or an object with ``tensor``.

    Raises:
        NotDrawable: The value has no numbers.
    """
    value = getattr(value, "tensor", value)
    if hasattr(value, "detach"):
        value = _from_tensor(value)
    try:
        array = np.asarray(value)
    except Exception as error:
        raise NotDrawable("it must be an array or a tensor; convert it") from error
    if array.dtype.kind not in "biuf":
        raise NotDrawable(f"it must contain numbers, got {array.dtype}; convert it to an array")
    return array


def _from_tensor(tensor: Any) -> Any:
    if str(tensor.device) == "meta":
        raise NotDrawable("a tensor on the device 'meta' has no values; move it to the CPU")
    tensor = tensor.detach().cpu()
    tensor = tensor.float() if "bfloat16" in str(tensor.dtype) else tensor
    if tensor.layout is not None and "strided" not in str(tensor.layout):
        raise NotDrawable(f"its layout must be strided, got {tensor.layout}; call to_dense()")
    return tensor.numpy()


def one_per_instance(value: Any, count: int) -> np.ndarray:
    """Return an array with one number per instance.

    Raises:
        NotDrawable: Its length differs.
    """
    array = to_array(value)
    if array.size != count:
        raise NotDrawable(f"it must have one value per instance, ({count},); pass as many")
    return array.reshape(count)


def class_name(label: int, classes: Any) -> str:
    """Return the name of a class, or its number where the classes lack it."""
    return str(classes[label]) if classes is not None and 0 <= label < len(classes) else str(label)
