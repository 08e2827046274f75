"""Hold several optimizer wrappers by name, and save and report them together."""

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from torch import Tensor, nn

from engine_optim.wrappers._base import BaseOptimWrapper
from engine_optim.wrappers._wrapper import OptimWrapper
from engine_registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class OptimWrapperDict(OptimWrapper):
    """Hold several optimizer wrappers by name, and save, load and report them together.

    The model's `train_step` takes each wrapper by its name and updates it. Methods that would
    update all of them from one loss raise `NotImplementedError`.

    Args:
        **optim_wrapper_dict: The wrappers by name.

    Raises:
        TypeError: A value is not a `BaseOptimWrapper`.

    Example:
        >>> import torch
        >>> def wrapper(lr):
        ...     parameters = torch.nn.Linear(1, 1).parameters()
        ...     return OptimWrapper(torch.optim.SGD(parameters, lr=lr))
        >>> optim_wrappers = OptimWrapperDict(gen=wrapper(0.1), disc=wrapper(0.4))
        >>> optim_wrappers.get_lr()
        {'gen.lr': [0.1], 'disc.lr': [0.4]}
        >>> sorted(optim_wrappers)
        ['disc', 'gen']
    """

    def __init__(self, **optim_wrapper_dict: BaseOptimWrapper) -> None:
        for name, wrapper in optim_wrapper_dict.items():
            if not isinstance(wrapper, BaseOptimWrapper):
                raise TypeError(
                    f"{name} must be an OptimWrapper, got {type(wrapper).__name__}; wrap the "
                    "optimizer in an OptimWrapper"
                )
        self.optim_wrappers = optim_wrapper_dict

    def _raise(self, method: str) -> NoReturn:
        raise NotImplementedError(
            f"OptimWrapperDict has no {method}, because it holds several optimizers; use "
            f"{method} of one wrapper, such as optim_wrapper[{next(iter(self), 'name')!r}]"
        )

    def update_params(
        self,
        loss: Tensor,
        step_kwargs: dict[str, Any] | None = None,
        zero_kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Raise: each wrapper updates its own parameters."""
        self._raise("update_params")

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Raise: each wrapper has its own loss scale."""
        self._raise("backward")

    def step(self, **kwargs: Any) -> None:
        """Raise: each wrapper steps by itself."""
        self._raise("step")

    def optim_context(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Raise: each wrapper has its own context."""
        self._raise("optim_context")

    def should_update(self) -> bool:
        """Raise: each wrapper counts by itself."""
        self._raise("should_update")

    def should_sync(self) -> bool:
        """Raise: each wrapper counts by itself."""
        self._raise("should_sync")

    def scale_loss(self, loss: Tensor) -> Tensor:
        """Raise: each wrapper has its own windows."""
        self._raise("scale_loss")

    @property
    def accumulative_counts(self) -> int:
        """Raises: each wrapper has its own windows."""
        self._raise("accumulative_counts")

    @property
    def inner_count(self) -> int:
        """Raises: each wrapper counts by itself."""
        self._raise("inner_count")

    def zero_grad(self, **kwargs: Any) -> None:
        """Clear the gradients of all wrappers.

        Args:
            **kwargs: For each optimizer's `zero_grad`.
        """
        for wrapper in self.values():
            wrapper.zero_grad(**kwargs)

    def initialize_count_status(self, model: nn.Module, cur_iter: int, max_iters: int) -> None:
        """Continue each wrapper at its own count, which a resumed run has saved.

        The model decides how often a wrapper updates in an iteration, so the iterations of the run
        set no end of its windows.

        Args:
            model: The model.
            cur_iter: Unused.
            max_iters: Unused.
        """
        for wrapper in self.values():
            count = wrapper.inner_count if isinstance(wrapper, OptimWrapper) else cur_iter
            wrapper.initialize_count_status(model, count, -1)

    def grad_norms(self) -> dict[str, Tensor]:
        """Return the ``last_grad_norm`` of those that clip by norm, as ``{"<name>.grad_norm": …}``.

        Reading one as a number waits for the device.
        """
        norms = {name: getattr(one, "last_grad_norm", None) for name, one in self.items()}
        return {f"{name}.grad_norm": norm for name, norm in norms.items() if norm is not None}

    def accumulation(self) -> dict[str, Any]:
        """Return the unfinished window of each wrapper, by name."""
        return {name: wrapper.accumulation() for name, wrapper in self.items()}

    def resume_accumulation(self, state: Mapping[str, Any]) -> None:
        """Continue in the windows that `accumulation` has saved.

        Args:
            state: A state for each wrapper, by name; missing ones start a window.
        """
        for name, wrapper in self.items():
            if name in state:
                wrapper.resume_accumulation(state[name])

    def train(self, mode: bool = True) -> None:
        """Switch all optimizers that have modes to training or to evaluation.

        Args:
            mode: Whether to train; otherwise evaluate.
        """
        for wrapper in self.values():
            wrapper.train(mode)

    @property
    def param_groups(self) -> dict[str, list[dict[str, Any]]]:  # type: ignore[override]  # documented
        """The parameter groups of each, by name."""
        return {name: wrapper.param_groups for name, wrapper in self.items()}

    @property
    def scheduled_groups(self) -> dict[str, list[dict[str, Any]]]:  # type: ignore[override]  # as above
        """The groups that schedulers act on, by name."""
        return {name: wrapper.scheduled_groups for name, wrapper in self.items()}

    @property
    def defaults(self) -> dict[str, dict[str, Any]]:
        """The default options of each optimizer, by name."""
        return {name: wrapper.defaults for name, wrapper in self.items()}

    def track_base_lr(self) -> None:
        """Track ``base_lr`` in each wrapper."""
        for wrapper in self.values():
            wrapper.track_base_lr()

    def scale_lr(self, factor: float) -> None:
        """Multiply the learning rates of all wrappers by a factor.

        Args:
            factor: The factor.
        """
        for wrapper in self.values():
            wrapper.scale_lr(factor)

    def get_lr(self) -> dict[str, list[float]]:
        """Return the learning rates of all, as ``{"<name>.lr": [...]}``."""
        return {f"{n}.{key}": lr for n, w in self.items() for key, lr in w.get_lr().items()}

    def get_momentum(self) -> dict[str, list[float]]:
        """Return the momentum of all, as ``{"<name>.momentum": [...]}``."""
        return {f"{n}.{key}": m for n, w in self.items() for key, m in w.get_momentum().items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the state dict of each, by name."""
        return {name: wrapper.state_dict() for name, wrapper in self.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Args:
            state_dict: A state for each wrapper, by name.

        Raises:
            KeyError: A name has no wrapper, or a wrapper has no state.
        """
        if state_dict.keys() != self.optim_wrappers.keys():
            raise KeyError(
                f"the state must hold the optimizers of this OptimWrapperDict, got "
                f"{sorted(state_dict)} for {sorted(self.optim_wrappers)}"
            )
        for name, state in state_dict.items():
            self.optim_wrappers[name].load_state_dict(state)

    def keys(self) -> KeysView[str]:
        """Return the names."""
        return self.optim_wrappers.keys()

    def values(self) -> ValuesView[BaseOptimWrapper]:
        """Return the wrappers."""
        return self.optim_wrappers.values()

    def items(self) -> ItemsView[str, BaseOptimWrapper]:
        """Return the pairs of name and wrapper."""
        return self.optim_wrappers.items()

    def __getitem__(self, key: str) -> BaseOptimWrapper:
        if key not in self.optim_wrappers:
            raise KeyError(f"there is no optimizer wrapper {key!r}; there are: {', '.join(self)}")
        return self.optim_wrappers[key]

    def __contains__(self, key: str) -> bool:
        return key in self.optim_wrappers

    def __iter__(self) -> Iterator[str]:
        return iter(self.optim_wrappers)

    def __len__(self) -> int:
        return len(self.optim_wrappers)

    # Without wrappers too, `if optim_wrapper` must be true, as for any other wrapper.
    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"OptimWrapperDict({', '.join(f'{n}={w!r}' for n, w in self.items())})"
