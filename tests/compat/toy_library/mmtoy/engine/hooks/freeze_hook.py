from typing import Optional

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmtoy.registry import HOOKS


@HOOKS.register_module()
class FreezeBackboneHook(Hook):
    """Keep the normalizations of the backbone in evaluation mode from an iteration on.

    Args:
        begin (int): The iteration, from 0.
    """

    def __init__(self, begin: int) -> None:
        self.begin = begin

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Optional[dict] = None
    ) -> None:
        if runner.iter < self.begin:
            return
        model = runner.model
        if is_model_wrapper(model):
            model = model.module
        if not model.backbone.norm_eval:
            runner.logger.info(f"The normalizations are frozen at iteration {runner.iter + 1}")
        model.backbone.norm_eval = True
        model.backbone.train()
