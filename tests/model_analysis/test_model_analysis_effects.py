"""An analysis leaves the model and the process as they were."""

import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine_model.analysis import FlopAnalyzer, measure_cost


class Changing(nn.Module):
    """Change all that a forward can change."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.assigned = nn.Parameter(torch.ones(4))
        self.frozen = nn.Dropout().eval()
        self.cache: Tensor
        self.register_buffer("cache", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.linear.weight[0].mul_(2)
            torch._foreach_add_([self.linear.bias], 1.0)
        self.assigned.data = self.assigned.data + 1
        self.cache = self.cache + random.random() + float(np.random.rand())
        self.frozen.train()
        y: Tensor = self.norm(self.linear(x)) * self.assigned
        return y + torch.rand(4)


def test_analysis_leaves_weights_buffers_modes_and_random_state() -> None:
    model = Changing()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    states = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy())  # type: ignore[index]  # the legacy tuple
    assigned, cache = model.assigned, model.cache

    x = torch.arange(12.0).reshape(3, 4)
    FlopAnalyzer(model, x).total()

    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert model.assigned is assigned
    assert model.cache is cache
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert (np.random.get_state()[1] == states[2]).all()  # type: ignore[index]  # as above
    assert model.training
    assert not model.frozen.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_analysis_between_forward_and_backward_keeps_the_graph() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    loss = model(torch.ones(2, 4)).sum()

    FlopAnalyzer(model, torch.ones(2, 4)).total()
    loss.backward()

    assert model[0].weight.grad is not None


def test_tensors_made_by_the_analysis_can_be_trained_with() -> None:
    class Caching(nn.Module):
        """Keep a tensor of the first forward."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.positions: Tensor | None = None

        def forward(self, x: Tensor) -> Tensor:
            if self.positions is None:
                self.positions = torch.ones(4) * 2
            result: Tensor = self.linear(x * self.positions)
            return result

    model = Caching()
    FlopAnalyzer(model, torch.ones(1, 4)).total()

    model(torch.ones(1, 4)).sum().backward()

    assert model.linear.weight.grad is not None


@pytest.mark.filterwarnings("ignore:Sparse")
def test_sparse_buffers_are_kept() -> None:
    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 3)
            self.register_buffer("edges", torch.eye(6).to_sparse())

        def forward(self, x: Tensor) -> Tensor:
            output: Tensor = torch.sparse.mm(self.get_buffer("edges"), self.linear(x))
            return output

    model = Graph()
    assert measure_cost(model, torch.zeros(6, 6))["linear"].flops == 2 * 6 * 6 * 3
    assert torch.equal(model.get_buffer("edges").to_dense(), torch.eye(6))
