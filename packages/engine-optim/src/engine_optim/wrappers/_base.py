"""What all optimizer wrappers share: groups, rates, modes and states of one optimizer."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from engine_optim.wrappers._options import configured_options
from engine_optim.wrappers._window import set_gradients, window_state

#: An empty context. One object for all iterations, because building one takes time.
NO_CONTEXT: AbstractContextManager[None] = nullcontext()


class BaseOptimWrapper(ABC):
    """Wrap an optimizer; a subclass defines `update_params`, `backward`, `step` and `zero_grad`.

    Derive from it to update parameters in another way, for example with an engine that runs the
    backward pass itself. `OptimWrapper` adds accumulation and clipping.

    Args:
        optimizer: The optimizer that holds the parameters.

    Attributes:
        optimizer: The optimizer.
        base_param_settings: The group of ``base_lr``, or ``None`` if it is not tracked.
        options: The numbers among the options of each group as they were configured, which
            schedules do not change.

    Raises:
        TypeError: ``optimizer`` is not a torch optimizer.

    Example:
        >>> import torch
        >>> class PlainWrapper(BaseOptimWrapper):
        ...     def update_params(self, loss):
        ...         self.backward(loss)
        ...         self.step()
        ...         self.zero_grad()
        ...     def backward(self, loss, **kwargs):
        ...         loss.backward(**kwargs)
        ...     def step(self, **kwargs):
        ...         self.optimizer.step(**kwargs)
        >>> model = torch.nn.Linear(1, 1)
        >>> wrapper = PlainWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
        >>> wrapper.update_params(model(torch.ones(1, 1)).sum())
        >>> wrapper.get_lr()
        {'lr': [0.1]}
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                "optimizer must be an instance of torch.optim.Optimizer, got "
                f"{type(optimizer).__name__}; build the wrapper from a config with "
                "build_optim_wrapper(model, cfg)"
            )
        self.optimizer = optimizer
        self.base_param_settings: dict[str, Any] | None = None
        self.options = configured_options(optimizer.param_groups)

    @abstractmethod
    def update_params(self, *args: Any, **kwargs: Any) -> Any:
        """Update the parameters from a loss."""

    @abstractmethod
    def backward(self, loss: Tensor, **kwargs: Any) -> Any:
        """Compute gradients.

        Args:
            loss: A scalar with a graph.
            **kwargs: For `torch.Tensor.backward`.
        """

    @abstractmethod
    def step(self, **kwargs: Any) -> Any:
        """Step the optimizer.

        Args:
            **kwargs: For the optimizer's ``step``.
        """

    def zero_grad(self, **kwargs: Any) -> None:
        """Clear the gradients.

        Args:
            **kwargs: For the optimizer's `zero_grad`.
        """
        self.optimizer.zero_grad(**kwargs)

    def optim_context(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Return the context for the forward pass and `update_params`: an empty one.

        Args:
            model: The model, or the wrapper that synchronizes its gradients.
        """
        return NO_CONTEXT

    def initialize_count_status(self, model: nn.Module, init_counts: int, max_counts: int) -> None:
        """Take the begin and end of a run; a wrapper without accumulation needs neither.

        Args:
            model: The model.
            init_counts: The number of earlier calls of `update_params`, in a resumed run.
            max_counts: The number of calls in the whole run; -1 or infinity if unknown.
        """
        return

    def accumulation(self) -> dict[str, Any]:
        """Return the gradients that the parameters hold between two steps, for a checkpoint.

        The tensors are those of the parameters, not copies.
        """
        return window_state(self.optimizer, 0, 0, 1)

    def resume_accumulation(self, state: Mapping[str, Any]) -> None:
        """Set the gradients that `accumulation` has saved.

        Args:
            state: The state; it is not changed.
        """
        if state.get("gradients"):
            set_gradients(self.optimizer, state["gradients"], 1)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The optimizer's parameter groups."""
        return self.optimizer.param_groups

    @property
    def scheduled_groups(self) -> list[dict[str, Any]]:
        """The groups that schedulers change: the optimizer's groups, and the one of ``base_lr``."""
        groups = self.optimizer.param_groups
        return groups if self.base_param_settings is None else [*groups, self.base_param_settings]

    @property
    def defaults(self) -> dict[str, Any]:
        """The optimizer's default options."""
        return self.optimizer.defaults

    def track_base_lr(self) -> None:
        """Schedule the optimizer's default learning rate too, and report it as ``base_lr``.

        It shows the schedule if all groups have their own learning rates.
        """
        # This group has no parameters and is not in the optimizer, which never updates it.
        self.base_param_settings = {"params": [], **self.optimizer.defaults}

    def scale_lr(self, factor: float) -> None:
        """Multiply all learning rates by a factor, before schedules are built.

        Args:
            factor: The factor.
        """
        # Schedules start from ``initial_lr`` where an optimizer has it already.
        for group in [*self.scheduled_groups, *self.options]:
            for key in ("lr", "initial_lr"):
                if key in group:
                    group[key] *= factor

    def get_lr(self) -> dict[str, list[float]]:
        """Return ``{"lr": [...]}`` with a number per group, and ``base_lr`` if it is tracked."""
        # Read at each iteration: a check of the type is far cheaper than a call.
        groups = self.optimizer.param_groups
        rates = {"lr": [v if type(v := group["lr"]) is float else _number(v) for group in groups]}
        if self.base_param_settings is not None and "lr" in self.base_param_settings:
            rates["base_lr"] = [_number(self.base_param_settings["lr"])]
        return rates

    def get_momentum(self) -> dict[str, list[float]]:
        """Return ``{"momentum": [...]}``: per group the momentum, the first of ``betas``, or 0."""
        return {"momentum": [_momentum(group) for group in self.optimizer.param_groups]}

    def train(self, mode: bool = True) -> None:
        """Switch an optimizer with modes, such as a schedule-free one, to training or evaluation.

        Args:
            mode: Whether to train; otherwise evaluate the averaged weights.
        """
        # torch's own optimizers have neither `train` nor `eval`.
        switch: Callable[[], Any] | None = getattr(
            self.optimizer, "train" if mode else "eval", None
        )
        if switch is not None:
            switch()

    def eval(self) -> None:
        """Switch an optimizer that has modes to evaluation."""
        self.train(False)

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizer's state, with ``base_param_settings`` if ``base_lr`` is tracked."""
        state = self.optimizer.state_dict()
        if self.base_param_settings is not None:
            state["base_param_settings"] = dict(self.base_param_settings)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Args:
            state_dict: The state; it is not changed.
        """
        state = dict(state_dict)  # `pop` must not change the caller's checkpoint
        base = state.pop("base_param_settings", None)
        if base is not None and self.base_param_settings is not None:
            self.base_param_settings = dict(base)
        self.optimizer.load_state_dict(state)


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) else value


def _momentum(group: dict[str, Any]) -> Any:
    if "momentum" in group:
        return _number(group["momentum"])
    return _number(group["betas"][0]) if "betas" in group else 0
