"""Cases of two processes that train wrapped models; run_ranks.py runs them."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.fsdp import MixedPrecision, ShardingStrategy

from engine_model import (
    BaseModel,
    MMDistributedDataParallel,
    MMFullyShardedDataParallel,
    MMSeparateDistributedDataParallel,
    is_model_wrapper,
)

WORLD = 2


class Update:
    """A minimal optimizer wrapper for a training step."""

    def __init__(self, module: nn.Module, accumulate: int = 1) -> None:
        self.optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        self.accumulate = accumulate
        self.seen = 0

    @contextmanager
    def optim_context(self, model: Any, /) -> Iterator[None]:
        if (self.seen + 1) % self.accumulate:
            with model.no_sync():
                yield
        else:
            yield

    def update_params(self, loss: Tensor, /) -> None:
        torch.autograd.backward(loss / self.accumulate)
        self.seen += 1
        if self.seen % self.accumulate == 0:
            self.optimizer.step()
            self.optimizer.zero_grad()


class Net(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
        self.heads = nn.ModuleList([nn.Linear(1, 1)])
        self.idle = nn.Linear(1, 1)

    def forward(self, inputs: Any, targets: Any, mode: str = "tensor") -> Any:
        outputs = self.heads[0](self.layers(inputs))
        if mode == "loss":
            return {"loss": (outputs - targets).square(), "error": (outputs - targets).abs()}
        return outputs


class Pair(BaseModel):
    """Two parts, each with an optimizer of its own, and one without parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Sequential(nn.Linear(3, 1))
        self.activation = nn.ReLU()
        self.frozen = nn.Linear(1, 1).requires_grad_(False)

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        inputs, targets = self.data_preprocessor(data, True)
        logs: dict[str, Tensor] = {}
        for name in ("first", "second"):
            outputs = self(inputs)
            loss, values = self.parse_losses({f"loss_{name}": (outputs - targets).square()})
            optim_wrapper[name].update_params(loss)
            self.zero_grad()
            logs |= values
        return logs

    def forward(self, inputs: Any, targets: Any = None, mode: str = "tensor") -> Any:
        return self.frozen(self.second(self.activation(self.first(inputs))))


def batches(count: int = 1) -> list[list[tuple[Tensor, Tensor]]]:
    """Return for each step the batch of each rank; the same on every rank."""
    draw = torch.Generator().manual_seed(5)
    return [
        [
            (torch.randn(4, 3, generator=draw), torch.randn(4, 1, generator=draw))
            for _ in range(WORLD)
        ]
        for _ in range(count)
    ]


def seeded(kind: type[Any]) -> Any:
    torch.manual_seed(0)
    return kind()


def trained_alone(kind: type[Any], steps: list[list[tuple[Tensor, Tensor]]]) -> dict[str, Any]:
    """Return the weights after training in one process on the batches of all ranks."""
    model = seeded(kind)
    update: Any = (
        {name: Update(getattr(model, name)) for name in ("first", "second")}
        if kind is Pair
        else Update(model)
    )
    for ranks in steps:
        model.train_step(tuple(map(torch.cat, zip(*ranks, strict=True))), update)
    return dict(model.state_dict())


def full(state: dict[str, Any]) -> dict[str, Tensor]:
    """Gather sharded tensors."""
    return {
        name: getattr(value, "full_tensor", lambda v=value: v)() for name, value in state.items()
    }


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def logged() -> Iterator[list[str]]:
    handler, logger = Lines(), logging.getLogger("engine.model")
    logger.addHandler(handler)
    yield handler.lines
    logger.removeHandler(handler)


def distributed_step(rank: int) -> dict[str, Any]:
    torch.manual_seed(rank)  # the wrapper sends the weights of rank 0
    model = seeded(Net) if rank == 0 else Net()
    wrapper = MMDistributedDataParallel(model, find_unused_parameters=True)
    update = Update(wrapper)
    steps = batches(3)
    logs = [wrapper.train_step(ranks[rank], update) for ranks in steps]
    return {
        "weights": model.state_dict(),
        "wanted": trained_alone(Net, steps),
        "logs": [{name: value.item() for name, value in log.items()} for log in logs],
        "val": wrapper.val_step(steps[0][rank]),
        "test": wrapper.test_step(steps[0][rank]),
        "bare": model.val_step(steps[0][rank]),
        "is_wrapper": is_model_wrapper(wrapper),
        "preprocessor": wrapper.data_preprocessor is model.data_preprocessor,
    }


def distributed_accumulation(rank: int) -> dict[str, Any]:
    wrapper = MMDistributedDataParallel(seeded(Net), find_unused_parameters=True)
    update = Update(wrapper, accumulate=2)
    first, second = batches(2)
    wrapper.train_step(first[rank], update)
    local = wrapper.module.layers[0].weight.grad.clone()
    wrapper.train_step(second[rank], update)
    return {
        "weights": wrapper.module.state_dict(),
        "wanted": trained_alone(Net, [first + second]),
        "local": local,
    }


def anomalous(rank: int) -> dict[str, Any]:
    wrapper = MMDistributedDataParallel(
        seeded(Net), detect_anomalous_params=True, find_unused_parameters=True
    )
    with logged() as lines:
        wrapper.train_step(batches()[0][rank], Update(wrapper))
    return {"lines": lines}


def separate_step(rank: int) -> dict[str, Any]:
    model = seeded(Pair)
    wrapper = MMSeparateDistributedDataParallel(model)
    update = {name: Update(getattr(model, name)) for name in ("first", "second")}
    steps = batches(3)
    logs = [wrapper.train_step(ranks[rank], update) for ranks in steps]
    weights = {name.replace("module.", ""): value for name, value in model.state_dict().items()}
    wrapper.train(False)
    modes = (wrapper.training, model.training, model.first.module.training)
    return {
        "weights": weights,
        "wanted": trained_alone(Pair, steps),
        "logs": [sorted(log) for log in logs],
        "wrapped": sorted(
            name for name, child in model.named_children() if is_model_wrapper(child)
        ),
        "is_wrapper": is_model_wrapper(wrapper),
        "modes": modes,
        "val": torch.equal(wrapper.val_step(steps[0][rank]), model.val_step(steps[0][rank])),
        "test": torch.equal(wrapper.test_step(steps[0][rank]), wrapper(*steps[0][rank])),
        "preprocessor": wrapper.data_preprocessor is model.data_preprocessor,
    }


def separate_without_sync(rank: int) -> dict[str, Any]:
    model = seeded(Pair)
    wrapper = MMSeparateDistributedDataParallel(model)
    inputs, _ = batches()[0][rank]
    grads = {}
    for name, context in (("local", wrapper.no_sync), ("shared", torch.enable_grad)):
        with context():
            torch.autograd.backward(wrapper(inputs).sum())
        grads[name] = model.first.module.weight.grad.clone()
        model.zero_grad()
    return grads


def separate_warns(rank: int) -> dict[str, Any]:
    model = seeded(Pair)
    model.scale = nn.Parameter(torch.ones(()))
    with logged() as lines:
        MMSeparateDistributedDataParallel(model)
    return {"lines": lines}


def sharded_step(rank: int, **options: Any) -> dict[str, Any]:
    torch.manual_seed(rank)
    model = seeded(Net) if rank == 0 else Net()
    wrapper = MMFullyShardedDataParallel(model, **options)
    update = Update(wrapper)
    steps = batches(3)
    logs = [wrapper.train_step(ranks[rank], update) for ranks in steps]
    shards: list[Any] = list(model.parameters())
    local = sum(shard.to_local().numel() for shard in shards)
    return {
        "weights": full(model.state_dict()),
        "wanted": trained_alone(Net, steps),
        "logs": [{name: value.item() for name, value in log.items()} for log in logs],
        "val": wrapper.val_step(steps[0][rank]),
        "test": wrapper.test_step(steps[0][rank]),
        "forward": wrapper(*steps[0][rank]),
        "is_wrapper": is_model_wrapper(wrapper),
        "local": local,
        "units": sorted(
            name
            for name, module in model.named_modules()
            if isinstance(module, torch.distributed.fsdp.FSDPModule)
        ),
        "preprocessor": wrapper.data_preprocessor is model.data_preprocessor,
    }


def sharded_accumulation(rank: int) -> dict[str, Any]:
    wrapper = MMFullyShardedDataParallel(seeded(Net))
    update = Update(wrapper, accumulate=2)
    first, second = batches(2)
    wrapper.train_step(first[rank], update)
    wrapper.train_step(second[rank], update)
    return {
        "weights": full(wrapper.module.state_dict()),
        "wanted": trained_alone(Net, [first + second]),
    }


def sharded_subgroup(rank: int) -> dict[str, Any]:
    group = distributed.new_group([0, 1])
    return sharded_step(rank, process_group=group)


def sharded_initialisation(rank: int) -> dict[str, Any]:
    model = seeded(Net)
    model.init_cfg = {"type": "Constant", "layer": "Linear", "val": 3, "bias": 2}
    MMFullyShardedDataParallel(model)
    with logged() as lines:
        logging.getLogger("engine.model").setLevel(logging.INFO)
        model.init_weights()
    values = torch.cat([tensor.flatten() for tensor in full(model.state_dict()).values()])
    return {"values": values.tolist(), "lines": lines}


def sharded_precision(rank: int) -> dict[str, Any]:
    wrapper = MMFullyShardedDataParallel(
        seeded(Net), mp_policy={"param_dtype": "bfloat16", "cast_forward_inputs": True}
    )
    return {"dtype": str(wrapper.val_step(batches()[0][rank]).dtype)}


def sharded_earlier_precision(rank: int) -> dict[str, Any]:
    model = seeded(Net)
    model.register_buffer("scale", torch.ones(2))
    precision = MixedPrecision(param_dtype=torch.bfloat16, buffer_dtype=torch.float16)
    wrapper = MMFullyShardedDataParallel(model, mixed_precision=precision)
    return {
        "dtype": str(wrapper.val_step(batches()[0][rank]).dtype),
        "buffer": str(model.scale.dtype),
    }


def sharded_from_meta(rank: int) -> dict[str, Any]:
    def init(module: nn.Module) -> None:
        module.to_empty(device="cpu", recurse=False)
        for parameter in module.parameters(recurse=False):
            nn.init.constant_(parameter, 3.0 + rank)

    with torch.device("meta"):
        model = seeded(Net)
    MMFullyShardedDataParallel(model, param_init_fn=init, auto_wrap_policy="always_wrap_policy")
    values = torch.cat([tensor.flatten() for tensor in full(model.state_dict()).values()])
    return {"values": values.tolist()}


def big(module: nn.Module, recurse: bool, unwrapped_params: int) -> bool:
    return recurse or unwrapped_params >= 16


CASES: dict[str, Callable[[int], dict[str, Any]]] = {
    "distributed": distributed_step,
    "distributed accumulation": distributed_accumulation,
    "anomalous": anomalous,
    "separate": separate_step,
    "separate without sync": separate_without_sync,
    "separate warns": separate_warns,
    "sharded": sharded_step,
    "sharded by name": lambda rank: sharded_step(
        rank, fsdp_auto_wrap_policy="always_wrap_policy", backward_prefetch="BACKWARD_PRE"
    ),
    "sharded by function": lambda rank: sharded_step(rank, fsdp_auto_wrap_policy=big),
    "sharded by config": lambda rank: sharded_step(
        rank,
        cpu_offload=True,
        fsdp_auto_wrap_policy={"type": "size_based_auto_wrap_policy", "min_num_params": 16},
    ),
    "sharded subgroup": sharded_subgroup,
    "sharded accumulation": sharded_accumulation,
    "sharded initialisation": sharded_initialisation,
    "sharded precision": sharded_precision,
    "sharded earlier precision": sharded_earlier_precision,
    "sharded from meta": sharded_from_meta,
    "sharded copies": lambda rank: sharded_step(rank, sharding_strategy="NO_SHARD"),
    "sharded hybrid": lambda rank: sharded_step(rank, sharding_strategy="HYBRID_SHARD"),
    "sharded grad op": lambda rank: sharded_step(
        rank, sharding_strategy=ShardingStrategy.SHARD_GRAD_OP, auto_wrap_policy=big
    ),
}
