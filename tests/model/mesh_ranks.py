"""Cases of four processes that shard a model in several ways; run_ranks.py runs them."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy

from engine_model import (
    BaseModel,
    MMDistributedDataParallel,
    MMFullyShardedDataParallel,
    WholeDraws,
    get_state_dict,
    materialize,
    parameters_on_meta,
    unfilled_parameters,
    weights_to_cpu,
    whole_parameters,
)
from engine_registry import FUNCTIONS

WORLD = 4
Update: Any = runpy.run_path(str(Path(__file__).with_name("wrapper_ranks.py")))["Update"]


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = x + self.linear(x).relu()
        return outputs


class Net(BaseModel):
    """Blocks, and a first and a last layer that share their weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4, bias=False)
        self.blocks = nn.ModuleList([Block() for _ in range(3)])
        self.last = nn.Linear(4, 4, bias=False)
        self.last.weight = self.first.weight

    def init_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.orthogonal_(module.weight)
        self.get_parameter("blocks.0.linear.weight").data[0].zero_()

    def forward(self, inputs: Any, targets: Any, mode: str = "tensor") -> Any:
        outputs = self.first(inputs)
        for block in self.blocks:
            outputs = block(outputs)
        outputs = self.last(outputs)
        return {"loss": (outputs - targets).square()} if mode == "loss" else outputs


class OwnStep(Net):
    """A model with its own step, which calls itself and doubles its loss."""

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        with optim_wrapper.optim_context(self):
            data = self.data_preprocessor(data, True)
            loss = 2 * self(*data, mode="loss")["loss"].mean()
        optim_wrapper.update_params(loss)
        return {"own": loss}


class BypassingStep(Net):
    """A model whose step calls a part of it."""

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        loss = (self.first(data[0]) - data[1]).square().mean()
        optim_wrapper.update_params(loss)
        return {"loss": loss}


@FUNCTIONS.register_module()
def last_blocks(module: nn.Module, recurse: bool, nonwrapped_numel: int, least: int = 20) -> bool:
    return recurse or (isinstance(module, Block) and nonwrapped_numel >= least)


def batches(count: int = 3) -> list[list[tuple[Tensor, Tensor]]]:
    """Return for each step the batch of each rank; the same on every rank."""
    draw = torch.Generator().manual_seed(5)
    return [
        [
            (torch.randn(2, 4, generator=draw), torch.randn(2, 4, generator=draw))
            for _ in range(WORLD)
        ]
        for _ in range(count)
    ]


def seeded(kind: type[Any] = Net) -> Any:
    torch.manual_seed(0)
    return kind()


def trained_alone(kind: type[Any] = Net, together: int = 1) -> dict[str, Tensor]:
    """Return the weights after training in one process on the batches of all ranks.

    Args:
        kind: The model.
        together: How many batches are one step.
    """
    model = seeded(kind)
    update = Update(model)
    steps = batches(4)
    for start in range(0, len(steps), together):
        ranks = [batch for step in steps[start : start + together] for batch in step]
        model.train_step(tuple(map(torch.cat, zip(*ranks, strict=True))), update)
    return {name: value.clone() for name, value in model.state_dict().items()}


def whole_state(model: nn.Module) -> dict[str, Any]:
    return {name: value.clone() for name, value in weights_to_cpu(get_state_dict(model)).items()}


def trained(wrapper: Any, rank: int, together: int = 1) -> dict[str, Any]:
    """Return the weights after training, and the logs."""
    update = Update(wrapper, accumulate=together)
    logs = [wrapper.train_step(ranks[rank], update) for ranks in batches(4)]
    return {
        "weights": whole_state(wrapper.module),
        "wanted": trained_alone(type(wrapper.module), together),
        "logs": [sorted(log) for log in logs],
    }


def sharded(rank: int, together: int = 1, kind: type[Any] = Net, **options: Any) -> dict[str, Any]:
    """Train a sharded model; rank 0 alone has the right weights at first."""
    torch.manual_seed(rank)
    model = seeded(kind) if rank == 0 else kind()
    wrapper = MMFullyShardedDataParallel(model, **options)
    results = trained(wrapper, rank, together)
    # fully_shard has given the model another class.
    results["wanted"] = trained_alone(kind, together)
    shards: list[Any] = list(model.parameters())
    root: Any = model
    return {
        **results,
        "local": sum(shard.to_local().numel() for shard in shards),
        "total": sum(shard.numel() for shard in shards),
        "mesh": list(shards[0].device_mesh.shape),
        "dtype": str(wrapper.val_step(batches()[0][rank]).dtype),
        "units": sorted(n for n, one in model.named_modules() if isinstance(one, FSDPModule)),
        "frees": isinstance(root.blocks[0], FSDPModule) and _frees(root.blocks[0]),
    }


def _frees(unit: Any) -> bool:
    """Return whether a unit frees its whole parameters after the forward pass."""
    return bool(unit._get_fsdp_state()._fsdp_param_group._reshard_after_forward)


def own_step(rank: int, together: int = 1) -> dict[str, Any]:
    wrapper = MMDistributedDataParallel(seeded(OwnStep))
    results = trained(wrapper, rank, together)
    checked = wrapper._equal_weights is not None and wrapper._equal_weights.done
    return {**results, "checked": checked}


def bypassing_step(rank: int, same_data: bool = False) -> dict[str, Any]:
    """Return the error of a step whose gradients the wrapper does not average."""
    wrapper: Any = MMDistributedDataParallel(seeded(BypassingStep))
    update = Update(wrapper)
    message, steps = "", 0
    for ranks in batches(3):
        try:
            wrapper.train_step(ranks[0 if same_data else rank], update)
        except RuntimeError as error:
            message = str(error)
            break
        steps += 1
    return {"message": message, "steps": steps, "done": wrapper._equal_weights.done}


def error(rank: int, **options: Any) -> dict[str, Any]:
    try:
        MMFullyShardedDataParallel(seeded(), **options)
    except (TypeError, ValueError) as raised:
        return {"message": str(raised)}
    return {"message": ""}


def initialized(rank: int) -> dict[str, Any]:
    """Initialize sharded weights with another seed on each rank; rank 0 counts."""
    model = seeded()
    MMFullyShardedDataParallel(model, auto_wrap_policy="Block", mesh=(2, 2))
    torch.manual_seed(7 + rank)
    with whole_parameters(model):
        model.init_weights()
    alone = seeded()
    torch.manual_seed(7)
    alone.init_weights()
    return {"weights": whole_state(model), "wanted": alone.state_dict()}


def on_meta(rank: int) -> dict[str, Any]:
    """Build a model without memory, and fill its shards."""
    torch.manual_seed(3)
    with parameters_on_meta():
        model = Net()
        model.extra = nn.Parameter(torch.ones(4))
        model.embedding = nn.Embedding(4, 2, padding_idx=1)
    before = {str(one.device) for one in model.parameters()}
    MMFullyShardedDataParallel(model, auto_wrap_policy=["Block", "embedding"])
    materialize(model, torch.device("cpu"))
    empty = unfilled_parameters(model)
    message = ""
    with WholeDraws():
        nn.init.normal_(model.extra)
        try:
            with torch.no_grad():
                model.extra[0].zero_()
        except RuntimeError as raised:
            message = str(raised)
    state = whole_state(model)
    torch.manual_seed(3)
    rows = state["blocks.1.linear.weight"]
    return {
        "before": before,
        "empty": empty,
        "left": unfilled_parameters(model),
        "message": message,
        "distinct": len({tuple(row.tolist()) for row in rows}),
        "extra": len(set(state["extra"].tolist())),
        "padding": state["embedding.weight"][1].tolist(),
        "state": state,
    }


CASES: dict[str, Callable[[int], dict[str, Any]]] = {
    "class name": lambda rank: sharded(rank, auto_wrap_policy="Block"),
    "classes": lambda rank: sharded(rank, auto_wrap_policy=[Block, "first"]),
    "module names": lambda rank: sharded(rank, auto_wrap_policy=("blocks.0", "blocks.2")),
    "container": lambda rank: sharded(rank, auto_wrap_policy="blocks"),
    "size": lambda rank: sharded(rank, auto_wrap_policy=20),
    "function": lambda rank: sharded(rank, auto_wrap_policy="last_blocks"),
    "function config": lambda rank: sharded(
        rank, auto_wrap_policy={"type": "last_blocks", "least": 21}
    ),
    "torch config": lambda rank: sharded(
        rank,
        auto_wrap_policy={
            "type": "transformer_auto_wrap_policy",
            "transformer_layer_cls": ["Block"],
        },
    ),
    "everything": lambda rank: sharded(rank, auto_wrap_policy="always_wrap_policy"),
    "copies": lambda rank: sharded(rank, auto_wrap_policy="Block", mesh=(2, 2)),
    "copies left": lambda rank: sharded(rank, mesh=[-1, 2], reshard_after_forward=False),
    "hybrid": lambda rank: sharded(rank, mesh=(2, 2), sharding_strategy="HYBRID_SHARD"),
    "mesh object": lambda rank: sharded(rank, mesh=init_device_mesh("cpu", (4,))),
    "kept": lambda rank: sharded(rank, auto_wrap_policy="Block", reshard_after_forward=False),
    "offload": lambda rank: sharded(rank, auto_wrap_policy="Block", cpu_offload=True),
    "accumulation": lambda rank: sharded(rank, 2, auto_wrap_policy="Block", mesh=(2, 2)),
    "precision": lambda rank: sharded(
        rank,
        auto_wrap_policy="Block",
        mixed_precision={
            "param_dtype": "bfloat16",
            "reduce_dtype": "float32",
            "output_dtype": "torch.float32",
            "cast_forward_inputs": True,
        },
    ),
    "precision object": lambda rank: sharded(
        rank, mixed_precision=MixedPrecisionPolicy(param_dtype=torch.bfloat16)
    ),
    "own step": own_step,
    "own step accumulation": lambda rank: own_step(rank, 2),
    "sharded own step": lambda rank: sharded(rank, kind=OwnStep, auto_wrap_policy="Block"),
    "sharded own step accumulation": lambda rank: sharded(rank, 2, OwnStep, mesh=(2, 2)),
    "bypassing": bypassing_step,
    "bypassing with equal data": lambda rank: bypassing_step(rank, same_data=True),
    "initialized": initialized,
    "on meta": on_meta,
    "wrong class": lambda rank: error(rank, auto_wrap_policy="Blok"),
    "wrong mesh": lambda rank: error(rank, mesh=(3, 2)),
    "wrong dimensions": lambda rank: error(rank, mesh=4, sharding_strategy="HYBRID_SHARD"),
    "two meanings": lambda rank: error(
        rank, reshard_after_forward=False, sharding_strategy="FULL_SHARD"
    ),
    "mesh and group": lambda rank: error(rank, mesh=4, process_group=distributed.group.WORLD),
    "wrong dtype": lambda rank: error(rank, mixed_precision={"param_dtype": "bfloat61"}),
    "wrong argument": lambda rank: error(rank, reshard_after=True),
    "wrong policy argument": lambda rank: error(
        rank, auto_wrap_policy={"type": "last_blocks", "last": 3}
    ),
}
