"""The base class of running averages: match, group and average the parameters of a model."""

from abc import ABCMeta, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from engine_model._sharded_tensors import is_sharded
from engine_model.averaging._copy import copied, power_iteration_buffers
from engine_model.averaging._pairs import TensorPairs


class BaseAveragedModel(nn.Module, metaclass=ABCMeta):
    """Copy a model, and average the parameters of the model over its updates in the copy.

    A subclass implements `avg_func`. The first update copies the parameters. After that, each
    ``interval``-th update averages them. The copy has no gradients. The copy of a sharded model is
    sharded in the same way, so each rank averages its shards. It has no forward pass: exchange its
    parameters for those of the model, as `EMAHook` of engine-runner does.

    Args:
        model: The model to copy. The copy is not compiled.
        interval: The number of calls of `update_parameters` per average.
        device: The device of the copy; by default that of the model.
        update_buffers: Whether to average floating-point buffers too, except the vectors of
            spectral normalization. Otherwise each update copies all buffers of the model.

    Attributes:
        module: The averaged copy.
        steps: The number of calls of `update_parameters`, as a tensor in the state dict.

    Raises:
        ValueError: ``interval`` is below 1.

    Example:
        >>> class Greatest(BaseAveragedModel):
        ...     def avg_func(self, averaged_param, source_param, steps):
        ...         torch.maximum(averaged_param, source_param, out=averaged_param)
        >>> model = nn.Linear(1, 1, bias=False)
        >>> greatest = Greatest(model)
        >>> for value in (1.0, 3.0, 2.0):
        ...     _ = nn.init.constant_(model.weight, value)
        ...     greatest.update_parameters(model)
        >>> greatest.module.weight.item()
        3.0
    """

    steps: Tensor

    def __init__(
        self,
        model: nn.Module,
        interval: int = 1,
        device: torch.device | str | None = None,
        update_buffers: bool = False,
    ) -> None:
        super().__init__()
        if interval < 1:
            raise ValueError(f"interval must be an integer >= 1, got {interval}")
        self.module = copied(model).requires_grad_(False)
        if device is not None:
            self.module.to(device)
        self.interval = interval
        self.update_buffers = update_buffers
        self._is_sharded = any(map(is_sharded, self.module.parameters()))
        vectors = power_iteration_buffers(self.module)
        self._power_iterations = {
            place for place, buffer in enumerate(self.module.buffers()) if id(buffer) in vectors
        }
        self.register_buffer("steps", torch.zeros((), dtype=torch.long, device=device))
        # A cached count, with the tensor and the version for which it is valid; see `_count`.
        self._counted = (self.steps, self.steps._version, 0)
        self._pairs: TensorPairs | None = None

    @abstractmethod
    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: int) -> None:
        """Update one average in place.

        Args:
            averaged_param: The current average.
            source_param: The new value, with the same device and data type.
            steps: The number of earlier calls of `update_parameters`.
        """

    @property
    def avg_parameters(self) -> dict[str, Tensor]:
        """The averaged parameters by name, and with ``update_buffers`` the buffers."""
        parameters: dict[str, Tensor] = dict(self.module.named_parameters())
        return {**parameters, **dict(self.module.named_buffers() if self.update_buffers else ())}

    @property
    def updates(self) -> int:
        """The number of calls of `update_parameters`, without a wait for the device."""
        return self._count()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the averaged copy.

        Raises:
            RuntimeError: The copied model is sharded.
        """
        if self._is_sharded:
            raise RuntimeError(
                f"{type(self).__name__} of a sharded model has no forward, as nothing gathers its "
                "parameters; copy `avg_parameters` to the model"
            )
        return self.module(*args, **kwargs)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Add the current parameters of ``model`` to the average.

        If ``model`` is sharded, all ranks must call this. If the average is not sharded in the same
        way, the parameters of ``model`` are gathered.

        Args:
            model: A model with the same structure as the one that was copied.

        Raises:
            ValueError: The parameters or buffers differ in number or shape.
        """
        steps = self._count()
        is_due = steps % self.interval == 0
        pairs = self._pairs
        if pairs is None or pairs.model is not model or not pairs.are_current():
            # Match all before writing anything, so that an error does not change the average.
            pairs = self._pairs = TensorPairs(self.module, model, self._averages_buffer)
        if is_due:
            self._average(pairs, steps)
        if pairs.copied[0] and (is_due or not self.update_buffers):
            torch._foreach_copy_(*pairs.copied)
        self.steps.add_(1)
        self._counted = (self.steps, self.steps._version, steps + 1)

    def average_tensors(self, averages: list[Tensor], sources: list[Tensor], steps: int) -> None:
        """Update several averages of one device and data type in place.

        Args:
            averages: The current averages.
            sources: The new values, in the same order.
            steps: The number of earlier calls of `update_parameters`.
        """
        for average, source in zip(averages, sources, strict=True):
            self.avg_func(average, source, steps)

    def _average(self, pairs: TensorPairs, steps: int) -> None:
        for (_, kind), (ours, theirs) in pairs.groups().items():
            # The first update copies, and integers are never averaged.
            if steps and (kind.is_floating_point or kind.is_complex):
                self.average_tensors(ours, theirs, steps)
            else:
                torch._foreach_copy_(ours, theirs)

    def _averages_buffer(self, place: int) -> bool:
        return self.update_buffers and place not in self._power_iterations

    def _count(self) -> int:
        """Return ``steps`` as a number."""
        # Reading a tensor of an accelerator would wait for the device at each update, so the number
        # is cached. `load_state_dict` writes in place and increases the version. `to` replaces the
        # tensor. In both cases read the tensor again.
        tensor, version, count = self._counted
        if tensor is self.steps and version == self.steps._version:
            return count
        return int(self.steps)
