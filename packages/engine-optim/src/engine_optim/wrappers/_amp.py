"""Mixed precision: run the forward pass under autocast, and scale the loss in float16."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn

from engine_optim.wrappers._base import NO_CONTEXT
from engine_optim.wrappers._window import has_gradient
from engine_optim.wrappers._wrapper import OptimWrapper
from engine_registry import OPTIM_WRAPPERS

_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(OptimWrapper):
    """Update parameters in mixed precision, on the CPU and on accelerators.

    Losses in float16 are scaled up before backward, so that small gradients do not vanish.
    Gradients are scaled back before clipping and the step; a step whose gradients overflow is
    skipped. bfloat16 needs no scaler.

    Args:
        loss_scale: ``dynamic`` for the defaults of `torch.amp.GradScaler`, a number for its
            ``init_scale``, or a dict of its arguments.
        dtype: ``float16`` or ``bfloat16``, or the torch dtype of that name; ``None`` is float16.
        use_fsdp: Whether to scale with `ShardedGradScaler`, so that all ranks skip a step if the
            gradients of one overflow. `torch.amp.GradScaler` does so for `fully_shard`; other
            wrappers that shard gradients need this. bfloat16 has no scaler to choose.
        device_type: The device type of the forward pass; by default that of the first parameter.
        **kwargs: For `OptimWrapper`.

    Raises:
        ValueError: ``dtype`` is not one of these, ``loss_scale`` is not positive, or ``use_fsdp``
            comes with bfloat16.
        RuntimeError: ``use_fsdp`` is set, and there is no process group.
        TypeError: ``loss_scale`` has another type.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> optim_wrapper = AmpOptimWrapper(dtype="bfloat16", optimizer=optimizer)
        >>> with optim_wrapper.optim_context(model):
        ...     output = model(torch.ones(4, 2))
        ...     optim_wrapper.update_params(output.float().square().mean())
        >>> output.dtype
        torch.bfloat16
    """

    def __init__(
        self,
        loss_scale: str | float | Mapping[str, Any] = "dynamic",
        dtype: str | torch.dtype | None = None,
        use_fsdp: bool = False,
        *,
        device_type: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        dtype = torch.float16 if dtype is None else dtype
        self.dtype = _DTYPES.get(dtype) if isinstance(dtype, str) else dtype
        if self.dtype not in _DTYPES.values():
            raise ValueError(f"dtype must be one of {', '.join(_DTYPES)}, got {dtype!r}")
        self._device_type = device_type
        self.loss_scaler: torch.amp.GradScaler | None = None
        if self.dtype is torch.float16:
            scaler = _sharded_scaler() if use_fsdp else torch.amp.GradScaler
            self.loss_scaler = scaler(self.device_type, **_scaler_args(loss_scale))
        elif use_fsdp:
            raise ValueError(
                "use_fsdp must be False with dtype='bfloat16', which scales no loss; remove it"
            )

    @property
    def device_type(self) -> str:
        """The device type of the forward pass, such as ``cuda``."""
        # Read each time: the model may be moved after the wrapper is built.
        if self._device_type is not None:
            return self._device_type
        params = (param for group in self.optimizer.param_groups for param in group["params"])
        device: torch.device = next(params).device
        return device.type

    def optim_context(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Return the context of mixed precision, and that of `OptimWrapper`.

        Args:
            model: The model, or the wrapper that synchronizes its gradients.
        """
        synchronization = super().optim_context(model)
        autocast = torch.autocast(self.device_type, dtype=self.dtype)
        # Outside of accumulation return autocast alone: two contexts take more time than one.
        return autocast if synchronization is NO_CONTEXT else _both(synchronization, autocast)

    def _scaled(self, loss: Tensor) -> Tensor:
        """Return the loss of which gradients are computed: scaled up in float16."""
        return loss if self.loss_scaler is None else self.loss_scaler.scale(loss)

    def step(self, **kwargs: Any) -> None:
        """Scale the gradients back, clip them if configured, and step unless they overflowed.

        Args:
            **kwargs: For the optimizer's ``step``.

        Raises:
            ValueError: A ``closure`` is given in float16: its gradients would be scaled.
        """
        scaler = self.loss_scaler
        if scaler is None:
            super().step(**kwargs)
            return
        if kwargs.get("closure") is not None:
            raise ValueError(
                "closure must be None with dtype='float16', whose loss scale changes between "
                "steps; use dtype='bfloat16' or OptimWrapper"
            )
        # The scaler raises if no parameter has a gradient; other wrappers skip such a step.
        if not has_gradient(self.optimizer):
            return
        if self.guard is not None:
            # The scaler leaves the step out by itself, and lowers its scale.
            self.guard.leaves_out(self.optimizer)
        if self.clip_func is not None:
            # Unscale first, so that the limit applies to the true gradients.
            scaler.unscale_(self.optimizer)
            self._clip_grad()
        scaler.step(self.optimizer, **kwargs)
        scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizer's state dict, with the scaler's under ``loss_scaler`` in float16."""
        state = super().state_dict()
        if self.loss_scaler is not None:
            state["loss_scaler"] = self.loss_scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned; ``loss_scaler`` may be missing.

        Args:
            state_dict: The state; it is not changed.
        """
        state = dict(state_dict)
        scaler_state = state.pop("loss_scaler", None)
        if scaler_state and self.loss_scaler is not None:
            self.loss_scaler.load_state_dict(scaler_state)
        super().load_state_dict(state)


def _sharded_scaler() -> type[torch.amp.GradScaler]:
    if not (distributed.is_available() and distributed.is_initialized()):
        raise RuntimeError(
            "use_fsdp=True needs a process group; start the processes with torchrun, or remove it"
        )
    # Here, because it loads torch.distributed.fsdp, which takes most of a second.
    from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler

    return ShardedGradScaler


def _scaler_args(loss_scale: str | float | Mapping[str, Any]) -> dict[str, Any]:
    if loss_scale == "dynamic":
        return {}
    if isinstance(loss_scale, Mapping):
        return dict(loss_scale)
    if isinstance(loss_scale, int | float) and not isinstance(loss_scale, bool):
        if not loss_scale > 0:
            raise ValueError(f"loss_scale must be positive, got {loss_scale}")
        return {"init_scale": float(loss_scale)}
    raise TypeError(
        "loss_scale must be 'dynamic', a number, or a dict of the arguments of "
        f"torch.amp.GradScaler, got {loss_scale!r}"
    )


@contextmanager
def _both(outer: AbstractContextManager[Any], inner: AbstractContextManager[Any]) -> Iterator[None]:
    with outer, inner:
        yield
