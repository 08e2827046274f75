"""Build the mesh of ranks across which a model is sharded and copied."""

import math
from collections.abc import Sequence
from typing import Any

from torch.distributed import ProcessGroup
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from engine_dist import get_comm_device, get_local_size, get_world_size

Shape = int | Sequence[int]
"""The ranks in each dimension of a mesh."""

NAMES = ("copy", "shard")


def mesh_shape(mesh: Shape) -> tuple[int, ...]:
    """Return the shape of a mesh as a tuple.

    Args:
        mesh: The number of ranks to shard across, or this number after the number of copies. One
            of them may be -1, for the ranks that are left.

    Raises:
        TypeError: ``mesh`` is something else.
        ValueError: A number is 0 or less, or there are more than two of them.

    Example:
        >>> mesh_shape([-1, 8])
        (-1, 8)
    """
    single = isinstance(mesh, int) and not isinstance(mesh, bool)
    given: Any = (mesh,) if single else mesh
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise TypeError(_rule(mesh))
    shape = tuple(given)
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in shape):
        raise TypeError(_rule(mesh))
    if len(shape) not in (1, 2) or shape.count(-1) > 1 or any(n < 1 and n != -1 for n in shape):
        raise ValueError(_rule(mesh))
    return shape


def _rule(mesh: object) -> str:
    return (
        "mesh must be a DeviceMesh or one or two integers, the copies and the ranks that share "
        f"one, such as (2, 4), with at most one -1 for the ranks that are left, got {mesh!r}"
    )


def device_mesh(mesh: DeviceMesh | Shape | None, group: ProcessGroup | None) -> DeviceMesh:
    """Return a mesh of a shape, or of the ranks of a process group, by default of all ranks.

    Args:
        mesh: The mesh, or its shape; see `mesh_shape`.
        group: The ranks to shard across, if there is no mesh.

    Raises:
        ValueError: The shape is not that of the ranks of this run, or both arguments are given.
    """
    if mesh is not None and group is not None:
        raise ValueError("process_group must be None with mesh, which has its own groups")
    if isinstance(mesh, DeviceMesh):
        return mesh
    kind = get_comm_device(group).type
    if group is not None:
        return DeviceMesh.from_group(group, kind)
    world = get_world_size()
    if mesh is None:
        return init_device_mesh(kind, (world,))
    shape = mesh_shape(mesh)
    known = math.prod(n for n in shape if n != -1)
    if world % known or (-1 not in shape and world != known):
        raise ValueError(
            f"mesh must have as many ranks as the run, got {mesh!r} in a run of {world}; set the "
            "copies to -1, or start another number of processes"
        )
    full = tuple(world // known if n == -1 else n for n in shape)
    return init_device_mesh(kind, full, mesh_dim_names=NAMES[-len(full) :])


def mesh_with_copies(name: str, group: ProcessGroup | None) -> DeviceMesh:
    """Return the mesh of a sharding strategy that has copies.

    Args:
        name: The strategy. ``"NO_SHARD"`` copies to all ranks, others to each machine.
        group: Must be ``None``.

    Raises:
        ValueError: There is a group, or the machines have different numbers of ranks.
    """
    if group is not None:
        raise ValueError(
            f"process_group must be None with sharding_strategy={name!r}, which has a group for "
            "the shards and one for the copies; pass mesh, with two dimensions"
        )
    world, local = get_world_size(), 1 if name == "NO_SHARD" else get_local_size()
    if world % local:
        raise ValueError(
            f"sharding_strategy={name!r} needs as many ranks on each machine, got {local} here and "
            f"{world} in all; pass mesh, with two dimensions"
        )
    return device_mesh((world // local, local), None)
