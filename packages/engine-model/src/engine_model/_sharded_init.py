"""Initialize sharded parameters to the values that they would have in one process.

A random operation on a sharded tensor draws on each rank for its own shard. With equal seeds, each
shard would get the same numbers. So values are computed for whole parameters, and then sharded.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode

from engine_dist import broadcast
from engine_model._sharded_tensors import is_sharded, local_part, reshard, shard_like

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.tensor import DTensor

# A write to the result of one of these does not reach a sharded tensor, which they copy.
_PARTS = ("select", "slice", "narrow", "split", "unbind", "chunk", "index", "diagonal", "unfold")


def broadcast_over(mesh: "DeviceMesh", tensor: Tensor) -> None:
    """Copy a tensor of the first rank of a mesh to its other ranks, in place.

    Args:
        mesh: The ranks; all must call this.
        tensor: A plain tensor of one shape on all ranks.
    """
    # The first dimension sends to the first rank of each row, the second one inside the rows.
    for dimension in range(mesh.ndim):
        broadcast(tensor, group=mesh.get_group(dimension), group_src=0)


@contextmanager
def whole_parameters(module: nn.Module, recurse: bool = True) -> Iterator[None]:
    """Replace sharded parameters by whole ones inside the context, and shard them again after it.

    Each rank then gets its part of the values that the first rank has. All ranks must enter it.

    Args:
        module: The module. One without sharded parameters is not changed.
        recurse: Whether to include the parameters of sub-modules.

    Raises:
        RuntimeError: A parameter was replaced inside the context, instead of filled in place.
    """
    reshard(module)
    places: list[tuple[nn.Module, str, Any]] = [
        (owner, name, parameter)
        for owner in (module.modules() if recurse else [module])
        for name, parameter in owner._parameters.items()
        if parameter is not None and is_sharded(parameter)
    ]
    wholes: dict[Any, nn.Parameter] = {}  # a parameter with two names stays one
    for owner, name, parameter in places:
        if parameter not in wholes:
            values = parameter.detach().full_tensor().clone()
            wholes[parameter] = nn.Parameter(values, requires_grad=parameter.requires_grad)
        owner._parameters[name] = wholes[parameter]
    try:
        yield
        replaced = [
            f"{type(owner).__name__}.{name}"
            for owner, name, parameter in places
            if owner._parameters.get(name) is not wholes[parameter]
        ]
    finally:
        for owner, name, parameter in places:
            owner._parameters[name] = parameter
    if replaced:
        raise RuntimeError(
            "parameters of a sharded model must be filled in place, got a new parameter for "
            f"{', '.join(replaced)}; use functions of torch.nn.init, or copy_"
        )
    for sharded, filled in wholes.items():
        _take(sharded, filled.detach())
        sharded.requires_grad_(filled.requires_grad)


@torch.no_grad()
def _take(parameter: Any, values: Tensor) -> None:
    """Give a sharded tensor its part of the values that the first rank has."""
    broadcast_over(parameter.device_mesh, values)
    shards: Any = shard_like(values, parameter)
    parameter.to_local().copy_(shards.to_local())


class WholeDraws(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Draw random values of sharded tensors as for whole ones, one tensor at a time.

    For a model that fits in no single memory. A write to a part of a sharded tensor, such as
    ``weight[0].zero_()``, would be lost, and is an error.

    Example:
        >>> weight = torch.zeros(2)
        >>> with WholeDraws():
        ...     weight = weight.uniform_(1, 2)
        >>> bool((weight >= 1).all())
        True
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operator."""
        given = dict(kwargs or {})
        if not args or not is_sharded(args[0]):
            return func(*args, **given)
        name = func.overloadpacket.__name__.strip("_")
        if name.partition("_")[0] in _PARTS:
            raise RuntimeError(
                f"init_weights of a model that is built on the meta device must fill whole "
                f"parameters, got {name} of one with the shape {tuple(args[0].shape)}; do that in "
                "the reset_parameters of its module"
            )
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **given)
        return self._draw(func, args[0], args[1:], given)

    def _draw(
        self, func: Any, tensor: "DTensor", others: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run a random operator on the whole tensor."""
        rest = [one.full_tensor() if is_sharded(one) else one for one in others]
        values = func(tensor.full_tensor().clone(), *rest, **kwargs)
        if func._schema.is_mutable:
            _take(tensor, values)
            return tensor
        broadcast_over(tensor.device_mesh, values)
        return shard_like(values, tensor)


@contextmanager
def parameters_on_meta() -> Iterator[None]:
    """Create the parameters of modules on the meta device, without memory; buffers have values.

    The model is then sharded, and `materialize` creates the shards. A model that fits in no single
    memory is built this way.

    Example:
        >>> with parameters_on_meta():
        ...     layer = nn.BatchNorm1d(2)
        >>> layer.weight.device.type, layer.running_var.device.type
        ('meta', 'cpu')
    """
    register = nn.Module.register_parameter

    def register_on_meta(module: nn.Module, name: str, param: nn.Parameter | None) -> None:
        if param is not None and not param.is_meta and not is_lazy(param):
            attributes = vars(param)
            param = nn.Parameter(param.detach().to("meta"), requires_grad=param.requires_grad)
            vars(param).update(attributes)
        register(module, name, param)

    # Each module calls the method of the base class.
    nn.Module.register_parameter = register_on_meta  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]  # as before


def materialize(module: nn.Module, device: torch.device) -> None:
    """Create the parameters that are on the meta device, and fill them by `reset_parameters`.

    Parameters of modules without that method are filled with NaN, so that `unfilled_parameters`
    finds them.

    Args:
        module: The sharded module; all ranks must call this.
        device: Where the parameters are stored.
    """
    new = {name for name, parameter in module.named_parameters() if parameter.is_meta}
    create: Any = module._apply
    create(lambda one: torch.empty_like(one, device=device) if one.is_meta else one)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name in new and (parameter.is_floating_point() or parameter.is_complex()):
                local_part(parameter).fill_(torch.nan)
    # The children first, as in a constructor: a parent may fill the parameters of its children.
    for name, part in reversed(list(module.named_modules())):
        own = {f"{name}.{one}" if name else one for one, _ in part.named_parameters(recurse=False)}
        reset = getattr(part, "reset_parameters", getattr(part, "_reset_parameters", None))
        if own & new and callable(reset):
            with whole_parameters(part, recurse=False):
                reset()


def unfilled_parameters(module: nn.Module) -> list[str]:
    """Return the names of the parameters of which some rank has NaN alone.

    Args:
        module: The module; each rank finds those of its own shards.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> nn.init.constant_(layer.bias, torch.nan).isnan().item(), unfilled_parameters(layer)
        (True, ['bias'])
    """
    found = []
    for name, parameter in module.named_parameters():
        local = local_part(parameter)
        if local.numel() and bool((local != local).all()):
            found.append(name)
    return found
