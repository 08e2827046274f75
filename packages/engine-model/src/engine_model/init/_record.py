"""Record which initializer set each parameter, and log it after `init_weights`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine_model._compiled import is_compiled, original
from engine_model._sharded_tensors import local_part
from engine_model._uninitialized import require_shapes
from engine_utils import plain_name

logger = logging.getLogger("engine.model")

# The number of values that a fingerprint samples, besides the sum.
_SAMPLES = 64
# The name is documented, because initializers of other libraries write to the table.
_TABLE = "_params_init_info"


@dataclass(frozen=True, kw_only=True)
class InitRecord:
    """The initializer that set a parameter last.

    Attributes:
        message: The text that the init log shows.
        fingerprint: Bytes that change when the values change; ``None`` for a parameter on the meta
            device, which has no values.
    """

    message: str
    fingerprint: bytes | None


class InitTable(dict[nn.Parameter, InitRecord]):
    """The records of all parameters of one initialization.

    Attributes:
        called: The modules whose `init_weights` was called.
    """

    def __init__(self) -> None:
        super().__init__()
        self.called: set[nn.Module] = set()


def update_init_info(module: nn.Module, init_info: str) -> None:
    """Record ``init_info`` for every parameter of ``module`` whose values have changed.

    If a parameter is set to the same values again, it keeps its previous record.

    Args:
        module: A module inside `BaseModule.init_weights`, which gives each sub-module the table
            ``_params_init_info``.
        init_info: The text that the init log shows.

    Raises:
        AttributeError: No initialization is being recorded for ``module``.
    """
    table = table_of(module, "update_init_info")
    for parameter in module.parameters():
        fingerprint = _fingerprint(parameter)
        last = table.get(parameter)
        # On the meta device there are no values to compare, so record the last caller.
        if last is None or fingerprint is None or fingerprint != last.fingerprint:
            table[parameter] = InitRecord(message=init_info, fingerprint=fingerprint)


def table_of(module: nn.Module, caller: str) -> InitTable:
    """Return the records of the initialization that runs.

    Args:
        module: A module that is being initialized.
        caller: The function that needs them, for the message.

    Raises:
        AttributeError: No initialization is being recorded for ``module``.
    """
    table: InitTable | None = getattr(module, _TABLE, None)
    if table is None:
        raise AttributeError(
            f"{type(module).__name__} has no `{_TABLE}`; it exists only while `init_weights` of a "
            f"BaseModule runs, so call {caller} from an initializer or from `init_weights`"
        )
    return table


def is_recording(module: nn.Module) -> bool:
    """Return whether an initialization of ``module`` is being recorded."""
    # Do not use hasattr: nn.Module.__getattr__ would search parameters, buffers and sub-modules.
    return _TABLE in original(module).__dict__


@contextmanager
def recording(module: nn.Module) -> Iterator[bool]:
    """Record the initializer of each parameter inside the context.

    Inside another recording this does nothing, because the outermost module writes the log.

    Yields:
        Whether this is the outermost recording.

    Raises:
        ValueError: A parameter has no shape yet.
    """
    if is_recording(module):
        yield False
        return
    require_shapes(module)
    table = InitTable()
    # All sub-modules share one table, so that an initializer of any of them can write to it. Store
    # the list, because `init_weights` may replace sub-modules.
    # A compiled module would set the attribute of its original, which is a member itself.
    members = [member for member in module.modules() if not is_compiled(member)]
    for member in members:
        setattr(member, _TABLE, table)
    # The blank at the end is part of the documented log line.
    unchanged = (
        f"The value is the same before and after calling `init_weights` of {type(module).__name__} "
    )
    try:
        # First record all parameters as unchanged. Later changes replace these records.
        update_init_info(module, unchanged)
        yield True
    finally:
        for member in members:
            delattr(member, _TABLE)


def log_records(module: nn.Module) -> None:
    """Write the initializer of each parameter of a module to the log file of the run.

    Raises:
        AttributeError: No initialization is being recorded for ``module``.
    """
    table = table_of(module, "_dump_init_info")
    if not logger.isEnabledFor(logging.INFO):
        return
    for name, parameter in module.named_parameters():
        record = table.get(parameter)
        message = record.message if record else "Added while `init_weights` ran "
        logger.info(
            "\n%s - %s: \n%s \n",
            *(plain_name(name), parameter.shape, message),
            extra={"file_only": True},  # engine-logging shows it in the file, not on the console
        )


@torch.no_grad()
def _fingerprint(parameter: Tensor) -> bytes | None:
    """Return the sum and a sample of the values as bytes.

    Bytes are compared, because a NaN is not equal to itself. The sample is needed, because a
    permutation keeps the sum.
    """
    # Use the local part of a sharded parameter: gathering it would need all ranks here.
    values = local_part(parameter)
    if values.is_meta:
        return None
    values = values.reshape(-1)
    if values.is_complex():
        values = torch.view_as_real(values).reshape(-1)
    sample = values[:: max(1, values.numel() // _SAMPLES)]
    seen = torch.cat([values.sum().reshape(1).double(), sample.double()])
    return bytes(seen.cpu().view(torch.uint8).tolist())
