"""Test-time augmentation: merge the predictions for several augmented views of a sample."""

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from engine_model._model import BaseModel, build_data_preprocessor
from engine_registry import MODELS


@MODELS.register_module()
class BaseTTAModel(BaseModel):
    """Run a model on each augmented view of a batch, and merge the predictions per sample.

    A subclass implements `merge_preds`. The state dict uses the names of the inner model, so a
    checkpoint of that model fits.

    Args:
        module: A model with a `test_step`, or its config in `MODELS`.
        data_preprocessor: A data preprocessor that replaces the one of the model.

    Attributes:
        module: The inner model.

    Raises:
        TypeError: ``module`` is neither a module nor a dict, or has no `test_step`.

    Example:
        >>> class Doubling(BaseModel):
        ...     def forward(self, inputs, mode="tensor"):
        ...         return [2 * value for value in inputs]
        >>> class Mean(BaseTTAModel):
        ...     def merge_preds(self, data_samples_list):
        ...         return [sum(views) / len(views) for views in data_samples_list]
        >>> Mean(Doubling()).test_step({"inputs": [[1, 10], [3, 30]]})
        [4.0, 40.0]
    """

    # `get_state_dict` and `load_state_dict` read this: keys are those of the inner model.
    _has_inner_names: ClassVar[bool] = True

    def __init__(
        self,
        module: Mapping[str, Any] | nn.Module,
        data_preprocessor: Mapping[str, Any] | nn.Module | None = None,
    ) -> None:
        super().__init__()
        if isinstance(module, nn.Module):
            if data_preprocessor is not None:
                module.data_preprocessor = build_data_preprocessor(data_preprocessor)
        elif isinstance(module, Mapping):
            extra = {} if data_preprocessor is None else {"data_preprocessor": data_preprocessor}
            module = MODELS.build({**module, **extra})
        else:
            raise TypeError(f"module must be a model or a dict, got {module!r}")
        if not hasattr(module, "test_step"):
            raise TypeError(f"module must have a test_step, which {type(module).__name__} lacks")
        self.module: Any = module
        # Checkpoints of the inner model load into this model, and the reverse.
        self.register_state_dict_post_hook(_drop_prefix)  # type: ignore[no-untyped-call] # torch leaves it bare
        self.register_load_state_dict_pre_hook(_add_prefix)  # type: ignore[no-untyped-call] # likewise

    @abstractmethod
    def merge_preds(self, data_samples_list: list[list[Any]]) -> list[Any]:
        """Merge the predictions of the views to one prediction per sample.

        Args:
            data_samples_list: A list per sample of the batch, with one prediction per view.

        Returns:
            One prediction per sample.
        """

    def test_step(self, data: Any) -> list[Any]:
        """Return one prediction per sample of a batch.

        Args:
            data: A dict, list or tuple of fields such as ``inputs`` and ``data_samples``. Each
                field is a list with one item per view, which holds that field for all samples.

        Raises:
            TypeError: ``data`` is not a dict, list or tuple.
            ValueError: The fields differ in the number of views, or the model returns different
                numbers of predictions for the views.
        """
        views = [self.module.test_step(view) for view in _views(data)]
        if len({len(predictions) for predictions in views}) > 1:
            counts = [len(predictions) for predictions in views]
            raise ValueError(f"views of a batch must have equally many predictions, got {counts}")
        return self.merge_preds([list(sample) for sample in zip(*views, strict=True)])

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load weights by their names in the inner model, or by those in this model.

        Args:
            state_dict: The weights; they are not changed.
            strict: Whether to raise an error if a key does not fit.
            assign: Whether to use the given tensors themselves.
        """
        versions = getattr(state_dict, "_metadata", None)
        if versions is not None:
            inner = {f"module.{name}".rstrip("."): value for name, value in versions.items()}
            state_dict = OrderedDict(state_dict)
            state_dict._metadata = {**inner, **versions}  # type: ignore[attr-defined]  # torch's way
        return super().load_state_dict(state_dict, strict, assign)

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        """Raise an error: test-time augmentation has `test_step` only.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no forward; call test_step, or the inner model"
        )


def _views(data: Any) -> list[Any]:
    """Split fields that are lists of views into one batch per view."""
    if isinstance(data, Mapping):
        _check_views([len(field) for field in data.values()])
        return [dict(zip(data, view, strict=True)) for view in zip(*data.values(), strict=True)]
    if isinstance(data, list | tuple):
        _check_views([len(field) for field in data])
        return [list(view) for view in zip(*data, strict=True)]
    raise TypeError(
        f"the batch must be a dict, list or tuple of fields, each a list with one item per view, "
        f"got {type(data).__name__}"
    )


def _check_views(counts: list[int]) -> None:
    if len(set(counts)) != 1 or not counts[0]:
        raise ValueError(
            f"fields of a batch must have the same number of views, at least 1, got {counts}"
        )


def _drop_prefix(module: nn.Module, state: dict[str, Any], prefix: str, metadata: object) -> None:
    inner = f"{prefix}module."
    for key in [key for key in state if key.startswith(inner)]:
        state[prefix + key.removeprefix(inner)] = state.pop(key)
    # torch stores the versions of modules beside the weights; see `engine_model.weights._names`.
    versions = getattr(state, "_metadata", {})
    for name in [name for name in versions if f"{name}.".startswith(inner)]:
        versions[(prefix + f"{name}.".removeprefix(inner)).rstrip(".")] = versions.pop(name)


def _add_prefix(module: nn.Module, state: dict[str, Any], prefix: str, *rest: object) -> None:
    for key in [key for key in state if key.startswith(prefix)]:
        # Names that have the prefix already are accepted too.
        if not key.startswith(f"{prefix}module."):
            state[f"{prefix}module.{key.removeprefix(prefix)}"] = state.pop(key)
