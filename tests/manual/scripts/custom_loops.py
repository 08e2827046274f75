"""Replace the loops and the runner by one's own (manual, 6659, 6739 and 8686)."""

from typing import Any

from awesome import Accuracy, MyAwesomeModel, MyDataset
from torch.utils.data import DataLoader

from engine_registry import HOOKS, LOOPS, RUNNERS
from engine_runner import BaseLoop, EpochBasedTrainLoop, Runner
from engine_runner.hooks import Hook


@LOOPS.register_module()
class CustomEpochBasedTrainLoop(EpochBasedTrainLoop):
    """Train on each batch twice."""

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Run two iterations."""
        for _ in range(2):
            super().run_iter(idx, data_batch)


@LOOPS.register_module()
class CustomValLoop(BaseLoop):
    """Validate on two datasets, with points of its own in the second."""

    def __init__(self, runner: Any, dataloader: Any, evaluator: Any, dataloader2: Any) -> None:
        super().__init__(runner, dataloader)
        self.evaluator = runner.build_evaluator(evaluator)
        self.dataloader2 = runner.build_dataloader(dataloader2)

    def run(self) -> Any:
        """Validate on both."""
        self.runner.call_hook("before_val_epoch")
        for idx, data_batch in enumerate(self.dataloader):
            self.runner.call_hook("before_val_iter", batch_idx=idx, data_batch=data_batch)
            outputs = self.run_iter(data_batch)
            self.runner.call_hook(
                "after_val_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs
            )
        metrics = self.evaluator.evaluate()
        for idx, data_batch in enumerate(self.dataloader2):
            self.runner.call_hook("before_valloader2_iter", batch_idx=idx, data_batch=data_batch)
            outputs = self.run_iter(data_batch)
            self.runner.call_hook(
                "after_valloader2_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs
            )
        second = self.evaluator.evaluate()
        self.runner.call_hook("after_val_epoch", metrics=metrics)
        print("both", sorted(metrics), sorted(second))
        return metrics

    def run_iter(self, data_batch: Any) -> Any:
        """Predict a batch."""
        outputs = self.runner.model.val_step(data_batch)
        self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        return outputs


@HOOKS.register_module()
class CustomValHook(Hook):
    """Count at the points of the second dataset."""

    calls = 0

    def before_valloader2_iter(self, runner: Any, batch_idx: int, data_batch: Any) -> None:
        """Count."""
        CustomValHook.calls += 1

    def after_valloader2_iter(
        self, runner: Any, batch_idx: int, data_batch: Any, outputs: Any
    ) -> None:
        """Count."""
        CustomValHook.calls += 1


@RUNNERS.register_module()
class CustomRunner(Runner):
    """Print when the environment is set up."""

    def setup_env(self, env_cfg: Any) -> None:
        """Set up the environment."""
        print("environment of a custom runner")
        super().setup_env(env_cfg)


runner = RUNNERS.build(
    {
        "runner_type": "CustomRunner",
        "model": MyAwesomeModel(layers=2),
        "work_dir": "test_work_dir",
        "train_dataloader": DataLoader(MyDataset(True, 64), batch_size=16),
        "train_cfg": {"type": "CustomEpochBasedTrainLoop", "max_epochs": 2, "val_interval": 1},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.001, "momentum": 0.9}},
        "val_dataloader": DataLoader(MyDataset(False, 32), batch_size=16),
        "val_evaluator": Accuracy(),
        "val_cfg": {
            "type": "CustomValLoop",
            "dataloader2": {
                "dataset": MyDataset(False, 48),
                "sampler": {"type": "DefaultSampler", "shuffle": False},
                "collate_fn": {"type": "default_collate"},
                "batch_size": 16,
            },
        },
        "custom_hooks": [{"type": "CustomValHook"}],
    }
)
runner.train()
print("iterations", runner.iter, "calls", CustomValHook.calls)
