"""Run by test_optim_wrapper_distributed: windows of accumulation under DistributedDataParallel."""

import sys
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from engine_optim import AmpOptimWrapper, OptimWrapper

rank, world_size, init_method = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
dist.init_process_group("gloo", init_method=init_method, rank=rank, world_size=world_size)


class Counting(DistributedDataParallel):
    """Counts the forward passes whose gradients are not exchanged."""

    silent = 0

    @contextmanager
    def no_sync(self) -> Any:
        self.silent += 1
        with super().no_sync():
            yield


def train(wrapper_type: Any, **options: Any) -> tuple[nn.Linear, Counting]:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    ddp = Counting(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapper = wrapper_type(optimizer=optimizer, accumulative_counts=3, **options)
    wrapper.initialize_count_status(ddp, 0, 8)
    for step in range(8):
        data = torch.arange(6.0).reshape(2, 3) / 10 + step + rank
        with wrapper.optim_context(ddp):
            loss = ddp(data).float().square().mean() / 100
            wrapper.update_params(loss)
    return model, ddp


def expected() -> nn.Linear:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for window in ([0, 1, 2], [3, 4, 5], [6, 7]):
        optimizer.zero_grad()
        for step in window:
            for other in range(world_size):
                data = torch.arange(6.0).reshape(2, 3) / 10 + step + other
                loss = model(data).square().mean() / 100
                (loss / len(window) / world_size).backward()
        optimizer.step()
    return model


model, ddp = train(OptimWrapper)
assert ddp.silent == 5, ddp.silent
torch.testing.assert_close(model.weight, expected().weight)

model, ddp = train(AmpOptimWrapper, dtype="bfloat16")
assert ddp.silent == 5, ddp.silent
torch.testing.assert_close(model.weight, expected().weight, rtol=0.05, atol=0.02)

# The norm of sharded gradients is that of the whole, on every rank, and a plain tensor.
torch.manual_seed(1)
whole, sharded = nn.Linear(6, 4), nn.Linear(6, 4)
sharded.load_state_dict(whole.state_dict())
fully_shard(sharded, mesh=init_device_mesh("cpu", (world_size,)))
norms = []
for module in (whole, sharded):
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    wrapper = OptimWrapper(optimizer, clip_grad={"max_norm": 0.01})
    wrapper.update_params(module(torch.ones(2, 6)).square().mean())
    assert wrapper.last_grad_norm is not None
    norms.append(float(wrapper.last_grad_norm))
assert abs(norms[0] - norms[1]) < 1e-5, norms
assert type(wrapper.last_grad_norm) is torch.Tensor
dist.destroy_process_group()
