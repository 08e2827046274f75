"""The optimizer wrapper: run backward, accumulation, clipping and step in one call."""

import logging
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from engine_optim.wrappers._base import NO_CONTEXT, BaseOptimWrapper
from engine_optim.wrappers._clipping import clipping
from engine_optim.wrappers._guard import StepGuard
from engine_optim.wrappers._window import enter_window, has_gradient, why_no_gradient, window_state
from engine_registry import OPTIM_WRAPPERS

logger = logging.getLogger("engine.optim")


@OPTIM_WRAPPERS.register_module()
class OptimWrapper(BaseOptimWrapper):
    """Update parameters from a loss: `update_params` runs backward, step and zero_grad.

    With ``accumulative_counts=n`` the optimizer steps at every n-th call. These n calls are one
    accumulation window. Each loss is divided by the size of its window. The last call of a run
    steps too, if `initialize_count_status` has set the length of the run.

    Args:
        optimizer: The optimizer that holds the parameters.
        accumulative_counts: Calls of `update_params` per step of the optimizer.
        clip_grad: How to clip gradients before each step, or ``None``: arguments of
            `torch.nn.utils.clip_grad_norm_` (``max_norm``, ``norm_type``, ...), or
            ``clip_value`` for `torch.nn.utils.clip_grad_value_`. A key ``type`` (``norm`` or
            ``value``) may choose between them.

    Attributes:
        last_grad_norm: The total norm before the last clipping by norm, a tensor on the device of
            the gradients, or ``None``. Reading it as a number waits for the device.
        grad_norm_name: The name under which that norm is logged.
        guard: Leaves out the steps of bad losses, or ``None``.
        options: The numbers among the options of each group as they were configured, which
            schedules do not change.

    Raises:
        TypeError: ``optimizer`` is not a torch optimizer.
        ValueError: ``accumulative_counts`` or ``clip_grad`` is invalid.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> optim_wrapper = OptimWrapper(optimizer, clip_grad=dict(max_norm=1.0))
        >>> with optim_wrapper.optim_context(model):
        ...     loss = model(torch.ones(4, 2)).square().mean()
        >>> optim_wrapper.update_params(loss)
        >>> optim_wrapper.get_lr()
        {'lr': [0.1]}
    """

    grad_norm_name: ClassVar[str] = "train/grad_norm"
    guard: StepGuard | None = None

    def __init__(
        self,
        optimizer: Optimizer,
        accumulative_counts: int = 1,
        clip_grad: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(optimizer)
        if not isinstance(accumulative_counts, int) or accumulative_counts < 1:
            raise ValueError(
                f"accumulative_counts must be an integer >= 1, got {accumulative_counts!r}"
            )
        self._accumulative_counts = accumulative_counts
        self._inner_count = 0
        self._max_counts = -1
        self._remainder_counts = 0
        # The first call of the window in which a run resumes, and the one after its last.
        self._first_window = (0, 0)
        self._resumed: Mapping[str, Any] | None = None
        self.clip_func, self.clip_grad_kwargs = clipping(clip_grad)
        self.last_grad_norm: Tensor | None = None

    def update_params(
        self,
        loss: Tensor,
        step_kwargs: dict[str, Any] | None = None,
        zero_kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Add the gradients of a loss; at the end of a window, step and clear them.

        Args:
            loss: A scalar with a graph.
            step_kwargs: Arguments for the optimizer's ``step``.
            zero_kwargs: Arguments for its `zero_grad`.

        Raises:
            TypeError: ``loss`` is not a tensor.
        """
        if not isinstance(loss, Tensor):
            raise TypeError(
                f"loss must be one tensor with a graph, got {type(loss).__name__}; add up a dict "
                "of losses with the model's parse_losses"
            )
        self.backward(self.scale_loss(loss))
        if self.should_update():
            # Call the methods, which a subclass may override. `**` would build a dict each time.
            self.step(**step_kwargs) if step_kwargs else self.step()
            self.zero_grad(**zero_kwargs) if zero_kwargs else self.zero_grad()

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Compute gradients and count the call; a subclass that overrides this must count too.

        Args:
            loss: A scalar with a graph.
            **kwargs: For `torch.Tensor.backward`.

        Raises:
            RuntimeError: The loss depends on no trainable parameter.
        """
        if not loss.requires_grad:
            raise RuntimeError(why_no_gradient(self.optimizer))
        # Here, as the count: a model may call `backward` and `step` itself, without
        # `update_params`.
        if self.guard is not None:
            loss = self.guard.marked(loss, self._window_size())
        self._scaled(loss).backward(**kwargs)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._inner_count += 1

    def _scaled(self, loss: Tensor) -> Tensor:
        """Return the loss of which gradients are computed."""
        return loss

    def step(self, **kwargs: Any) -> None:
        """Clip the gradients if configured, then step the optimizer.

        Args:
            **kwargs: For the optimizer's ``step``. A ``closure`` may use `zero_grad` and
                `backward` of this wrapper; gradients are clipped after each evaluation.
        """
        if kwargs.get("closure") is not None:
            self._step_closure(**kwargs)
            return
        if self.guard is not None and self.guard.leaves_out(self.optimizer):
            return
        if self.clip_func is not None:
            self._clip_grad()
        self.optimizer.step(**kwargs)

    def _step_closure(self, closure: Callable[[], Any], **kwargs: Any) -> None:
        if self.guard is not None:
            raise ValueError(
                "closure must be None where steps of bad losses are left out, as the optimizer "
                "steps within it; set on_bad_loss='raise'"
            )
        if self._accumulative_counts > 1:
            raise ValueError(
                "accumulative_counts must be 1 with a closure, which computes all gradients of its "
                f"step, got {self._accumulative_counts}; accumulate inside the closure"
            )

        def evaluate() -> Any:
            # Optimizers such as LBFGS call the closure under no_grad.
            with torch.enable_grad():
                loss = closure()
            if self.clip_func is not None:
                self._clip_grad()
            return loss

        count = self._inner_count
        self.optimizer.step(closure=evaluate, **kwargs)
        # One step is one update, however often the optimizer called the closure.
        self._inner_count = count

    def _clip_grad(self) -> None:
        groups = self.optimizer.param_groups
        # torch skips parameters without gradients too. An empty list shows that there is no norm.
        params = [p for group in groups for p in group["params"] if p.grad is not None]
        if params and self.clip_func is not None:
            norm = self.clip_func(params, **(self.clip_grad_kwargs or {}))
            if norm is not None:
                # The norm of sharded parameters is a DTensor. Gathering it is a collective, and all
                # ranks are here now.
                whole: Callable[[], Tensor] | None = getattr(norm, "full_tensor", None)
                self.last_grad_norm = norm.detach() if whole is None else whole().detach()

    def optim_context(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Return the context for the forward pass and `update_params`.

        Inside an accumulation window it is the model's `no_sync`, if it has one. So the ranks
        exchange gradients only in the call that steps.

        Args:
            model: The model, or the wrapper that synchronizes its gradients.
        """
        if self._accumulative_counts == 1 or self.should_sync():
            return NO_CONTEXT
        no_sync: Callable[[], AbstractContextManager[Any]] | None = getattr(model, "no_sync", None)
        return NO_CONTEXT if no_sync is None else no_sync()

    def initialize_count_status(self, model: nn.Module, init_counts: int, max_counts: int) -> None:
        """Set the begin and end of the run, so that a smaller last window steps too.

        Gradients that `resume_accumulation` has given are set now, and the run continues in their
        window. A window that a resumed run enters without them has fewer calls; their average
        counts.

        Args:
            model: The model; batch norm together with accumulation is logged as a warning.
            init_counts: The number of earlier calls of `update_params`, in a resumed run.
            max_counts: The number of calls in the whole run; -1 or infinity if unknown.
        """
        counts = self._accumulative_counts
        resumed, self._resumed = self._resumed, None
        self._inner_count = init_counts if resumed is None else resumed["inner_count"]
        self._max_counts = max_counts
        # The size of the last window if it is smaller than the others, otherwise 0.
        self._remainder_counts = max_counts % counts if 0 < max_counts < math.inf else 0
        self._first_window = enter_window(
            self.optimizer, resumed, self._inner_count, counts, max_counts
        )
        if counts > 1 and any(isinstance(module, _BatchNorm) for module in model.modules()):
            logger.warning(
                "Batch norm computes its statistics per batch; accumulative_counts=%d does not "
                "change that.",
                counts,
            )

    def accumulation(self) -> dict[str, Any]:
        """Return the calls and the gradients of an unfinished window, for a checkpoint.

        Outside of a window there are gradients only if the loss of another optimizer has left some.
        The tensors are those of the parameters, not copies.

        Returns:
            ``inner_count``, the ``calls`` in the window so far, its ``size``, and ``gradients``:
            one tensor or ``None`` per parameter.
        """
        count = self._inner_count
        first, end = self._first_window
        start = first if count < end else count - count % self._accumulative_counts
        calls = 0 if self.should_update() else count - start
        return window_state(self.optimizer, count, calls, self._window_size())

    def finish_window(self) -> None:
        """Step with the gradients of an unfinished window, and clear them; else do nothing.

        As in a whole window, the mean of its calls counts. The ranks must have exchanged their
        gradients before.
        """
        window = self.accumulation()
        if not window["calls"] or not has_gradient(self.optimizer):
            return
        for gradient in window["gradients"]:
            if gradient is not None:
                gradient.mul_(window["size"] / window["calls"])
        self.step()
        self.zero_grad()
        # The next call begins a window.
        count, end = self._inner_count, self._first_window[1]
        self._inner_count = end if count < end else count + -count % self._accumulative_counts

    def resume_accumulation(self, state: Mapping[str, Any]) -> None:
        """Continue in the window that `accumulation` has saved.

        `initialize_count_status` then takes the count from the state, and sets the gradients.

        Args:
            state: The state; it is not changed.
        """
        self._resumed = dict(state)

    def should_update(self) -> bool:
        """Return whether the last counted call completes a window."""
        count = self._inner_count
        return count % self._accumulative_counts == 0 or count == self._max_counts

    def should_sync(self) -> bool:
        """Return whether the next call completes a window, and must exchange gradients."""
        count = self._inner_count + 1
        return count % self._accumulative_counts == 0 or count == self._max_counts

    def scale_loss(self, loss: Tensor) -> Tensor:
        """Divide the loss by the size of its window; the last window may be smaller.

        Args:
            loss: The loss of the next call.
        """
        if self._accumulative_counts == 1 and not self._first_window[1]:
            return loss
        return loss / self._window_size()

    def _window_size(self) -> int:
        """Return the size of the window of the next call."""
        count = self._inner_count
        first, end = self._first_window
        if count < end:
            return end - first
        remainder = self._remainder_counts
        if remainder and count >= self._max_counts - remainder:
            return remainder
        return self._accumulative_counts

    @property
    def accumulative_counts(self) -> int:
        """Calls of `update_params` per step of the optimizer."""
        return self._accumulative_counts

    @property
    def inner_count(self) -> int:
        """The number of calls of `backward`, counted from ``init_counts``."""
        return self._inner_count

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(accumulative_counts={self._accumulative_counts}, "
            f"optimizer={self.optimizer!r})"
        )
