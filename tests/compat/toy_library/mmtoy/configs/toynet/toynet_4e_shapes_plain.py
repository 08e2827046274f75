from mmengine.config import read_base

with read_base():
    from .toynet_4e_shapes import *

from mmtoy.engine.hooks import FreezeBackboneHook

# The same without the random flips.
train_pipeline.pop(1)
train_dataloader.update(dict(dataset=dict(pipeline=train_pipeline)))
default_hooks.update(logger=dict(interval=1))
custom_hooks.append(dict(type=FreezeBackboneHook, begin=18))
