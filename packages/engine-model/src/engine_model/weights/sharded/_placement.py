"""How a model is sharded, so that a checkpoint can be read in the same shards."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from engine_model._sharded_tensors import is_sharded

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The devices that a tensor is sharded over, and how.

    Attributes:
        mesh: The devices.
        placements: The placement in each dimension of the mesh.
    """

    mesh: "DeviceMesh"
    placements: tuple[Any, ...]

    def empty(self, like: Tensor) -> Tensor:
        """Return a tensor of a shape and type, with memory for the shard of this rank alone."""
        from torch.distributed import tensor  # takes a second to import

        result: Tensor = tensor.empty(
            like.shape, dtype=like.dtype, device_mesh=self.mesh, placements=self.placements
        )
        return result


def placement_of(model: nn.Module) -> Placement | None:
    """Return the placement of the first sharded parameter, or None if there is none.

    Args:
        model: The model, or its wrapper.

    Example:
        >>> placement_of(nn.Linear(1, 1)) is None
        True
    """
    for parameter in model.parameters():
        if is_sharded(parameter):
            # Others, such as strided shards, are read whole, and then sharded.
            known = {type(item).__name__ for item in parameter.placements} <= {"Shard", "Replicate"}
            if not known:
                return None
            return Placement(mesh=parameter.device_mesh, placements=tuple(parameter.placements))
    return None
