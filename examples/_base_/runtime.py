# Settings that the examples share: hooks, randomness and the environment. A config inherits them
# with `_base_` and overrides some of them.
default_scope = "engine"

default_hooks = dict(
    logger=dict(type="LoggerHook", interval=10),
    checkpoint=dict(type="CheckpointHook", interval=1, max_keep_ckpts=2, save_best="auto"),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
)

randomness = dict(seed=0)
log_level = "INFO"
load_from = None
resume = False
