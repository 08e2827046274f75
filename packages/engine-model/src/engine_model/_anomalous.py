"""Finding the parameters that a loss does not depend on."""

import logging
from collections import deque

from torch import Tensor, nn

logger = logging.getLogger("engine.model")


def detect_anomalous_params(loss: Tensor, model: nn.Module) -> None:
    """Log each trainable parameter of ``model`` that ``loss`` does not depend on, as an error.

    Such a parameter was not used in the forward pass, or what it gave did not reach the loss. It
    gets no gradient, on which `torch.nn.parallel.DistributedDataParallel` fails.

    Args:
        loss: The loss, before it goes backward.
        model: The model that gave it.

    Example:
        >>> model = nn.ModuleDict({"used": nn.Linear(1, 1), "idle": nn.Linear(1, 1)})
        >>> detect_anomalous_params(model["used"](model["used"].bias).sum(), model)
    """
    reached = _leaves(loss)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and id(parameter) not in reached:
            logger.error(
                "%s with shape %s is not in the computational graph of the loss",
                name,
                tuple(parameter.shape),
            )


def _leaves(loss: Tensor) -> set[int]:
    """Return the identities of the leaf tensors in the graph of ``loss``."""
    found = {id(loss)}  # a loss may itself be a parameter
    nodes = deque([loss.grad_fn])
    seen = set(nodes)
    while nodes:
        node = nodes.popleft()
        if node is None:
            continue
        variable = getattr(node, "variable", None)  # only an AccumulateGrad node has one
        if variable is not None:
            found.add(id(variable))
        for following, _ in node.next_functions:
            if following not in seen:
                seen.add(following)
                nodes.append(following)
    return found
