from mmengine.hooks import (
    CheckpointHook,
    DistSamplerSeedHook,
    IterTimerHook,
    LoggerHook,
    ParamSchedulerHook,
)
from mmengine.runner import LogProcessor
from mmengine.visualization import LocalVisBackend
from mmtoy.engine.hooks import CountSamplesHook, ToyVisualizationHook
from mmtoy.visualization import ToyVisualizer

# parts are named by their classes, so that no scope is needed
default_scope = None

default_hooks = dict(
    timer=dict(type=IterTimerHook),
    logger=dict(type=LoggerHook, interval=4),
    param_scheduler=dict(type=ParamSchedulerHook),
    checkpoint=dict(type=CheckpointHook, interval=1, save_best="auto"),
    sampler_seed=dict(type=DistSamplerSeedHook),
    visualization=dict(type=ToyVisualizationHook, enable=False),
)
custom_hooks = [dict(type=CountSamplesHook)]

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="gloo"),
)

vis_backends = [dict(type=LocalVisBackend)]
visualizer = dict(type=ToyVisualizer, vis_backends=vis_backends, name="visualizer")

log_level = "INFO"
log_processor = dict(type=LogProcessor, window_size=4, by_epoch=True)
load_from = None
resume = False
randomness = dict(seed=0, deterministic=False)
