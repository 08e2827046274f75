"""Hooks: what acts at the points of a run, one file each."""

from engine_runner._hook import Hook
from engine_runner._hook_list import HookList
from engine_runner._priority import Priority, get_priority
from engine_runner.hooks._checkpoint import CheckpointHook
from engine_runner.hooks._compile_report import CompileReportHook
from engine_runner.hooks._early_stopping import EarlyStoppingHook
from engine_runner.hooks._ema import EMAHook
from engine_runner.hooks._empty_cache import EmptyCacheHook
from engine_runner.hooks._finite_loss import FiniteLossHook
from engine_runner.hooks._gradient_norm import GradientNormHook
from engine_runner.hooks._interrupt import SaveOnInterrupt
from engine_runner.hooks._iter_timer import IterTimerHook
from engine_runner.hooks._logger import LoggerHook
from engine_runner.hooks._model_summary import ModelSummaryHook
from engine_runner.hooks._npu_profiler import NPUProfilerHook
from engine_runner.hooks._param_scheduler import ParamSchedulerHook
from engine_runner.hooks._prepare_tta import PrepareTTAHook, tta_config
from engine_runner.hooks._profiler import ProfilerHook
from engine_runner.hooks._progress_bar import ProgressBar
from engine_runner.hooks._runtime_info import RuntimeInfoHook
from engine_runner.hooks._sampler_seed import DistSamplerSeedHook
from engine_runner.hooks._swa import SWAHook
from engine_runner.hooks._sync_buffers import SyncBuffersHook
from engine_runner.hooks._throughput import ThroughputHook
from engine_runner.hooks._time_limit import TimeLimitHook
from engine_runner.hooks._visualization import NaiveVisualizationHook

__all__ = [
    "CheckpointHook",
    "CompileReportHook",
    "DistSamplerSeedHook",
    "EMAHook",
    "EarlyStoppingHook",
    "EmptyCacheHook",
    "FiniteLossHook",
    "GradientNormHook",
    "Hook",
    "HookList",
    "IterTimerHook",
    "LoggerHook",
    "ModelSummaryHook",
    "NPUProfilerHook",
    "NaiveVisualizationHook",
    "ParamSchedulerHook",
    "PrepareTTAHook",
    "Priority",
    "ProfilerHook",
    "ProgressBar",
    "RuntimeInfoHook",
    "SWAHook",
    "SaveOnInterrupt",
    "SyncBuffersHook",
    "ThroughputHook",
    "TimeLimitHook",
    "get_priority",
    "tta_config",
]
