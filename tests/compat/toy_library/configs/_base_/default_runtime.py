# defaults to use registries in mmtoy
default_scope = "mmtoy"

# configure default hooks
default_hooks = dict(
    # record the time of every iteration.
    timer=dict(type="IterTimerHook"),
    # print log every 4 iterations.
    logger=dict(type="LoggerHook", interval=4),
    # enable the parameter scheduler.
    param_scheduler=dict(type="ParamSchedulerHook"),
    # save checkpoint per epoch, and the best.
    checkpoint=dict(type="CheckpointHook", interval=1, save_best="auto"),
    # set sampler seed in distributed environment.
    sampler_seed=dict(type="DistSamplerSeedHook"),
    # validation results visualization, set True to enable it.
    visualization=dict(type="ToyVisualizationHook", enable=False),
)

custom_hooks = [dict(type="CountSamplesHook")]

# configure environment
env_cfg = dict(
    # whether to enable cudnn benchmark
    cudnn_benchmark=False,
    # set multi process parameters
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    # set distributed parameters
    dist_cfg=dict(backend="gloo"),
)

# set visualizer
vis_backends = [dict(type="LocalVisBackend")]
visualizer = dict(type="ToyVisualizer", vis_backends=vis_backends, name="visualizer")

# set log level and how the log is written
log_level = "INFO"
log_processor = dict(type="LogProcessor", window_size=4, by_epoch=True)

# load from which checkpoint
load_from = None

# whether to resume training from the loaded checkpoint
resume = False

# Defaults to use random seed and disable `deterministic`
randomness = dict(seed=0, deterministic=False)
