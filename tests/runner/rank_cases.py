"""Runs of two ranks: what they save, validate, and resume."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from engine_dist import all_gather, get_rank
from engine_evaluator import BaseMetric
from engine_model import BaseModel, BaseTTAModel, get_state_dict, weights_to_cpu
from engine_model.weights import CheckpointLoader
from engine_runner import Hook, Runner
from engine_runner.checkpoint.writers import AsyncWriter, PlainWriter, ShardedWriter, Writer
from engine_runner.hooks import CheckpointHook

LOADER = {
    "sampler": {"type": "DefaultSampler", "shuffle": False},
    "collate_fn": {"type": "default_collate"},
    "batch_size": 2,
}


class Statistics(BaseModel):
    """Each rank sees values of its own: rank 0 sees zeros, rank 1 tens."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(1, momentum=1.0)

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        return {"loss": self.norm(x * 0 + 10.0 * get_rank()).sum()}


def save(rank: int, folder: Path) -> Any:
    """Train, and return the statistics of the checkpoint."""
    runner = Runner(
        Statistics(),
        folder,
        train_dataloader={**LOADER, "dataset": [(torch.ones(1),) for _ in range(8)]},
        train_cfg={"by_epoch": True, "max_epochs": 1},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.0}},
        launcher="pytorch",
    )
    runner.train()
    state = torch.load(f"{runner.work_dir}/epoch_1.pth", weights_only=True)["state_dict"]
    return state["norm.running_mean"].item(), state["norm.num_batches_tracked"].item()


class Echo(BaseModel):
    """Predicts what it is given."""

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        return list(x)


class Seen(BaseMetric):
    """Collects which samples were evaluated."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [int(sample) for sample in data_samples]

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        return {"seen": results}


def validate(rank: int, folder: Path) -> Any:
    """Validate 11 samples, and return those that the metric got."""
    runner = Runner(
        Echo(),
        folder,
        val_dataloader={**LOADER, "dataset": [(index,) for index in range(11)]},
        val_cfg={},
        val_evaluator=Seen(),
        launcher="pytorch",
    )
    return runner.val()["seen"]


class Curve(BaseModel):
    """Two layers, so that there are several units of which each rank holds a part."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(3, 8)
        self.second = torch.nn.Linear(8, 1)

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        outputs = self.second(self.first(x).relu())
        return {"loss": (outputs - x.square().sum(1, keepdim=True)).square().mean()}


def _weights_after(folder: Path, *epochs: int) -> dict[str, torch.Tensor]:
    """Train up to each of the numbers of epochs, with a runner of its own."""
    draw = torch.Generator().manual_seed(0)
    data = [(torch.randn(3, generator=draw),) for _ in range(16)]
    for count in epochs:
        torch.manual_seed(0)
        runner = Runner(
            Curve(),
            folder,
            train_dataloader={
                **LOADER,
                "dataset": data,
                "sampler": {"type": "DefaultSampler", "shuffle": True},
                "batch_size": 4,
            },
            train_cfg={"by_epoch": True, "max_epochs": count},
            optim_wrapper={"optimizer": {"type": "Adam", "lr": 0.01}},
            randomness={"seed": 3},
            launcher="pytorch",
            resume=True,
            model_wrapper_cfg={
                "type": "MMFullyShardedDataParallel",
                "cpu_offload": True,
                "fsdp_auto_wrap_policy": "always_wrap_policy",
            },
        )
        runner.train()
    return weights_to_cpu(get_state_dict(runner.model))


def shard(rank: int, folder: Path) -> Any:
    """Train a sharded model in one go and with a break, and return how the two compare."""
    once = _weights_after(folder / "once", 3)
    twice = _weights_after(folder / "twice", 2, 3)
    saved = torch.load(folder / "twice" / "epoch_3.pth", weights_only=True)
    return {
        "resumed": all(torch.equal(once[name], twice[name]) for name in once),
        "saved": all(torch.equal(twice[name], saved["state_dict"][name]) for name in once),
        "moments": [list(state["exp_avg"].shape) for state in saved["optimizer"]["state"].values()],
    }


def accumulate(rank: int, folder: Path) -> Any:
    """Resume inside a window of accumulation, with a frozen weight; compare with the whole run."""
    draw = torch.Generator().manual_seed(0)
    data = [(torch.randn(3, generator=draw),) for _ in range(16)]

    def train(name: str, **resume: Any) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        runner = Runner(
            Curve(),
            folder / name,
            train_dataloader={**LOADER, "dataset": data, "batch_size": 4},
            train_cfg={"by_epoch": True, "max_epochs": 4},
            optim_wrapper={
                "optimizer": {"type": "SGD", "lr": 0.05},
                "accumulative_counts": 3,
                "paramwise_cfg": {"custom_keys": {"first.bias": {"requires_grad": False}}},
            },
            default_hooks={
                "checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 1}
            },
            randomness={"seed": 3},
            launcher="pytorch",
            **resume,
        )
        runner.train()
        return weights_to_cpu(get_state_dict(runner.model))

    whole = train("whole")
    path = folder / "whole" / "iter_5.pth"
    rest = train("rest", load_from=str(path), resume=True)
    window = torch.load(path, weights_only=True)["accumulation"]
    torch.manual_seed(0)
    return {
        "equal": all(torch.allclose(whole[name], rest[name], atol=1e-7) for name in whole),
        "frozen": torch.equal(whole["first.bias"], Curve().first.bias),
        "calls": window["calls"],
        "gradients": len(window["gradients"]),
    }


def write(rank: int, folder: Path) -> dict[str, float]:
    """Write a checkpoint with each writer, and return what the file has for this rank."""
    found = {}
    makers: dict[str, Callable[[], Writer]] = {
        "plain": PlainWriter,
        "async": AsyncWriter,
        "sharded": ShardedWriter,
        "sharded-async": partial(ShardedWriter, asynchronous=True),
    }
    for name, make in makers.items():
        writer = make()
        path = folder / (f"{name}.dcp" if writer.sharded else f"{name}.pth")
        writer.write({"state_dict": {"weight": torch.tensor(float(rank))}}, str(path))
        writer.finish()
        read = CheckpointLoader.load_checkpoint(path, map_location="cpu")
        found[name] = read["state_dict"]["weight"].item()
    return found


def in_background(rank: int, folder: Path) -> Any:
    """Train with an `AsyncWriter` whose last file the main rank cannot write."""

    class Full(Hook):
        priority = "HIGHEST"

        def after_train_epoch(self, runner: Any) -> None:
            if runner.is_main and runner.epoch == 1:
                Path(runner.work_dir, "epoch_2.pth").mkdir()

    runner = Runner(
        Statistics(),
        folder,
        train_dataloader={**LOADER, "dataset": [(torch.ones(1),) for _ in range(8)]},
        train_cfg={"by_epoch": True, "max_epochs": 2},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.0}},
        default_hooks={
            "checkpoint": {"type": "CheckpointHook", "interval": 1, "writer": "AsyncWriter"}
        },
        custom_hooks=[Full()],
        launcher="pytorch",
    )
    try:
        runner.train()
        raised = ""
    except OSError as error:
        raised = str(error)
    marked = Path(Path(runner.work_dir, "last_checkpoint").read_text()).name
    [hook] = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    return "epoch_2.pth" in raised, marked, hook.retention.names


def publish(rank: int, folder: Path) -> Any:
    """Publish what is trained, and what is lost before; return the files and the error."""

    class Lose(Hook):
        priority = "HIGHEST"

        def after_train(self, runner: Any) -> None:
            if runner.is_main and runner.work_dir.endswith("lost"):
                Path(runner.work_dir, "epoch_2.pth").unlink()

    found = []
    for name in ("kept", "lost"):
        runner = Runner(
            Statistics(),
            folder / name,
            train_dataloader={**LOADER, "dataset": [(torch.ones(1),) for _ in range(8)]},
            train_cfg={"by_epoch": True, "max_epochs": 2},
            optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.0}},
            default_hooks={
                "checkpoint": {
                    "type": "CheckpointHook",
                    "interval": 1,
                    "save_begin": 2,
                    "published_keys": ["state_dict"],
                }
            },
            custom_hooks=[Lose()],
            launcher="pytorch",
        )
        try:
            runner.train()
            raised = ""
        except OSError as error:
            raised = str(error)
        names = [file.stem for file in Path(runner.work_dir).glob("*.pth")]
        found.append((sorted(names, key=len), raised.count("epoch_2.pth was not published")))
    return found


def seeds(rank: int, folder: Path) -> Any:
    """Return whether the ranks draw alike, without and with ``diff_rank_seed``."""
    alike = []
    for differs in (False, True):
        Runner(
            Echo(),
            folder,
            launcher="pytorch",
            randomness={"seed": 5, "diff_rank_seed": differs},
        )
        drawn = all_gather(torch.rand(3))
        alike.append(torch.equal(drawn[0], drawn[1]))
    return alike


class Scaled(BaseModel):
    """Return its inputs times a weight, which a wrapper for several ranks needs."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, inputs: Any, mode: str = "tensor") -> Any:
        return [self.factor.detach() * value for value in inputs]


class MeanOfViews(BaseTTAModel):
    """Return the mean over the views of a sample."""

    def merge_preds(self, data_samples_list: list[list[Any]]) -> list[Any]:
        return [sum(views) / len(views) for views in data_samples_list]


def augment(rank: int, folder: Path) -> Any:
    """Test samples of two views each; return what the metric got, and the wrapper."""
    runner = Runner(
        MeanOfViews(Scaled()),
        folder,
        test_dataloader={
            **{key: value for key, value in LOADER.items() if key != "collate_fn"},
            "dataset": [{"inputs": [torch.tensor(i), torch.tensor(i + 10)]} for i in range(7)],
        },
        test_cfg={},
        test_evaluator=Seen(),
        launcher="pytorch",
    )
    return type(runner.model).__name__, runner.test()["seen"]


CASES = {
    "seeds": seeds,
    "augment": augment,
    "save": save,
    "publish": publish,
    "validate": validate,
    "shard": shard,
    "accumulate": accumulate,
    "write": write,
    "in_background": in_background,
}
