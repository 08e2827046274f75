"""Find the parameters that a loss does not depend on."""

import logging
from collections import deque

from torch import Tensor, nn

from engine_utils import plain_name

logger = logging.getLogger("engine.model")


def detect_anomalous_params(loss: Tensor, model: nn.Module) -> None:
    """Log each trainable parameter of ``model`` that ``loss`` does not depend on, as an error.

    Such a parameter gets no gradient: the forward pass did not use it, or its output did not reach
    the loss. `torch.nn.parallel.DistributedDataParallel` fails on such parameters.

    Args:
        loss: The loss, before its backward pass.
        model: The model that computed the loss.

    Example:
        >>> model = nn.ModuleDict({"used": nn.Linear(1, 1), "idle": nn.Linear(1, 1)})
        >>> detect_anomalous_params(model["used"](model["used"].bias).sum(), model)
    """
    # By identity, since == of tensors compares their elements.
    reached = _leaves(loss)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and id(parameter) not in reached:
            logger.error(
                "%s with shape %s is not in the computational graph of the loss",
                plain_name(name),
                tuple(parameter.shape),
            )


def _leaves(loss: Tensor) -> set[int]:
    """Return the identities of the leaf tensors in the graph of ``loss``."""
    found = {id(loss)}  # a loss that is itself a parameter has no graph
    nodes = deque([loss.grad_fn])
    seen = set(nodes)
    while nodes:
        node = nodes.popleft()
        if node is None:  # an input that needs no gradient
            continue
        # Only the node that accumulates into a leaf has this attribute.
        variable = getattr(node, "variable", None)
        if variable is not None:
            found.add(id(variable))
        for following, _ in node.next_functions:
            if following not in seen:
                seen.add(following)
                nodes.append(following)
    return found
