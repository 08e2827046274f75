"""Construct a part on trial, to find the values that its constructor does not accept."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from engine_runner._stand_ins import Whole
from engine_runner._table import Row
from engine_runner._types import Config

# The constructors of these have no side effects where a row has stand-ins for their arguments.
_WITHOUT_EFFECTS = (
    "engine_model._preprocess.",
    "engine_optim.",
    "engine_runner.",
    "torch.optim.",
)
_NO_PARAMETERS = "optimizer got an empty parameter list"


def trial_mistake(
    found: Callable[..., Any], row: Row, part: Config, config: Whole
) -> tuple[str, str] | None:
    """Return the key and the message of a value that a constructor raises for, or None.

    A rule about a value is then written once, in the constructor. A class with a constructor of
    the user's own passes, as that may do anything.

    Args:
        found: The class of the part.
        row: The row of the part.
        part: The config of the part, whose keys are right.
        config: The whole config.

    Returns:
        The key is empty if it is not known which one is at fault.
    """
    origin = getattr(getattr(found, "__init__", found), "__module__", "")
    if row.trial is None or not f"{origin}.".startswith(_WITHOUT_EFFECTS):
        return None
    ignored = {"type", "_scope_", *row.takes}
    arguments = {key: value for key, value in part.items() if key not in ignored}
    added = row.trial(part, config)
    message = _error(found, {**arguments, **added})
    if message is None:
        return None
    key = _key_at_fault(found, arguments, added, message)
    if key and key not in message:  # an error of Python's own, such as of a comparison
        name = getattr(found, "__name__", repr(found))
        message = f"{name} does not accept {key}={arguments[key]!r} ({message})"
    return key, message


def _error(found: Callable[..., Any], arguments: Mapping[str, Any]) -> str | None:
    try:
        found(**arguments)
    except (TypeError, ValueError, IndexError) as error:
        return None if str(error) == _NO_PARAMETERS else str(error)
    except Exception:  # such as a device that only the machine of the training has
        return None
    return None


def _key_at_fault(
    found: Callable[..., Any],
    arguments: Mapping[str, Any],
    added: Mapping[str, Any],
    message: str,
) -> str:
    """Return the first key that the message names, else one without which there is no error."""
    for word in re.findall(r"\w+", message):
        if word in arguments:
            return str(word)
    for key in arguments:
        others = {name: value for name, value in arguments.items() if name != key}
        if _error(found, {**others, **added}) is None:
            return str(key)
    return ""
