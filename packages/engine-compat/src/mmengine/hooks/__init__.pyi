"""Written by scripts/compat_stubs.py."""

from engine_runner.hooks import (
    CheckpointHook,
    DistSamplerSeedHook,
    EMAHook,
    EarlyStoppingHook,
    EmptyCacheHook,
    Hook,
    IterTimerHook,
    LoggerHook,
    NPUProfilerHook,
    NaiveVisualizationHook,
    ParamSchedulerHook,
    PrepareTTAHook,
    ProfilerHook,
    RuntimeInfoHook,
    SyncBuffersHook,
)
from mmengine.hooks import checkpoint_hook as checkpoint_hook
from mmengine.hooks import early_stopping_hook as early_stopping_hook
from mmengine.hooks import ema_hook as ema_hook
from mmengine.hooks import empty_cache_hook as empty_cache_hook
from mmengine.hooks import hook as hook
from mmengine.hooks import iter_timer_hook as iter_timer_hook
from mmengine.hooks import logger_hook as logger_hook
from mmengine.hooks import naive_visualization_hook as naive_visualization_hook
from mmengine.hooks import param_scheduler_hook as param_scheduler_hook
from mmengine.hooks import profiler_hook as profiler_hook
from mmengine.hooks import runtime_info_hook as runtime_info_hook
from mmengine.hooks import sampler_seed_hook as sampler_seed_hook
from mmengine.hooks import sync_buffer_hook as sync_buffer_hook
from mmengine.hooks import test_time_aug_hook as test_time_aug_hook

__all__ = [
    "CheckpointHook",
    "DistSamplerSeedHook",
    "EMAHook",
    "EarlyStoppingHook",
    "EmptyCacheHook",
    "Hook",
    "IterTimerHook",
    "LoggerHook",
    "NPUProfilerHook",
    "NaiveVisualizationHook",
    "ParamSchedulerHook",
    "PrepareTTAHook",
    "ProfilerHook",
    "RuntimeInfoHook",
    "SyncBuffersHook",
]
