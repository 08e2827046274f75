"""The gradients of unfinished accumulation windows as a checkpoint saves and restores them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from engine_dist import all_reduce, all_reduce_params, get_world_size
from engine_model import gather_tensors, is_sharded
from engine_model.weights import (
    forget_window_gradients,
    local_part,
    shard_like,
    window_gradients,
)
from engine_optim import OptimWrapper
from engine_runner._wrappers import wrappers_by_name


class AccumulationStates:
    """The unfinished windows of one optimizer wrapper, or of several; all ranks must save together.

    Inside a window each rank has gradients of its own. Their average is saved: it gives the same
    sum at the end of the window, and fits any number of ranks. That of a sharded model is sharded.

    Args:
        optim_wrapper: An `engine_optim.OptimWrapper` or `engine_optim.OptimWrapperDict`.
        model: The model, which keeps the gradients of a window if it is sharded.
        whole: Whether sharded averages are gathered.

    Example:
        >>> from engine_optim import OptimWrapper
        >>> wrapper = OptimWrapper(torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.5))
        >>> AccumulationStates(wrapper).state_dict()["calls"]
        0
    """

    def __init__(
        self, optim_wrapper: Any, model: nn.Module | None = None, *, whole: bool = True
    ) -> None:
        self._optim_wrapper = optim_wrapper
        self._model = model
        self._whole = whole

    def state_dict(self) -> dict[str, Any]:
        """Return the counts and the gradients, averaged over the ranks."""
        wrappers = wrappers_by_name(self._optim_wrapper)
        states = {name: self._over_ranks(wrapper) for name, wrapper in wrappers.items()}
        return states.get("", states)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue in the saved windows."""
        self._optim_wrapper.resume_accumulation(state_dict)

    def _over_ranks(self, wrapper: Any) -> dict[str, Any]:
        window: dict[str, Any] = wrapper.accumulation()
        params = [param for group in wrapper.optimizer.param_groups for param in group["params"]]
        averages = _averaged(window["gradients"], params, self._model)
        return {**window, "gradients": gather_tensors(averages) if self._whole else averages}


def finish_windows(optim_wrapper: Any, model: nn.Module | None = None) -> None:
    """Step each wrapper whose accumulation window is unfinished; all ranks must call this.

    Args:
        optim_wrapper: An `engine_optim.OptimWrapper` or `engine_optim.OptimWrapperDict`.
        model: The model, which keeps the gradients of a window if it is sharded.
    """
    for wrapper in wrappers_by_name(optim_wrapper).values():
        # A wrapper of the user's may have windows of its own, which it finishes itself.
        if not isinstance(wrapper, OptimWrapper):
            continue
        window = wrapper.accumulation()
        if not window["calls"]:
            continue
        params = [param for group in wrapper.optimizer.param_groups for param in group["params"]]
        # Within a window each rank has gradients of its own.
        if get_world_size() > 1 or any(map(is_sharded, params)):
            means = _averaged(window["gradients"], params, model)
            for param, mean in zip(params, means, strict=True):
                param.grad = mean
            if model is not None:
                forget_window_gradients(model, params)
        wrapper.finish_window()


def _averaged(
    gradients: list[Tensor | None], params: list[Tensor], model: nn.Module | None
) -> list[Tensor | None]:
    """Return the averages; the gradients of this rank, which trains on, are not changed."""
    if not gradients:
        return []
    if any(map(is_sharded, params)):
        # Those that the model does not keep are exchanged already.
        kept = {} if model is None else window_gradients(model)
        return _with_kept(gradients, params, kept)
    if get_world_size() == 1:
        return gradients
    # A rank may have no gradient where another has one: it sends zeros.
    ranks = torch.tensor([gradient is not None for gradient in gradients], dtype=torch.int32)
    all_reduce(ranks)
    averages: list[Tensor | None] = []
    for param, gradient, held in zip(params, gradients, ranks.tolist(), strict=True):
        copy = torch.zeros_like(param.detach()) if gradient is None else gradient.clone()
        averages.append(copy if held else None)
    all_reduce_params([item for item in averages if item is not None], op="mean")
    return averages


def _with_kept(
    gradients: list[Tensor | None], params: list[Any], kept: Mapping[Tensor, Tensor]
) -> list[Tensor | None]:
    """Return the sharded gradients, plus the averages of those that the model keeps whole."""
    ranks = torch.tensor([param in kept for param in params], dtype=torch.int32)
    all_reduce(ranks)
    sums: list[Tensor | None] = []
    for param, gradient, held in zip(params, gradients, ranks.tolist(), strict=True):
        if not held:
            sums.append(gradient)
            continue
        own = kept.get(param)
        # One parameter after another: the whole gradients of a large model exist once only.
        mean = local_part(param).new_zeros(param.shape) if own is None else own.detach().clone()
        all_reduce_params([mean], op="mean")
        shard = shard_like(mean.to(param.dtype), param)
        sums.append(shard if gradient is None else gradient + shard)
    return sums
