"""A model that `torch.compile` returned, or with such a part, has the names of the plain model."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from engine_model import (
    BaseModel,
    ExponentialMovingAverage,
    PretrainedInit,
    convert_sync_batchnorm,
    get_state_dict,
    load_checkpoint,
    load_checkpoint_with_prefix,
    load_state_dict,
    weights_under,
)
from engine_model.analysis import get_model_complexity_info, parameter_count
from engine_optim import build_optim_wrapper, param_table
from engine_runner import Runner

# torch's tracer reads this attribute of the tensors that it follows.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
runs: list[GraphModule] = []


def counted(graph: GraphModule, _inputs: list[Tensor]) -> Callable[..., Any]:
    """Compile nothing, and record each run of a graph: a backend of `torch.compile`."""

    def run(*arguments: Any) -> Any:
        runs.append(graph)
        return graph.forward(*arguments)

    return run


def compiled(module: nn.Module) -> Any:
    """Return the module as `torch.compile` returns it, without starting a compiler."""
    return torch.compile(module, backend=counted)


class Net(BaseModel):
    """Two layers with an initial value each, the second with a batch normalization."""

    def __init__(self, *, compiles_head: bool = False) -> None:
        init = [
            {"type": "Constant", "layer": "Linear", "val": 0.5},
            {"type": "Constant", "val": 2.0, "override": {"name": "head.0"}},
        ]
        super().__init__(init_cfg=init)
        self.stem = nn.Linear(1, 2)
        self.head: nn.Module = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
        if compiles_head:
            self.head = compiled(self.head)

    def forward(self, x: Tensor, y: Tensor | None = None, mode: str = "tensor") -> Any:
        predicted = self.head(self.stem(x))
        return {"loss": (predicted - y).square().mean()} if mode == "loss" else predicted


_KINDS = {
    "model": lambda: compiled(Net()),
    "part": lambda: Net(compiles_head=True),
    "both": lambda: compiled(Net(compiles_head=True)),
}


@pytest.fixture(params=_KINDS.values(), ids=list(_KINDS))
def net(request: pytest.FixtureRequest) -> Iterator[Any]:
    runs.clear()
    torch.compiler.reset()
    yield request.param()
    torch.compiler.reset()


def value_of(tensor: Any) -> float:
    """Return the value that all elements of a tensor have."""
    value, *others = set(tensor.flatten().tolist())
    assert not others
    return float(value)


def filled(value: float) -> Net:
    """Return a plain model whose parameters all have one value."""
    model = Net()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
    return model


def test_weights_have_the_names_of_the_plain_model_both_ways(net: Any) -> None:
    assert list(get_state_dict(net)) == list(Net().state_dict())
    assert load_state_dict(net, filled(3.0).state_dict()).fits
    assert {value_of(parameter) for parameter in net.parameters()} == {3.0}
    plain = Net()
    assert load_state_dict(plain, get_state_dict(net)).fits
    assert value_of(plain.stem.weight) == 3.0


def test_weights_that_torch_saved_from_a_compiled_model_load(net: Any, tmp_path: Path) -> None:
    load_state_dict(net, filled(3.0).state_dict())
    path = tmp_path / "compiled.pth"
    weights: Any = OrderedDict(("module." + k, v) for k, v in net.state_dict().items())
    torch.save({"state_dict": weights}, path)
    plain, stem = Net(), nn.Linear(1, 2)
    other: Any = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))

    load_checkpoint(plain, path)
    load_state_dict(stem, load_checkpoint_with_prefix(path, "stem"))
    PretrainedInit(str(path), prefix="head")(other)

    assert value_of(plain.stem.weight) == value_of(stem.weight) == 3.0
    assert value_of(other[0].weight) == 3.0
    assert list(weights_under(net.state_dict(), "head.0")) == ["weight", "bias"]


def test_init_weights_initializes_and_logs_plain_names(
    net: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        net.init_weights()
    plain = Net()
    load_state_dict(plain, get_state_dict(net))
    assert value_of(plain.stem.weight) == 0.5
    assert value_of(plain.get_parameter("head.0.weight")) == 2.0
    assert "\nhead.0.weight - " in caplog.text
    assert "_orig_mod" not in caplog.text
    assert "OptimizedModule" not in caplog.text


def test_an_average_has_plain_names_and_the_same_values(net: Any) -> None:
    average = ExponentialMovingAverage(net, momentum=0.5)
    load_state_dict(net, filled(1.0).state_dict())
    average.update_parameters(net)
    load_state_dict(net, filled(3.0).state_dict())
    average.update_parameters(net)
    assert list(average.module.state_dict()) == list(Net().state_dict())
    assert {value_of(parameter) for parameter in average.parameters()} == {2.0}
    assert "_orig_mod" not in "".join(average.state_dict())
    net.eval()
    average.eval()(torch.ones(2, 1))


def test_options_per_parameter_match_plain_names(
    net: Any, caplog: pytest.LogCaptureFixture
) -> None:
    keys = {"head.0": {"lr_mult": 0.1}, "stem.weight": {"decay_mult": 0.0}}
    paramwise = {"custom_keys": keys, "norm_decay_mult": 0.5}
    config = {"optimizer": {"type": "SGD", "lr": 1.0, "weight_decay": 0.2}}
    table = param_table(net, build_optim_wrapper(net, {**config, "paramwise_cfg": paramwise}))
    assert [row.name for row in table.rows] == [name for name, _ in Net().named_parameters()]
    options = {row.name: row.options for row in table.rows}
    assert options["head.0.weight"]["lr"] == pytest.approx(0.1)
    assert options["stem.weight"]["weight_decay"] == 0.0
    assert options["head.1.weight"]["weight_decay"] == pytest.approx(0.1)
    assert "matches no parameter" not in caplog.text


def test_tables_count_the_plain_model(net: Any) -> None:
    plain = Net()
    assert parameter_count(net) == parameter_count(plain)
    inputs = torch.ones(2, 1)
    found, expected = (get_model_complexity_info(m, inputs=inputs) for m in (net, plain))
    assert found["out_table"] == expected["out_table"]
    assert found["flops"] == expected["flops"] > 0
    assert runs == []
    net(inputs)
    assert runs  # compiled again


def test_batch_norms_of_compiled_parts_are_converted() -> None:
    layers = nn.Sequential(compiled(nn.BatchNorm1d(2)), compiled(nn.Sequential(nn.BatchNorm1d(2))))
    converted = convert_sync_batchnorm(layers)
    kinds = [type(m) for m in converted.modules() if not list(m.children())]
    assert kinds == [nn.SyncBatchNorm] * 2
    assert next(iter(get_state_dict(converted))) == "0.weight"


def test_a_run_trains_the_compiled_code_saves_and_resumes(
    net: Any, toy_run: Callable[..., Runner], tmp_path: Path
) -> None:
    runner = toy_run(model=net)
    runner.train()
    assert runs
    path = tmp_path / "work" / "epoch_2.pth"
    saved = torch.load(path, weights_only=True)["state_dict"]
    assert list(saved) == list(Net().state_dict())
    assert load_state_dict(Net(), saved).fits

    longer = {"by_epoch": True, "max_epochs": 3}
    resumed = toy_run(model=Net(compiles_head=True), resume=True, train_cfg=longer)
    resumed.train()
    assert resumed.iter == 12
    started = toy_run(
        model=compiled(Net()),
        load_from=str(path),
        work_dir=str(tmp_path / "other"),
        train_cfg={"by_epoch": True, "max_epochs": 1},
    )
    started.train()
    assert started.load_report is not None
    assert started.load_report.fits


def test_compile_in_the_config_alone_acts(toy_run: Callable[..., Runner]) -> None:
    torch.compiler.reset()

    runner = toy_run(cfg={"compile": {"backend": "eager"}})

    assert runner.model._compiled_call_impl is not None
    runner.train()
    assert list(runner.model.state_dict()) == ["linear.weight", "linear.bias"]
    torch.compiler.reset()
