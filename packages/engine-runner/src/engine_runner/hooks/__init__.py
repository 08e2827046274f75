"""Hooks: what acts at the points of a run, one file each."""

from engine_runner._hook import Hook
from engine_runner._hook_list import HookList
from engine_runner._priority import Priority, get_priority
from engine_runner.hooks._checkpoint import CheckpointHook
from engine_runner.hooks._early_stopping import EarlyStoppingHook
from engine_runner.hooks._finite_loss import FiniteLossHook
from engine_runner.hooks._gradient_norm import GradientNormHook
from engine_runner.hooks._interrupt import SaveOnInterrupt
from engine_runner.hooks._iter_timer import IterTimerHook
from engine_runner.hooks._logger import LoggerHook
from engine_runner.hooks._model_summary import ModelSummaryHook
from engine_runner.hooks._param_scheduler import ParamSchedulerHook
from engine_runner.hooks._profiler import ProfilerHook
from engine_runner.hooks._progress_bar import ProgressBar
from engine_runner.hooks._runtime_info import RuntimeInfoHook
from engine_runner.hooks._sampler_seed import DistSamplerSeedHook
from engine_runner.hooks._throughput import ThroughputHook

__all__ = [
    "CheckpointHook",
    "DistSamplerSeedHook",
    "EarlyStoppingHook",
    "FiniteLossHook",
    "GradientNormHook",
    "Hook",
    "HookList",
    "IterTimerHook",
    "LoggerHook",
    "ModelSummaryHook",
    "ParamSchedulerHook",
    "Priority",
    "ProfilerHook",
    "ProgressBar",
    "RuntimeInfoHook",
    "SaveOnInterrupt",
    "ThroughputHook",
    "get_priority",
]
