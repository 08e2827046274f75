"""The errors for names and modules that the table lacks: what was meant, and where the table is."""

import os
from opcode import opname
from types import FrameType, ModuleType
from typing import Final

from engine_utils import closest_names
from mmengine._names import MODULES
from mmengine._table import TABLE, sources

# Documented names that Engine leaves out, and why.
LEFT_OUT: Final = {
    "ColossalAIStrategy": "FSDPStrategy is for models that one device cannot hold",
    "get_max_musa_memory": "it has no code for MUSA devices",
    "is_dipu_available": "it has no code for DIPU devices",
    "is_musa_available": "it has no code for MUSA devices",
    "is_npu_support_full_precision": "torch_npu reports what a device computes with",
}


def name_error(module: ModuleType, name: str, user: FrameType) -> ImportError | AttributeError:
    """Return the error for a name that a module of the table lacks.

    Args:
        module: The module.
        name: The name.
        user: The frame that uses the name: in an import statement, or as an attribute.
    """
    where = module.__name__
    count = len(sources(where))
    reason = (
        f"engine-compat has {count} name{'s' * (count != 1)} of this module, and not this one "
        f"({_row(where)}){_hint(where, name)}"
    )
    if opname[user.f_code.co_code[user.f_lasti]] == "IMPORT_FROM":
        return ImportError(
            f"cannot import name {name!r} from {where!r}: {reason}", name=where, path=TABLE
        )
    # Without its argument `obj`, with which Python suggests names once more.
    return AttributeError(f"module {where!r} has no attribute {name!r}: {reason}", name=name)


def module_error(fullname: str) -> ModuleNotFoundError:
    """Return the error for a module that the table lacks."""
    parent, _, name = fullname.rpartition(".")
    if name in sources(parent):
        hint = f"; it is a name, not a module: from {parent} import {name}"
    else:
        hint = _meant(_modules_like(fullname))
    text = (
        f"No module named {fullname!r}: it is not one of the {len(MODULES)} modules of "
        f"engine-compat ({TABLE}){hint}"
    )
    return ModuleNotFoundError(text, name=fullname)


def source_error(module: str, name: str) -> ImportError:
    """Return the error for a name of the table that the package it is from lacks."""
    origin, _, original = sources(module)[name].partition(":")
    package = origin.split(".")[0].replace("_", "-")
    return ImportError(
        f"cannot import name {name!r} from {module!r}: {origin} has no {original!r} "
        f"({_row(module)}); install engine-compat and {package} of one version",
        name=module,
        path=TABLE,
    )


def _row(module: str) -> str:
    """Return the file and the line of the table where a module begins."""
    try:
        with open(TABLE, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError:  # in an archive
        return os.path.basename(TABLE)
    numbers = [n for n, line in enumerate(lines, 1) if line.lstrip().startswith(f'"{module}":')]
    return f"{TABLE}:{numbers[0]}"


def _hint(where: str, name: str) -> str:
    found = _why(name) or _elsewhere(where, name) or _similar(where, name)
    return found or f"; dir({where}) lists them"


def _why(name: str) -> str:
    return f"; Engine leaves it out: {LEFT_OUT[name]}" if name in LEFT_OUT else ""


def _elsewhere(module: str, name: str) -> str:
    """Return which modules have the name, those nearest to the top first."""
    found = [other for other in MODULES if other != module and name in sources(other)]
    return _meant([f"{other}.{name}" for other in sorted(found, key=lambda m: m.count("."))[:2]])


def _similar(module: str, name: str) -> str:
    return _meant(closest_names(name, sources(module)))


def _modules_like(fullname: str) -> list[str]:
    """Return the modules with the same last name, or else those with a similar one."""
    last = fullname.rpartition(".")[2]
    same = [module for module in MODULES if module.rpartition(".")[2] == last]
    return same[:3] or closest_names(fullname, MODULES)


def _meant(names: list[str]) -> str:
    return f"; did you mean {' or '.join(map(repr, names))}?" if names else ""
