"""Train the toy library's plain config with torch and numpy alone, and save what each step did.

Usage: toy_by_hand.py DATA FILE, also under torchrun. Not a test module. Nothing of mmengine or
mmtoy is imported. The file gets the losses and learning rates of each iteration of the first rank,
and the final weights.
"""

import os
import random
import sys
from collections.abc import Iterator
from itertools import chain, cycle, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

SEED, EPOCHS, BATCH, FREEZE_AT = 0, 4, 8, 18
LR, DECAY_RATE = 0.1, 0.5
RANK, WORLD_SIZE = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


class Network(nn.Module):
    """Two stages, a pooling and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()
            )
            for channels, out in ((1, 4), (4, 8))
        )
        self.fc = nn.Linear(8, 3)

    def forward(self, pictures: Tensor) -> Tensor:
        for stage in self.stages:
            pictures = stage(pictures)
        scores: Tensor = self.fc(functional.adaptive_avg_pool2d(pictures, 1).flatten(1))
        return scores

    def initialize(self) -> None:
        for stage in self.stages:
            nn.init.kaiming_normal_(stage[0].weight, mode="fan_out", nonlinearity="relu")  # type: ignore[index]  # a Sequential
        nn.init.normal_(self.fc.weight, 0, 0.01)
        nn.init.zeros_(self.fc.bias)


def read(root: Path, split: str) -> tuple[Tensor, Tensor]:
    """Return the normalized pictures, (N, 1, H, W), and the labels."""
    lines = [line.split() for line in (root / f"{split}.txt").read_text().splitlines()]
    pictures = [np.load(root / "images" / split / name) for name, _ in lines]
    stacked = torch.from_numpy(np.stack(pictures)[:, None]).float()
    return (stacked - 32.0) / 64.0, torch.tensor([int(label) for _, label in lines])


def order(labels: list[int], epoch: int) -> list[int]:
    """Return the order of an epoch: as many of each class, in turns."""
    generator = torch.Generator()
    generator.manual_seed(SEED + epoch)
    columns = []
    for label in sorted(set(labels)):
        group = [index for index, found in enumerate(labels) if found == label]
        shuffled = torch.randperm(len(group), generator=generator).tolist()
        columns.append(cycle([group[i] for i in shuffled]))
    size = max(map(labels.count, labels)) * len(columns)
    return list(islice(chain.from_iterable(zip(*columns, strict=True)), size))


def factor(epoch: int, step: int, steps: int) -> float:
    """Return the factor of the learning rates: a warm-up in epoch 0, then two drops."""
    if epoch == 0:
        return float(((step + 1) / steps) ** 2)
    return 0.1 ** sum(epoch >= milestone for milestone in (2, 3))


def groups(network: Network) -> Iterator[dict[str, object]]:
    """Yield the groups of the optimizer, in the order of their first parameters."""
    made: dict[tuple[int, bool], list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        stage = int(name.split(".")[1]) if name.startswith("stages") else 2
        made.setdefault((stage, parameter.ndim == 1), []).append(parameter)
    for (stage, is_plain), parameters in made.items():
        rate = LR * DECAY_RATE ** (2 - stage)
        yield {"params": parameters, "lr": rate, "weight_decay": 0.0 if is_plain else 1e-4}


def train_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, pictures: Tensor, labels: Tensor
) -> dict[str, float]:
    """Train on a batch, and return its losses and the first learning rate."""
    scores = model(pictures)
    loss_cls = functional.cross_entropy(scores, labels)
    loss = loss_cls + 0.01 * scores.square().mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    rate: float = optimizer.param_groups[0]["lr"]
    return {"loss": loss.item(), "loss_cls": loss_cls.item(), "lr": rate}


def train(root: Path, network: Network, model: nn.Module) -> Iterator[dict[str, float]]:
    """Yield what each step of this rank did."""
    pictures, labels = read(root, "train")
    optimizer = torch.optim.SGD(groups(network), lr=LR, momentum=0.9, weight_decay=1e-4)
    first = [group["lr"] for group in optimizer.param_groups]
    iteration = 0
    for epoch in range(EPOCHS):
        indices = order(labels.tolist(), epoch)[RANK::WORLD_SIZE]
        batches = [indices[start : start + BATCH] for start in range(0, len(indices), BATCH)]
        for number, batch in enumerate(batches):
            model.train()
            if iteration >= FREEZE_AT:
                network.stages.eval()
            for group, rate in zip(optimizer.param_groups, first, strict=True):
                group["lr"] = rate * factor(epoch, number, len(batches))
            yield train_step(model, optimizer, pictures[batch], labels[batch])
            iteration += 1
        average_buffers(network)


def average_buffers(network: Network) -> None:
    """Average the running statistics over the ranks, as each save of a checkpoint does."""
    if WORLD_SIZE > 1:
        for buffer in network.buffers():
            if buffer.is_floating_point():
                distributed.all_reduce(buffer)
                buffer /= WORLD_SIZE


def main(root: str, file: str) -> None:
    """Train, and save the steps and the weights."""
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    network = Network()
    network.initialize()
    model: nn.Module = network
    if WORLD_SIZE > 1:
        distributed.init_process_group("gloo")
        model = DistributedDataParallel(network, broadcast_buffers=False)
    steps = list(train(Path(root), network, model))
    if RANK == 0:
        torch.save({"steps": steps, "weights": network.state_dict()}, file)
    if WORLD_SIZE > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
