"""Written by scripts/compat_stubs.py."""

from engine_utils import (
    call_command,
    get_installed_path,
    install_package,
    is_installed,
    package2module,
)

__all__ = [
    "call_command",
    "get_installed_path",
    "install_package",
    "is_installed",
    "package2module",
]
