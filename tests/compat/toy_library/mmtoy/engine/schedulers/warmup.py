from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler

from mmtoy.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class QuadraticWarmupParamScheduler(_ParamScheduler):
    """Warm up the parameter by the square of the step.

    Args:
        optimizer (Optimizer): Wrapped optimizer.
        param_name (str): Name of the parameter to be adjusted.
        begin (int): Step at which to start. Defaults to 0.
        end (int): Step at which to stop. Defaults to INF.
        last_step (int): The index of last step. Defaults to -1.
        by_epoch (bool): Whether the steps are epochs. Defaults to True.
        verbose (bool): Whether to print the value for each update. Defaults to False.
    """

    def __init__(
        self,
        optimizer,
        param_name: str,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        if end >= INF:
            raise ValueError("``end`` must be less than infinity.")
        self.total_iters = end - begin
        super().__init__(
            optimizer=optimizer,
            param_name=param_name,
            begin=begin,
            end=end,
            last_step=last_step,
            by_epoch=by_epoch,
            verbose=verbose,
        )

    @classmethod
    def build_iter_from_epoch(
        cls, *args, begin=0, end=INF, by_epoch=True, epoch_length=None, **kwargs
    ):
        """Build an iter-based instance of this scheduler from an epoch-based config."""
        assert by_epoch, "Only epoch-based kwargs whose `by_epoch=True` can be converted."
        assert epoch_length is not None and epoch_length > 0
        begin = begin * epoch_length
        if end != INF:
            end = end * epoch_length
        return cls(*args, begin=begin, end=end, by_epoch=False, **kwargs)

    def _get_value(self):
        """Compute value using chainable form of the scheduler."""
        if self.last_step == 0:
            scale = (1 / self.total_iters) ** 2
            return [base_value * scale for base_value in self.base_values]
        if self.last_step >= self.total_iters:
            return [group[self.param_name] for group in self.optimizer.param_groups]
        scale = ((self.last_step + 1) / self.total_iters) ** 2
        return [base_value * scale for base_value in self.base_values]


@PARAM_SCHEDULERS.register_module()
class QuadraticWarmupLR(LRSchedulerMixin, QuadraticWarmupParamScheduler):
    """Warm up the learning rate by the square of the step."""
