"""Train with all trackers at once: ``engine train`` of a folder. Not a test module.

The argument ``kill`` ends the process after iteration 8 of 12, and ``stuck`` asks it to end, with a
tracker that waits without end.
"""

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine_evaluator import BaseMetric
from engine_model import BaseModel
from engine_registry import DATASETS, HOOKS, METRICS, MODELS, VISBACKENDS
from engine_runner import Hook
from engine_runner.cli import main
from engine_visualization import BaseVisBackend

CONFIG = """
model = dict(type="Slope")
train_dataloader = dict(
    dataset=dict(type="Points"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    batch_size=2,
    num_workers=1,
    persistent_workers=True,
    collate_fn=dict(type="default_collate"),
)
val_dataloader = dict(
    dataset=dict(type="Points"),
    sampler=dict(type="DefaultSampler", shuffle=False),
    batch_size=8,
    collate_fn=dict(type="default_collate"),
)
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1))
train_cfg = dict(by_epoch=True, max_epochs=3)
val_cfg = dict()
val_evaluator = dict(type="Error")
randomness = dict(seed=0)
custom_hooks = [dict(type="Kill", at=KILLED, number=SIGNAL)]
default_hooks = dict(
    logger=dict(type="LoggerHook", interval=1),
    checkpoint=dict(type="CheckpointHook", interval=3, by_epoch=False),
)
vis_backends = [dict(type="LocalVisBackend")]
if TRACKED:
    vis_backends += [
        dict(type="TensorboardVisBackend"),
        dict(type="WandbVisBackend", init_kwargs=dict(
            mode="offline", project="engine",
            settings=dict(console="off", silent=True, disable_git=True, x_save_requirements=False),
        )),
        dict(type="MLflowVisBackend"),
        dict(type="AimVisBackend", init_kwargs=dict(system_tracking_interval=None)),
        dict(type="ClearMLVisBackend", init_kwargs=dict(auto_resource_monitoring=False)),
    ]
if STUCK:
    vis_backends += [dict(type="Stuck")]
visualizer = dict(type="Visualizer", vis_backends=vis_backends)
"""


@DATASETS.register_module()
class Points(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """Eight points of a line."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        x = torch.tensor([index / 8])
        return x, 3 * x


@MODELS.register_module()
class Slope(BaseModel):
    """One weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        error = self.weight * x - y
        return {"loss": error.square().mean()} if mode == "loss" else (error, y)


@METRICS.register_module()
class Error(BaseMetric):
    """The mean error."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += data_samples[0].abs().flatten().tolist()

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        return {"error": sum(results) / len(results)}


@VISBACKENDS.register_module()
class Stuck(BaseVisBackend):
    """A client of a server that accepts and never answers."""

    threaded = True
    close_timeout = 0.5

    def add_scalars(self, *args: Any, **kwargs: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = socket.create_connection(server.getsockname())
            client.sendall(b"GET / HTTP/1.0")
            client.recv(1)


@HOOKS.register_module()
class Kill(Hook):
    """End the process where the power would fail."""

    priority = "LOWEST"

    def __init__(self, at: int, number: int) -> None:
        self.at, self.number = at, number

    def after_train_iter(self, runner: Any, *arguments: Any, **keywords: Any) -> None:
        if runner.iter + 1 == self.at:
            os.kill(os.getpid(), self.number)


if __name__ == "__main__":
    folder, *options = sys.argv[1:]
    config = Path(folder, "config.py")
    config.parent.mkdir(exist_ok=True)
    text = CONFIG.replace("TRACKED", str("alone" not in options))
    number = signal.SIGTERM if "stuck" in options else signal.SIGKILL
    text = text.replace("STUCK", str("stuck" in options)).replace("SIGNAL", str(int(number)))
    config.write_text(text.replace("KILLED", "8" if {"kill", "stuck"} & set(options) else "0"))
    resumed = ["--resume"] if "resume" in options else []
    sys.argv = ["engine", "train", str(config), "--work-dir", f"{folder}/work", *resumed]
    main()
