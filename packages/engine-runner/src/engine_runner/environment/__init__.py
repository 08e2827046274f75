"""The process around a run: devices, random numbers, folders, names and the report of them."""

from engine_runner.environment._config_file import dump_config, write_config
from engine_runner.environment._folders import (
    create_log_dir,
    experiment_name,
    missing_folders,
    remove_log_dir,
)
from engine_runner.environment._loader_workers import (
    end_workers_of,
    outlive_signals,
    restore_workers,
)
from engine_runner.environment._process import check_device, prepare_process, setup_environment
from engine_runner.environment._report import environment_report, log_environment
from engine_runner.environment._run_info import RunInfo, begin_info
from engine_runner.environment._seeds import (
    capture_host_states,
    capture_random_states,
    restore_host_states,
    restore_random_states,
    set_random_seed,
)
from engine_runner.environment._shown_config import shown_config
from engine_runner.environment._signals import (
    StopSignals,
    drop_output_without_reader,
    signal_number,
)

__all__ = [
    "RunInfo",
    "StopSignals",
    "begin_info",
    "capture_host_states",
    "capture_random_states",
    "check_device",
    "create_log_dir",
    "drop_output_without_reader",
    "dump_config",
    "end_workers_of",
    "environment_report",
    "experiment_name",
    "log_environment",
    "missing_folders",
    "outlive_signals",
    "prepare_process",
    "remove_log_dir",
    "restore_host_states",
    "restore_random_states",
    "restore_workers",
    "set_random_seed",
    "setup_environment",
    "shown_config",
    "signal_number",
    "write_config",
]
