"""PretrainedInit: weights from a file overwrite all others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from engine_model import BaseModule, PretrainedInit
from engine_registry import WEIGHT_INITIALIZERS


class Net(BaseModule):
    def __init__(self, init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.backbone = BaseModule({"type": "Constant", "layer": "Linear", "val": 5})
        self.backbone.linear = nn.Linear(1, 1)
        self.head = nn.Linear(1, 1)


@pytest.fixture
def file(tmp_path: Path) -> str:
    net = Net()
    for number, parameter in enumerate(net.parameters(), start=1):
        nn.init.constant_(parameter, number)
    path = tmp_path / "pretrained.pth"
    torch.save(net.state_dict(), path)
    return str(path)


def values(net: nn.Module) -> list[float]:
    return [parameter.item() for parameter in net.parameters()]


def test_pretrained_weights_are_loaded_and_logged(
    file: str, init_log: Callable[[], list[str]]
) -> None:
    net = Net({"type": "Pretrained", "checkpoint": file})
    net.init_weights()
    assert values(net) == [1, 2, 3, 4]
    lines = init_log()
    assert lines[0] == f"load model from: {file}"
    assert lines[-1] == (f"\nhead.bias - torch.Size([1]): \nPretrainedInit: load from {file} \n")


@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
def test_pretrained_weights_overwrite_all_others(file: str, first: bool) -> None:
    cfgs: list[dict[str, Any]] = [{"type": "Constant", "layer": "Linear", "val": 9}]
    cfgs.insert(0 if first else 1, {"type": PretrainedInit, "checkpoint": file})
    net = Net(cfgs)
    net.init_weights()
    assert values(net) == [1, 2, 3, 4]


def test_a_prefix_loads_one_part(file: str, init_log: Callable[[], list[str]]) -> None:
    part = BaseModule({"type": "Pretrained", "checkpoint": file, "prefix": "backbone."})
    part.linear = nn.Linear(1, 1)
    part.init_weights()
    assert values(part) == [1, 2]
    assert init_log()[0] == f"load backbone. in model from: {file}"


def test_an_override_loads_into_a_sub_module(file: str) -> None:
    override = {"type": "Pretrained", "name": "head", "checkpoint": file, "prefix": "head"}
    net = Net({"type": "Constant", "layer": "Linear", "val": 9, "override": override})
    net.init_weights()
    assert values(net) == [5, 0, 3, 4]


def test_weights_that_do_not_fit_are_logged(file: str, caplog: pytest.LogCaptureFixture) -> None:
    other = nn.ModuleDict({"head": nn.Linear(1, 1), "neck": nn.Linear(1, 1)})
    WEIGHT_INITIALIZERS.build({"type": "Pretrained", "checkpoint": file})(other)
    assert "neck.weight" in caplog.text
    assert "backbone.linear.weight" in caplog.text
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_a_missing_file_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        PretrainedInit(str(tmp_path / "absent.pth"))(nn.Linear(1, 1))
