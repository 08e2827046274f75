from mmengine.config import read_base

with read_base():
    from .._base_.datasets.shapes import *
    from .._base_.default_runtime import *
    from .._base_.models.toynet import *
    from .._base_.schedules.schedule_4e import *
