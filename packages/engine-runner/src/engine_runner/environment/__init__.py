"""The process around a run: devices, random numbers, folders, names and the report of them."""

from engine_runner.environment._config_file import write_config
from engine_runner.environment._folders import create_log_dir, experiment_name
from engine_runner.environment._process import check_device, prepare_process, setup_environment
from engine_runner.environment._report import environment_report
from engine_runner.environment._run_info import RunInfo
from engine_runner.environment._seeds import (
    capture_host_states,
    capture_random_states,
    restore_host_states,
    restore_random_states,
    set_random_seed,
)
from engine_runner.environment._shown_config import shown_config

__all__ = [
    "RunInfo",
    "capture_host_states",
    "capture_random_states",
    "check_device",
    "create_log_dir",
    "environment_report",
    "experiment_name",
    "prepare_process",
    "restore_host_states",
    "restore_random_states",
    "set_random_seed",
    "setup_environment",
    "shown_config",
    "write_config",
]
