_base_ = ["./toynet_4e_shapes.py"]

# The same without the random flips: what is inherited is edited in place, in each place.
train_pipeline = _base_.train_pipeline
train_pipeline.pop(1)
_base_.train_dataloader.dataset.pipeline.pop(1)
_base_.default_hooks.logger.interval = 1

# one more hook, beside those of the base
custom_hooks = [*_base_.custom_hooks, dict(type="FreezeBackboneHook", begin=18)]
