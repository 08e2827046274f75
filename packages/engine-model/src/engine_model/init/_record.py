"""Who gave each parameter its value: the record that `init_weights` keeps and logs."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

logger = logging.getLogger("engine.model")

_PROBES = 64
_TABLE = "_params_init_info"


@dataclass(frozen=True, kw_only=True)
class InitRecord:
    """What set a parameter last.

    Attributes:
        message: The text that the init log shows.
        fingerprint: Bytes that change when the values change; ``None`` where there are no values
            to read (the meta device).
    """

    message: str
    fingerprint: bytes | None


def update_init_info(module: nn.Module, init_info: str) -> None:
    """Note ``init_info`` for every parameter of ``module`` whose values have changed.

    A parameter set again to the values it had keeps its former note.

    Args:
        module: A module that `init_weights` of a `BaseModule` is initialising, which gives it the
            table ``_params_init_info``.
        init_info: What happened, as the log is to show it.

    Raises:
        AttributeError: If no initialisation is being recorded for ``module``.
    """
    table: dict[nn.Parameter, InitRecord] | None = getattr(module, _TABLE, None)
    if table is None:
        raise AttributeError(
            f"{type(module).__name__} has no `{_TABLE}`; it exists only while `init_weights` of a "
            f"BaseModule runs, so call update_init_info from an initializer or from `init_weights`"
        )
    for parameter in module.parameters():
        fingerprint = _fingerprint(parameter)
        known = table.get(parameter)
        if known is None or fingerprint is None or fingerprint != known.fingerprint:
            table[parameter] = InitRecord(message=init_info, fingerprint=fingerprint)


def is_recording(module: nn.Module) -> bool:
    """Return whether an initialisation of ``module`` is being recorded."""
    return _TABLE in module.__dict__


@contextmanager
def recording(module: nn.Module) -> Iterator[None]:
    """Record who sets the parameters of ``module``, and log it at the end.

    Inside another recording this does nothing: the outermost module writes the log.
    """
    if is_recording(module):
        yield
        return
    table: dict[nn.Parameter, InitRecord] = {}
    members = list(module.modules())
    for member in members:
        setattr(member, _TABLE, table)
    unchanged = (
        f"The value is the same before and after calling `init_weights` of {type(module).__name__} "
    )
    try:
        update_init_info(module, unchanged)
        yield
        _log(module, table)
    finally:
        for member in members:
            delattr(member, _TABLE)


def _log(module: nn.Module, table: dict[nn.Parameter, InitRecord]) -> None:
    if not logger.isEnabledFor(logging.INFO):
        return
    for name, parameter in module.named_parameters():
        record = table.get(parameter)
        message = record.message if record else "Added while `init_weights` ran "
        logger.info("\n%s - %s: \n%s \n", name, parameter.shape, message)


@torch.no_grad()
def _fingerprint(parameter: Tensor) -> bytes | None:
    """Return the sum and a few of the values as bytes, in which even NaN equals itself."""
    to_local = getattr(parameter, "to_local", None)  # a sharded parameter: this rank's part
    values = (to_local() if to_local else parameter).detach()
    if values.is_meta:
        return None
    values = values.reshape(-1)
    if values.is_complex():
        values = torch.view_as_real(values).reshape(-1)
    probes = values[:: max(1, values.numel() // _PROBES)]
    seen = torch.cat([values.sum().reshape(1).double(), probes.double()])
    return bytes(seen.cpu().view(torch.uint8).tolist())
