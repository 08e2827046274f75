"""Cases of two processes with weights of wrapped models; run_ranks.py runs them."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard

from engine_model import (
    BaseModel,
    BaseTTAModel,
    ExponentialMovingAverage,
    MMDistributedDataParallel,
    MMFullyShardedDataParallel,
    MMSeparateDistributedDataParallel,
    get_state_dict,
    is_sharded,
    load_checkpoint,
    load_state_dict,
    save_checkpoint,
    weights_to_cpu,
)
from engine_optim import OptimWrapper, OptimWrapperDict

STEPS = 7


class Net(BaseModel):
    """A network with a buffer and, of three layers, one that is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.GroupNorm(2, 4)
        self.head = nn.Linear(4, 2)
        self.idle = nn.Linear(3, 3)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, inputs: Any, labels: Any, mode: str = "tensor") -> Any:
        scores = self.head(self.norm(self.conv(inputs)).relu().mean((2, 3)))
        if mode == "loss":
            return {"loss": nn.functional.cross_entropy(scores, labels)}
        return list(scores) if mode == "predict" else scores


class Pair(BaseModel):
    """Two parts, the first under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.alias = self.first
        self.second = nn.Linear(3, 1)

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        inputs, targets = self.data_preprocessor(data, True)
        for name in ("first", "second"):
            wrapper = optim_wrapper[name]
            with wrapper.optim_context(getattr(self, name)):
                loss = (self(inputs) - targets).square().mean()
            wrapper.update_params(loss)
            self.zero_grad() if wrapper.should_update() else None
        return {"loss": loss}

    def forward(self, inputs: Any, targets: Any = None, mode: str = "tensor") -> Any:
        return self.second(self.alias(inputs).relu())


class Sum(BaseTTAModel):
    def merge_preds(self, data_samples_list: Any) -> Any:
        return [sum(views) for views in data_samples_list]


def seeded(kind: type[Any], seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return kind()


def batches() -> list[list[tuple[Tensor, Tensor]]]:
    """Return for each step the batch of each rank; the same on every rank."""
    draw = torch.Generator().manual_seed(5)
    return [
        [
            (torch.randn(4, 1, 6, 6, generator=draw), torch.randint(0, 2, (4,), generator=draw))
            for _ in range(2)
        ]
        for _ in range(STEPS)
    ]


def optimizer(module: nn.Module, counts: int) -> OptimWrapper:
    """Return a wrapper whose last window is not full, where there are several steps to one."""
    adam = torch.optim.Adam(module.parameters(), lr=0.01)
    wrapper = OptimWrapper(adam, accumulative_counts=counts, clip_grad={"max_norm": 0.1})
    wrapper.initialize_count_status(module, 0, STEPS)
    return wrapper


def trained(rank: int, kind: str, counts: int) -> dict[str, Any]:
    """Train with the optimizer wrapper of a real run, and alone on the data of all ranks."""
    alone = seeded(Net)
    update = optimizer(alone, counts)
    for ranks in batches():
        alone.train_step(tuple(map(torch.cat, zip(*ranks, strict=True))), update)
    model = seeded(Net, seed=rank)
    model.seen.fill_(rank + 5.0)
    wrapper: Any
    if kind == "distributed":
        wrapper = MMDistributedDataParallel(model, find_unused_parameters=True)
    else:
        policy = "always_wrap_policy" if kind == "sharded in units" else None
        wrapper = MMFullyShardedDataParallel(model, fsdp_auto_wrap_policy=policy)
    update = optimizer(wrapper, counts)
    for ranks in batches():
        wrapper.train_step(ranks[rank], update)
    weights = weights_to_cpu(get_state_dict(wrapper))
    return {"weights": weights, "wanted": alone.state_dict() | {"seen": torch.tensor(5.0)}}


def separate(rank: int, counts: int) -> dict[str, Any]:
    draw = torch.Generator().manual_seed(1)
    data = [
        [(torch.randn(4, 3, generator=draw), torch.randn(4, 1, generator=draw)) for _ in range(2)]
        for _ in range(STEPS)
    ]
    model, alone = seeded(Pair), seeded(Pair)
    wrapper = MMSeparateDistributedDataParallel(model)
    both: Any = []
    for net in (model, alone):
        parts = {name: optimizer(getattr(net, name), counts) for name in ("first", "second")}
        both.append(OptimWrapperDict(**parts))
    for ranks in data:
        wrapper.train_step(ranks[rank], both[0])
        alone.train_step(tuple(map(torch.cat, zip(*ranks, strict=True))), both[1])
    return {"weights": get_state_dict(wrapper), "wanted": alone.state_dict()}


def exchanged(rank: int) -> dict[str, Any]:
    """Carry weights between whole and sharded models, in memory and through files."""
    wanted = dict(seeded(Net).state_dict())
    sharded = MMFullyShardedDataParallel(seeded(Net), fsdp_auto_wrap_policy="always_wrap_policy")
    whole, again, other = seeded(Net, 1), seeded(Net, 1), seeded(Net, 1)
    load_state_dict(whole, get_state_dict(sharded), strict=True)
    target = MMFullyShardedDataParallel(other)
    load_state_dict(target, get_state_dict(sharded), strict=True)  # sharded in other units
    from_sharded = weights_to_cpu(get_state_dict(target))
    load_state_dict(target, seeded(Net, 2).state_dict(), strict=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.pth")
        save_checkpoint({"state_dict": weights_to_cpu(get_state_dict(sharded))}, path)
        load_checkpoint(again, path, strict=True)
        load_checkpoint(target, path, strict=True)
        try:
            save_checkpoint({"state_dict": get_state_dict(sharded)}, path)
        except ValueError as error:
            message = str(error)
    return {
        "wanted": wanted,
        "all": [
            dict(whole.state_dict()),
            from_sharded,
            dict(again.state_dict()),
            weights_to_cpu(get_state_dict(target)),
        ],
        "error": message,
    }


def misfit(rank: int) -> dict[str, Any]:
    sharded = MMFullyShardedDataParallel(seeded(Net))
    weights = seeded(Net, 1).state_dict() | {"head.weight": torch.zeros(3, 4)}
    report = load_state_dict(sharded, weights, logger="silent")
    return {"mismatched": report.mismatched, "fits": report.fits, "errors": report.errors}


def averaged(rank: int, shard: str) -> dict[str, Any]:
    """Average a sharded model in a whole average, in one that is sharded, and in its own copy."""
    model, alone = seeded(Net), seeded(Net)
    theirs = ExponentialMovingAverage(alone, momentum=0.25)
    if shard == "copied":
        wrapper = MMFullyShardedDataParallel(model, fsdp_auto_wrap_policy="always_wrap_policy")
        with torch.no_grad():
            wrapper.eval()(*batches()[0][rank])  # the outermost unit is gathered now
        ours = ExponentialMovingAverage(model, momentum=0.25)
    else:
        ours = ExponentialMovingAverage(model, momentum=0.25)
        MMFullyShardedDataParallel(model)
    if shard == "too":
        fully_shard(ours.module)
    for seed in (1, 2, 3):
        for net, average in ((model, ours), (alone, theirs)):
            load_state_dict(net, seeded(Net, seed).state_dict(), strict=True)
            average.update_parameters(net)
    try:
        message = str(ours(*batches()[0][rank]) is None)
    except RuntimeError as error:
        message = str(error)
    return {
        "weights": weights_to_cpu(dict(ours.module.state_dict())),
        "wanted": dict(theirs.module.state_dict()),
        "sharded": any(map(is_sharded, ours.module.parameters())),
        "error": message,
    }


@torch.no_grad()
def augmented(rank: int) -> dict[str, Any]:
    inputs, labels = batches()[0][rank]
    views = {"inputs": [inputs, inputs.flip(-1)], "labels": [labels, labels]}
    wanted = Sum(seeded(Net)).test_step(views)
    sharded = MMFullyShardedDataParallel(Sum(seeded(Net)))
    return {"same": all(map(torch.equal, sharded.test_step(views), wanted))}


@torch.no_grad()
def steps_of_the_model(rank: int) -> dict[str, Any]:
    class Own(Net):
        def val_step(self, data: Any) -> Any:
            return "own val_step", super().val_step(data)

        def test_step(self, data: Any) -> Any:
            return "own test_step", super().test_step(data)

    wrappers: list[Any] = [
        MMDistributedDataParallel(seeded(Own)),
        MMSeparateDistributedDataParallel(seeded(Own)),
        MMFullyShardedDataParallel(seeded(Own)),
    ]
    data = batches()[0][rank]
    return {"steps": [(w.val_step(data)[0], w.test_step(data)[0]) for w in wrappers]}


CASES: dict[str, Callable[[int], dict[str, Any]]] = {
    "exchanged": exchanged,
    "misfit": misfit,
    "averaged whole": partial(averaged, shard=""),
    "averaged sharded": partial(averaged, shard="too"),
    "averaged copy": partial(averaged, shard="copied"),
    "augmented": augmented,
    "steps of the model": steps_of_the_model,
}
for count in (1, 3):
    CASES[f"separate, {count}"] = partial(separate, counts=count)
    for wrapped in ("distributed", "sharded", "sharded in units"):
        CASES[f"{wrapped}, {count}"] = partial(trained, kind=wrapped, counts=count)
