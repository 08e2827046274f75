from typing import Optional, Sequence, Union

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmtoy.registry import HOOKS

DATA_BATCH = Optional[Union[dict, tuple, list]]


@HOOKS.register_module()
class CountSamplesHook(Hook):
    """Count the pictures of training, validation and test.

    The count of the training is a scalar of the log, and survives a resume.
    """

    priority = "NORMAL"

    def __init__(self) -> None:
        self.counts = dict(train=0, val=0, test=0)

    def _before_epoch(self, runner: Runner, mode: str = "train") -> None:
        if mode != "train":
            self.counts[mode] = 0

    def _after_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: Optional[Union[Sequence, dict]] = None,
        mode: str = "train",
    ) -> None:
        self.counts[mode] += len(data_batch["inputs"])
        if mode == "train":
            runner.message_hub.update_scalar("train/num_samples", self.counts["train"])

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint["num_samples"] = self.counts["train"]

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if runner._resume:
            self.counts["train"] = checkpoint.get("num_samples", 0)
