"""Activation checkpoints: equal numbers, less memory, and which modules get them."""

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine_config import Config
from engine_registry import FUNCTIONS, STRATEGIES
from engine_runner import Runner, SingleDeviceStrategy, turn_on_activation_checkpointing
from engine_runner._errors import SettingsError
from engine_runner.parts import check_config
from engine_runner.strategies import choose_strategy

CPU = torch.device("cpu")
Settings = Callable[..., dict[str, Any]]


class Block(nn.Module):
    """A layer with statistics and randomness."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout()
        self.seen: Tensor
        self.register_buffer("seen", torch.zeros(1))
        self.runs = 0

    def forward(self, x: Tensor, *, scale: float = 1.0) -> dict[str, Tensor]:
        self.runs += 1
        self.seen = self.seen + 1
        return {"out": self.drop(self.norm(self.conv(x))).relu() * scale * self.seen}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList([Block(1), Block(4)])
        self.head = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 2))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, scale=2.0)["out"]
        scores: Tensor = self.head(x.mean((2, 3)))
        return scores


def _trained(modules: Any) -> Net:
    model = Net()
    if modules is not None:
        turn_on_activation_checkpointing(model, modules)
    torch.manual_seed(1)
    for _ in range(2):
        model(torch.rand(3, 1, 5, 5)).square().sum().backward()
    return model


@pytest.mark.parametrize(
    ("modules", "runs"),
    [
        ("blocks.0", (4, 2)),
        (["blocks.0", "head"], (4, 2)),
        ("blocks", (4, 4)),
        ("Block", (4, 4)),
        (Block, (4, 4)),
        ([nn.BatchNorm2d, "Conv2d", "blocks.1.drop"], (2, 2)),
        (["Block", "blocks.1"], (4, 4)),
    ],
    ids=["name", "list", "modulelist", "class-name", "class", "mixed", "twice"],
)
def test_gradients_and_buffers_are_equal_bit_for_bit(modules: Any, runs: tuple[int, ...]) -> None:
    plain, model = _trained(None), _trained(modules)

    assert list(plain.state_dict()) == list(model.state_dict())
    for one, other in zip(plain.parameters(), model.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad)
    assert all(map(torch.equal, plain.buffers(), model.buffers()))
    assert tuple(block.runs for block in model.blocks) == runs


def test_activations_inside_a_module_are_not_kept() -> None:
    kept = []
    for modules in (None, ["Block"]):
        model = SingleDeviceStrategy(CPU, activation_checkpointing=modules).prepare(Net())
        sizes: list[int] = []

        def pack(tensor: Tensor, sizes: list[int] = sizes) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(torch.rand(3, 1, 16, 16))
        kept.append(sum(sizes))

    assert kept[1] < kept[0] / 2


def test_evaluation_runs_each_module_once() -> None:
    model = Net().eval()
    turn_on_activation_checkpointing(model, "Block")

    with torch.no_grad():
        model(torch.rand(1, 1, 5, 5))

    assert [block.runs for block in model.blocks] == [1, 1]


def test_copy_of_a_model_runs_its_own_weights() -> None:
    model = Net().eval()
    turn_on_activation_checkpointing(model, "Block")
    average = copy.deepcopy(model)
    before = average(torch.ones(1, 1, 5, 5))
    with torch.no_grad():
        for param in model.parameters():
            param.zero_()

    for block in average.modules():
        if isinstance(block, Block):
            block.seen.zero_()

    assert torch.equal(average(torch.ones(1, 1, 5, 5)), before)


def test_forward_set_on_an_instance_is_kept() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].forward = lambda x: x * 3
    turn_on_activation_checkpointing(model, "0")

    assert torch.equal(model(torch.ones(1, 2)), torch.full((1, 2), 3.0))


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ("blocks.2", r"got 'blocks\.2'; did you mean 'blocks\.[01]'"),
        (["Block", "Blok"], "got 'Blok'; did you mean 'Block'"),
        (nn.LSTM, "got 'LSTM'"),
        ([3], "names of modules, names of classes or classes, got 3"),
    ],
    ids=["name", "class-name", "class", "type"],
)
def test_unknown_module_raises_with_the_closest_name(modules: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        turn_on_activation_checkpointing(Net(), modules)


@pytest.mark.parametrize(
    ("modules", "got"),
    [
        ([], r"\[\]"),
        ("", "''"),
        (["0", ""], "''"),
        (False, "False"),
        (3, "3"),
        (int, "<class 'int'>"),
    ],
    ids=["list", "text", "entry", "false", "number", "class"],
)
def test_setting_that_names_nothing_raises_before_the_model_is_built(
    modules: Any, got: str
) -> None:
    for act in (
        lambda: choose_strategy(cfg={"activation_checkpointing": modules}),
        lambda: SingleDeviceStrategy(CPU, activation_checkpointing=modules),
        lambda: turn_on_activation_checkpointing(nn.Sequential(nn.Linear(1, 1)), modules),
    ):
        with pytest.raises(SettingsError, match=f"got {got}; leave it out for none"):
            act()


@FUNCTIONS.register_module(force=True)
def named(module: nn.Module, name: str, *, ending: str = "conv") -> bool:
    return name.endswith(ending)


@pytest.mark.parametrize(
    ("policy", "checkpointed"),
    [
        (lambda module, name: isinstance(module, Block), ["blocks.0", "blocks.1"]),
        (lambda module, name: name == "blocks", ["blocks.0", "blocks.1"]),
        ("named", ["blocks.0.conv", "blocks.1.conv"]),
        ({"type": "named", "ending": "1.norm"}, ["blocks.1.norm"]),
    ],
    ids=["callable", "container", "name", "config"],
)
def test_policy_chooses_the_modules(policy: Any, checkpointed: list[str]) -> None:
    plain, model = _trained(None), _trained(policy)

    found = [name for name, module in model.named_modules() if "forward" in vars(module)]
    assert found == checkpointed
    for one, other in zip(plain.parameters(), model.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad)


def test_policy_that_chooses_nothing_raises() -> None:
    with pytest.raises(SettingsError, match="a policy that returns False for each module of Net"):
        turn_on_activation_checkpointing(Net(), lambda module, name: False)


@pytest.mark.parametrize(
    ("value", "key", "message"),
    [
        ([], "activation_checkpointing", r"got \[\]; leave it out for none"),
        (3, "activation_checkpointing", "names of classes or classes, got 3"),
        ({"type": "name"}, "activation_checkpointing.type", "name of a function in FUNCTIONS"),
        ({"ending": "x"}, "activation_checkpointing", "must have a type"),
        ({"type": "named", "end": "x"}, "activation_checkpointing.end", "'end'"),
    ],
    ids=["list", "number", "unknown", "untyped", "argument"],
)
def test_check_and_run_report_wrong_activation_checkpoints(
    settings: Settings, value: Any, key: str, message: str
) -> None:
    config = Config({**settings(), "activation_checkpointing": value})

    problems = check_config(config, Runner)
    assert key in [problem.key_path for problem in problems]
    assert any(re.search(message, problem.message) for problem in problems)
    with pytest.raises(SettingsError, match=message):
        Runner(**settings(activation_checkpointing=value))


def test_check_reports_activation_checkpoints_beside_those_of_the_strategy(
    settings: Settings,
) -> None:
    strategy = {"type": "SingleDeviceStrategy", "activation_checkpointing": "Linear"}
    config = Config({**settings(), "activation_checkpointing": "Linear", "strategy": strategy})

    (problem,) = check_config(config, Runner)

    assert problem.key_path == "activation_checkpointing"
    assert "must be an argument of the strategy that is given" in problem.message


def test_container_without_modules_raises() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.ModuleList())

    with pytest.raises(SettingsError, match="got '1', which has no module in it"):
        turn_on_activation_checkpointing(model, ["0", "1"])


@pytest.mark.parametrize("place", ["strategy", "cfg"])
def test_run_trains_equally_with_checkpoints(settings: Settings, place: str) -> None:
    def weights(**changes: Any) -> list[Tensor]:
        runner = Runner(**settings(**changes))
        model = runner.train()
        assert ("forward" in vars(model.linear)) == bool(changes)
        return [param.detach() for param in model.parameters()]

    names = {"activation_checkpointing": ["linear", "Dropout"]}
    config = {"type": "SingleDeviceStrategy", **names}
    changed = {"strategy": config} if place == "strategy" else {"cfg": names}

    assert all(map(torch.equal, weights(), weights(**changed)))


def test_config_and_strategy_must_not_both_have_checkpoints() -> None:
    cfg = {"activation_checkpointing": "Linear"}
    given = {"type": "SingleDeviceStrategy", "activation_checkpointing": "Conv2d"}

    for strategy in (SingleDeviceStrategy(CPU), given):
        with pytest.raises(SettingsError, match="must be an argument of the strategy"):
            choose_strategy(strategy=strategy, cfg=cfg)
    built = STRATEGIES.build(given, default_args={"device": CPU})
    assert built.activation_checkpointing == "Conv2d"


def test_backend_that_draws_other_random_numbers_is_an_error() -> None:
    with pytest.raises(SettingsError, match="must not be 'eager' with activation_checkpointing"):
        SingleDeviceStrategy(CPU, compile={"backend": "eager"}, activation_checkpointing="Linear")


# torch's tracer reads this attribute of the tensors that it follows.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_compiled_model_is_equal_with_checkpoints() -> None:
    gradients = []
    for modules in (None, ["0", "BatchNorm1d"]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 1))
        strategy = SingleDeviceStrategy(
            CPU, compile={"backend": "aot_eager"}, activation_checkpointing=modules
        )
        strategy.prepare(model)
        torch.manual_seed(1)
        model(torch.rand(3, 4)).sum().backward()
        gradients.append([param.grad for param in model.parameters()] + list(model.buffers()))

    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))
