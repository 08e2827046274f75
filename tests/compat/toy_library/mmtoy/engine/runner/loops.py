import time
from typing import Dict, Optional, Sequence

from mmengine.dist import broadcast_object_list
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from mmtoy.registry import LOOPS


@LOOPS.register_module()
class CountedEpochLoop(EpochBasedTrainLoop):
    """A training by epochs that stops after a time.

    Args:
        max_minutes (float, optional): End the training at the end of the epoch in which so many
            minutes have passed.
    """

    def __init__(self, *args, max_minutes: Optional[float] = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.max_minutes = max_minutes

    def run(self):
        """Launch training."""
        self.runner.call_hook("before_train")
        begin = time.time()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            if (
                self.runner.val_loop is not None
                and self._epoch >= self.val_begin
                and self._epoch % self.val_interval == 0
            ):
                self.runner.val_loop.run()
            if self.max_minutes is not None:
                ended = [time.time() - begin > 60 * self.max_minutes]
                broadcast_object_list(ended)
                self.stop_training = self.stop_training or ended[0]
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_epoch(self) -> None:
        """Iterate one epoch."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        for idx, data_batch in enumerate(self.dataloader):
            self.run_iter(idx, data_batch)
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        """Iterate one min-batch."""
        self.runner.call_hook("before_train_iter", batch_idx=idx, data_batch=data_batch)
        outputs = self.runner.model.train_step(data_batch, optim_wrapper=self.runner.optim_wrapper)
        self.runner.call_hook(
            "after_train_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs
        )
        self._iter += 1


@LOOPS.register_module()
class AccumulatedIterLoop(IterBasedTrainLoop):
    """A training by iterations that draws several batches for each.

    Args:
        num_batches (int): Batches of an iteration, which are joined. Defaults to 2.
    """

    def __init__(self, *args, num_batches: int = 2, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.num_batches = num_batches

    def run(self):
        """Launch training."""
        self.runner.call_hook("before_train")
        self.runner.call_hook("before_train_epoch")
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(
                self._joined([next(self.dataloader_iterator) for _ in range(self.num_batches)])
            )
            self._decide_current_val_interval()
            if self.runner.val_loop is not None and self._iter % self.val_interval == 0:
                self.runner.val_loop.run()
        self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")
        return self.runner.model

    @staticmethod
    def _joined(data_batches: Sequence[Dict[str, list]]) -> Dict[str, list]:
        return {
            key: sum((list(batch[key]) for batch in data_batches), []) for key in data_batches[0]
        }
