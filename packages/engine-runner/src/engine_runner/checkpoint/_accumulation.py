"""The gradients of unfinished accumulation windows as a checkpoint saves and restores them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from engine_dist import all_reduce, all_reduce_params, gather, get_rank, get_world_size
from engine_model import gather_tensors, is_sharded
from engine_optim import OptimWrapper
from engine_runner._wrappers import wrappers_by_name

_MOST_OF_RANKS = 1 << 30  # bytes, of the gradients of all ranks in a checkpoint


class AccumulationStates:
    """The unfinished windows of one optimizer wrapper, or of several; all ranks must save together.

    Inside a window each rank has gradients of its own. Their average is saved, which fits any
    number of ranks: it gives the same sum at the end of the window, up to rounding. The gradients
    of each rank are saved beside it, up to 1 GiB in all, so that as many ranks continue to the bit.
    The norm of the last clipping is saved, because the log shows it until the next step.

    Args:
        optim_wrapper: An `engine_optim.OptimWrapper` or `engine_optim.OptimWrapperDict`.

    Example:
        >>> from engine_optim import OptimWrapper
        >>> wrapper = OptimWrapper(torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.5))
        >>> AccumulationStates(wrapper).state_dict()["calls"]
        0
    """

    def __init__(self, optim_wrapper: Any) -> None:
        self._optim_wrapper = optim_wrapper

    def state_dict(self) -> dict[str, Any]:
        """Return the counts, the gradients averaged over the ranks, and those of each rank."""
        wrappers = wrappers_by_name(self._optim_wrapper)
        states = {name: _over_ranks(wrapper) for name, wrapper in wrappers.items()}
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


def finish_windows(optim_wrapper: Any) -> dict[str, int]:
    """Step each wrapper whose accumulation window is unfinished; all ranks must call this.

    Args:
        optim_wrapper: An `engine_optim.OptimWrapper` or `engine_optim.OptimWrapperDict`.

    Returns:
        The calls whose gradients are lost by the names of their wrappers: a model that is sharded
        keeps the gradients of a window to itself.
    """
    lost = {}
    for name, wrapper in wrappers_by_name(optim_wrapper).items():
        # A wrapper of the user's may have windows of its own, which it finishes itself.
        if not isinstance(wrapper, OptimWrapper):
            continue
        window = wrapper.accumulation()
        if not window["calls"]:
            continue
        params = [param for group in wrapper.optimizer.param_groups for param in group["params"]]
        if any(map(is_sharded, params)):
            lost[name] = window["calls"]
            continue
        if get_world_size() > 1:  # within a window each rank has gradients of its own
            for param, mean in zip(params, _averaged(window["gradients"], params), strict=True):
                param.grad = mean
        wrapper.finish_window()
    return lost


def _over_ranks(wrapper: Any) -> dict[str, Any]:
    window: dict[str, Any] = wrapper.accumulation()
    params = [param for group in wrapper.optimizer.param_groups for param in group["params"]]
    state = {**window, "gradients": _averaged(window["gradients"], params)}
    norm = getattr(wrapper, "last_grad_norm", None)
    if norm is not None:
        state["grad_norm"] = norm
    if _is_gathered(state["gradients"], params):
        state["gradients_of_ranks"] = gather(window["gradients"])
    return state


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


def _averaged(gradients: list[Tensor | None], params: list[Tensor]) -> list[Tensor | None]:
    """Return the averages; the gradients of this rank, which trains on, are not changed."""
    # Gradients of sharded parameters are exchanged already.
    sharded = any(map(is_sharded, params))
    if get_world_size() == 1 or sharded or not gradients:
        whole: list[Tensor | None] = gather_tensors(gradients)
        return whole
    # A rank may have no gradient where another has one: it sends zeros.
    ranks = torch.tensor([gradient is not None for gradient in gradients], dtype=torch.int32)
    all_reduce(ranks)
    averages: list[Tensor | None] = []
    for param, gradient, held in zip(params, gradients, ranks.tolist(), strict=True):
        copy = torch.zeros_like(param.detach()) if gradient is None else gradient.clone()
        averages.append(copy if held else None)
    all_reduce_params([item for item in averages if item is not None], op="mean")
    return averages
