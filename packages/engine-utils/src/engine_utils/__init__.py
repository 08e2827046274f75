"""Named instances, imports, paths, versions, sequences, timers, progress and helpful errors."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine_utils._apply import apply_to
    from engine_utils._deprecation import deprecated_api_warning, deprecated_function
    from engine_utils._distributions import MODULE2PACKAGE, distribution_of, package2module
    from engine_utils._extras import MissingExtraError, import_extra
    from engine_utils._imports import get_object_from_string, import_modules_from_strings
    from engine_utils._manager import ManagerMeta, ManagerMixin
    from engine_utils._methods import has_method, is_method_overridden
    from engine_utils._metrics import find_metric
    from engine_utils._notebook import notebook_shell
    from engine_utils._packages import (
        call_command,
        check_prerequisites,
        get_installed_path,
        install_package,
        is_installed,
        requires_executable,
        requires_package,
    )
    from engine_utils._paths import (
        check_file_exist,
        expand_home,
        fopen,
        is_abs,
        is_filepath,
        mkdir_or_exist,
        scandir,
        symlink,
    )
    from engine_utils._plain import finite_value, plain_value
    from engine_utils._plain_name import plain_name
    from engine_utils._progress import ProgressBar
    from engine_utils._rich_tasks import track_progress_rich
    from engine_utils._secrets import MASK, declare_secrets, mask_secrets, mask_text
    from engine_utils._sequences import (
        concat_list,
        is_list_of,
        is_seq_of,
        is_str,
        is_tuple_of,
        iter_cast,
        list_cast,
        slice_list,
        to_1tuple,
        to_2tuple,
        to_3tuple,
        to_4tuple,
        to_ntuple,
        tuple_cast,
    )
    from engine_utils._signatures import CallMistake, call_mistakes, fits_annotation
    from engine_utils._suggest import closest_name, closest_names, did_you_mean
    from engine_utils._tasks import track_iter_progress, track_parallel_progress, track_progress
    from engine_utils._timer import Timer, TimerError, check_time
    from engine_utils._versions import digit_version, get_git_hash

__all__ = [
    "MASK",
    "MODULE2PACKAGE",
    "CallMistake",
    "ManagerMeta",
    "ManagerMixin",
    "MissingExtraError",
    "ProgressBar",
    "Timer",
    "TimerError",
    "apply_to",
    "call_command",
    "call_mistakes",
    "check_file_exist",
    "check_prerequisites",
    "check_time",
    "closest_name",
    "closest_names",
    "concat_list",
    "declare_secrets",
    "deprecated_api_warning",
    "deprecated_function",
    "did_you_mean",
    "digit_version",
    "distribution_of",
    "expand_home",
    "find_metric",
    "finite_value",
    "fits_annotation",
    "fopen",
    "get_git_hash",
    "get_installed_path",
    "get_object_from_string",
    "has_method",
    "import_extra",
    "import_modules_from_strings",
    "install_package",
    "is_abs",
    "is_filepath",
    "is_installed",
    "is_list_of",
    "is_method_overridden",
    "is_seq_of",
    "is_str",
    "is_tuple_of",
    "iter_cast",
    "list_cast",
    "mask_secrets",
    "mask_text",
    "mkdir_or_exist",
    "notebook_shell",
    "package2module",
    "plain_name",
    "plain_value",
    "requires_executable",
    "requires_package",
    "scandir",
    "slice_list",
    "symlink",
    "to_1tuple",
    "to_2tuple",
    "to_3tuple",
    "to_4tuple",
    "to_ntuple",
    "track_iter_progress",
    "track_parallel_progress",
    "track_progress",
    "track_progress_rich",
    "tuple_cast",
]

# Each module is imported when one of its names is first used: packages that need a few of them
# import in less than half of the time.
_MODULES = {
    "_apply": ("apply_to",),
    "_deprecation": ("deprecated_api_warning", "deprecated_function"),
    "_distributions": ("MODULE2PACKAGE", "distribution_of", "package2module"),
    "_extras": ("MissingExtraError", "import_extra"),
    "_imports": ("get_object_from_string", "import_modules_from_strings"),
    "_manager": ("ManagerMeta", "ManagerMixin"),
    "_metrics": ("find_metric",),
    "_methods": ("has_method", "is_method_overridden"),
    "_notebook": ("notebook_shell",),
    "_packages": (
        "call_command",
        "check_prerequisites",
        "get_installed_path",
        "install_package",
        "is_installed",
        "requires_executable",
        "requires_package",
    ),
    "_paths": (
        "check_file_exist",
        "expand_home",
        "fopen",
        "is_abs",
        "is_filepath",
        "mkdir_or_exist",
        "scandir",
        "symlink",
    ),
    "_plain": ("finite_value", "plain_value"),
    "_plain_name": ("plain_name",),
    "_progress": ("ProgressBar",),
    "_rich_tasks": ("track_progress_rich",),
    "_secrets": ("MASK", "declare_secrets", "mask_secrets", "mask_text"),
    "_sequences": (
        "concat_list",
        "is_list_of",
        "is_seq_of",
        "is_str",
        "is_tuple_of",
        "iter_cast",
        "list_cast",
        "slice_list",
        "to_1tuple",
        "to_2tuple",
        "to_3tuple",
        "to_4tuple",
        "to_ntuple",
        "tuple_cast",
    ),
    "_signatures": ("CallMistake", "call_mistakes", "fits_annotation"),
    "_suggest": ("closest_name", "closest_names", "did_you_mean"),
    "_tasks": ("track_iter_progress", "track_parallel_progress", "track_progress"),
    "_timer": ("Timer", "TimerError", "check_time"),
    "_versions": ("digit_version", "get_git_hash"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
