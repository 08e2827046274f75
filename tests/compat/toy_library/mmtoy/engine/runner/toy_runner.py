import torch
from mmengine.runner import Runner

from mmtoy.registry import RUNNERS


@RUNNERS.register_module()
class OneThreadRunner(Runner):
    """A runner that lets torch use one thread."""

    def setup_env(self, env_cfg: dict) -> None:
        """Set the environment as always, then the number of threads."""
        super().setup_env(env_cfg)
        torch.set_num_threads(1)

    def train(self):
        """Launch training."""
        model = super().train()
        self.logger.info(f"{self.__class__.__name__} has trained {type(model).__name__}")
        return model
