"""Named instances, imports, paths, versions, sequences, timers and progress."""

from ._deprecation import deprecated_api_warning, deprecated_function
from ._imports import import_modules_from_strings
from ._manager import ManagerMeta, ManagerMixin
from ._methods import has_method, is_method_overridden
from ._packages import (
    call_command,
    check_prerequisites,
    get_installed_path,
    install_package,
    is_installed,
    requires_executable,
    requires_package,
)
from ._paths import check_file_exist, fopen, is_abs, is_filepath, mkdir_or_exist, scandir, symlink
from ._progress import ProgressBar
from ._sequences import (
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
from ._tasks import track_iter_progress, track_parallel_progress, track_progress
from ._timer import Timer, TimerError, check_time
from ._versions import digit_version, get_git_hash

__all__ = [
    "ManagerMeta",
    "ManagerMixin",
    "ProgressBar",
    "Timer",
    "TimerError",
    "call_command",
    "check_file_exist",
    "check_prerequisites",
    "check_time",
    "concat_list",
    "deprecated_api_warning",
    "deprecated_function",
    "digit_version",
    "fopen",
    "get_git_hash",
    "get_installed_path",
    "has_method",
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
