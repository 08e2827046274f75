"""Find another `mmengine` on the path, and warn which one counts."""

import os
import sys
import warnings

_HERE = os.path.dirname(os.path.realpath(__file__))
_NAMES = ("mmengine-", "mmengine_lite-")  # distributions with this import name
# The installer that a distribution names whose files are these.
PROVIDER = "engine-compat"


def warn_of_others() -> None:
    """Warn once per other `mmengine` on the path that this process does not use."""
    for other in others():
        warnings.warn(
            f"two packages have the import name mmengine: {other} is not used, but "
            f"engine-compat in {_HERE} is; uninstall both and install the one that you keep "
            "(pip uninstall engine-compat mmengine mmengine-lite; pip install engine-compat), or "
            "remove the other's folder from sys.path",
            stacklevel=3,
        )


def others() -> list[str]:
    """Return the folders, and the distributions that own files here, of another `mmengine`."""
    found = []
    for entry in dict.fromkeys(sys.path):
        folder = os.path.realpath(entry or os.curdir)
        try:
            names = sorted(os.listdir(folder))
        except OSError:  # an archive, or a folder that does not exist
            continue
        for name in names:
            path = os.path.join(folder, name)
            if name == "mmengine" and _is_other_package(path):
                found.append(path)
            elif name.startswith(_NAMES) and _is_other_distribution(path):
                found.append(f"{name.rpartition('.')[0].replace('-', ' ')} in {folder}")
    return found


def _is_other_package(path: str) -> bool:
    has_code = os.path.isfile(os.path.join(path, "__init__.py"))
    is_copy = os.path.isfile(os.path.join(path, "_finder.py"))  # of this package, as in a checkout
    return has_code and not is_copy and os.path.realpath(path) != _HERE


def _is_other_distribution(path: str) -> bool:
    if not path.endswith((".dist-info", ".egg-info")):
        return False
    try:
        with open(os.path.join(path, "INSTALLER"), encoding="utf-8") as file:
            return file.read().strip() != PROVIDER
    except OSError:
        return True
