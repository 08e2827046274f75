"""Pipelines: apply transforms one after the other."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine_registry import TRANSFORMS

Transform = Callable[[Any], Any]


class Compose:
    """Apply transforms in order, each to the result of the previous one.

    A sample is usually a dict. It may be any object that the transforms accept. If a transform
    rejects the sample by returning ``None``, the pipeline returns ``None``.

    Args:
        transforms: Callables, or configs that are built from `TRANSFORMS`. ``None`` is an empty
            pipeline.

    Raises:
        TypeError: An element is neither a callable nor the config of one.

    Example:
        >>> double = lambda results: {**results, "x": 2 * results["x"]}
        >>> Compose([double, double])({"x": 1})
        {'x': 4}
    """

    def __init__(self, transforms: Sequence[Transform | Mapping[str, Any]] | None) -> None:
        self.transforms: list[Transform] = [_build(transform) for transform in transforms or ()]

    def __call__(self, data: Any) -> Any:
        """Run the pipeline on one sample."""
        for transform in self.transforms:
            try:
                data = transform(data)
            except Exception as error:
                error.add_note(f"in the transform {transform!r} of a pipeline")
                raise
            if data is None:
                return None
        return data

    def __repr__(self) -> str:
        lines = "".join(f"\n    {transform!r}" for transform in self.transforms)
        return f"{type(self).__name__}({lines}\n)"


def _build(transform: Transform | Mapping[str, Any]) -> Transform:
    built = TRANSFORMS.build(transform) if isinstance(transform, Mapping) else transform
    if not callable(built):
        raise TypeError(
            f"a transform must be a callable or a config that builds one, got "
            f"{type(built).__name__}: {built!r}"
        )
    return built
