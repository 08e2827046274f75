"""Named instances, imports, paths, versions, sequences, timers, progress and helpful errors."""

from engine_utils._deprecation import deprecated_api_warning, deprecated_function
from engine_utils._extras import import_extra
from engine_utils._imports import import_modules_from_strings
from engine_utils._manager import ManagerMeta, ManagerMixin
from engine_utils._methods import has_method, is_method_overridden
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
    fopen,
    is_abs,
    is_filepath,
    mkdir_or_exist,
    scandir,
    symlink,
)
from engine_utils._plain import plain_value
from engine_utils._progress import ProgressBar
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
    "CallMistake",
    "ManagerMeta",
    "ManagerMixin",
    "ProgressBar",
    "Timer",
    "TimerError",
    "call_command",
    "call_mistakes",
    "check_file_exist",
    "check_prerequisites",
    "check_time",
    "closest_name",
    "closest_names",
    "concat_list",
    "deprecated_api_warning",
    "deprecated_function",
    "did_you_mean",
    "digit_version",
    "fits_annotation",
    "fopen",
    "get_git_hash",
    "get_installed_path",
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
    "mkdir_or_exist",
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
    "tuple_cast",
]
