"""Graphs: unused parameters, and traced dicts."""

from typing import Any

import pytest
import torch
from torch import nn

from engine_model import detect_anomalous_params, merge_dict


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Linear(2, 2)
        self.unused = nn.Linear(2, 3)
        self.dropped = nn.Linear(2, 1, bias=False)
        self.frozen = nn.Linear(2, 2).requires_grad_(False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.dropped(inputs)  # computed, but it reaches no loss
        outputs: torch.Tensor = self.frozen(self.used(inputs))
        return outputs


def test_unused_parameters_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    model = Branches()
    detect_anomalous_params(model(torch.randn(1, 2)).sum(), model)
    assert [record.getMessage() for record in caplog.records] == [
        "unused.weight with shape (3, 2) is not in the computational graph of the loss",
        "unused.bias with shape (3,) is not in the computational graph of the loss",
        "dropped.weight with shape (1, 2) is not in the computational graph of the loss",
    ]
    assert {record.levelname for record in caplog.records} == {"ERROR"}


def test_a_loss_without_a_graph_logs_every_parameter(caplog: pytest.LogCaptureFixture) -> None:
    detect_anomalous_params(torch.zeros(()), nn.Linear(1, 1))
    assert len(caplog.records) == 2


def test_a_loss_that_is_a_parameter_reaches_it(caplog: pytest.LogCaptureFixture) -> None:
    model = nn.ParameterList([nn.Parameter(torch.zeros(()))])
    detect_anomalous_params(model[0], model)
    assert not caplog.records


def test_dicts_are_merged_into_a_new_one() -> None:
    first = {"a": 1, "b": 2}
    assert merge_dict(first, {"b": 3}, {}) == {"a": 1, "b": 3}
    assert first == {"a": 1, "b": 2}
    assert merge_dict() == {}


def test_merging_traced_dicts_is_one_node() -> None:
    class Model(nn.Module):
        def forward(self, first: Any, inputs: Any) -> Any:
            return merge_dict(first, {"b": inputs * 2})

    traced = torch.fx.symbolic_trace(Model())
    assert [node.target for node in traced.graph.nodes if node.op == "call_function"][-1] is (
        merge_dict
    )
    assert traced({"a": 1, "b": 1}, torch.tensor(3)) == {"a": 1, "b": 6}


def test_merging_dicts_of_traced_values_leaves_no_node() -> None:
    class Model(nn.Module):
        def forward(self, inputs: Any) -> Any:
            return merge_dict({"a": inputs + 1}, {"b": inputs * 2})["b"]

    traced = torch.fx.symbolic_trace(Model())
    assert "merge_dict" not in traced.code
    assert traced(torch.tensor(3)) == 6
