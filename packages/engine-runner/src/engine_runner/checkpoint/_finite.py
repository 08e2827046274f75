"""Find weights that are NaN."""

import torch
from torch import Tensor, nn


def nan_weights(model: nn.Module) -> list[str]:
    """Return the names of the trained parameters that contain NaN, on this rank.

    Infinite values are not reported. A sharded parameter is searched in the shard of this rank.

    Args:
        model: The model; it is not changed.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> _ = nn.init.constant_(model.bias, float("nan"))
        >>> nan_weights(model)
        ['bias']
    """
    trained = {
        name: _local(parameter)
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.is_floating_point()
    }
    # One sum per parameter, and one wait for the device: NaN in a parameter is NaN in its sum.
    sums = [weights.sum(dtype=torch.float32) for weights in trained.values()]
    found = (
        torch.stack([total.to(sums[0].device) for total in sums]).isnan().tolist() if sums else []
    )
    suspects = [name for name, is_nan in zip(trained, found, strict=True) if is_nan]
    # Not each such sum: infinite values of both signs add up to NaN, too.
    return [name for name in suspects if trained[name].isnan().any()]


def _local(parameter: Tensor) -> Tensor:
    to_local = getattr(parameter, "to_local", None)  # of the sharded tensors of FSDP2
    local: Tensor = parameter if to_local is None else to_local()
    return local.detach()
