"""The gradients of unfinished accumulation windows as a checkpoint saves and restores them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from engine_dist import all_gather, all_reduce, all_reduce_params, gather, get_rank, get_world_size
from engine_model import gather_tensors, is_sharded
from engine_model.weights import (
    forget_window_gradients,
    local_part,
    shard_like,
    window_gradients,
)
from engine_optim import OptimWrapper
from engine_runner._wrappers import wrappers_by_name

_MOST_OF_RANKS = 1 << 30  # bytes, of the gradients of all ranks in a checkpoint


class AccumulationStates:
    """The unfinished windows of one optimizer wrapper, or of several; all ranks must save together.

    Inside a window each rank has gradients of its own. Their average is saved, which fits any
    number of ranks: it gives the same sum at the end of the window, up to rounding. That of a
    sharded model is sharded. The gradients of each rank are saved beside it, up to 1 GiB in all, so
    that as many ranks continue to the bit. The norm of the last clipping is saved, because the log
    shows it until the next step.

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
        """Return the counts, the gradients averaged over the ranks, and those of each rank."""
        wrappers = wrappers_by_name(self._optim_wrapper)
        states = {name: self._over_ranks(wrapper) for name, wrapper in wrappers.items()}
        return states.get("", states)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue in the saved windows."""
        wrappers = wrappers_by_name(self._optim_wrapper)
        states = {
            name: _of_this_rank(state_dict.get(name, {}) if name else state_dict)
            for name in wrappers
        }
        for name, wrapper in wrappers.items():
            if "grad_norm" in states[name] and hasattr(wrapper, "last_grad_norm"):
                wrapper.last_grad_norm = states[name]["grad_norm"]
        self._optim_wrapper.resume_accumulation(states.get("", states))

    def _over_ranks(self, wrapper: Any) -> dict[str, Any]:
        window: dict[str, Any] = wrapper.accumulation()
        params = [param for group in wrapper.optimizer.param_groups for param in group["params"]]
        averages = _averaged(window["gradients"], params, self._model)
        gradients = gather_tensors(averages) if self._whole else averages
        state = {**window, "gradients": gradients}
        norm = getattr(wrapper, "last_grad_norm", None)
        if norm is not None:
            state["grad_norm"] = norm
        if _is_gathered(averages, params):
            # A sharded checkpoint is written by all ranks, which must agree on what it has.
            collect = gather if self._whole else all_gather
            state["gradients_of_ranks"] = collect(window["gradients"])
        return state


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


def _is_gathered(averages: list[Tensor | None], params: list[Tensor]) -> bool:
    """Return whether the gradients of each rank are saved; the same on all ranks."""
    ranks = get_world_size()
    if ranks == 1 or any(map(is_sharded, params)):
        return False
    size = sum(item.nbytes for item in averages if item is not None)
    return 0 < size * ranks <= _MOST_OF_RANKS


def _of_this_rank(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a saved window with the gradients of this rank, if as many ranks have saved theirs."""
    own = state.get("gradients_of_ranks") or ()
    gradients = {"gradients": own[get_rank()]} if len(own) == get_world_size() > 1 else {}
    return {**state, **gradients}


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
