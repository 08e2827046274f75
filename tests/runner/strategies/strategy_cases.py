"""The contract of strategies, which each passes in as many processes as it is for.

A check raises if a strategy does not keep a promise. Loaded by test_strategies.py for one process,
and by run_ranks.py for two.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine_dist import all_gather_object, get_rank, get_world_size
from engine_model import BaseModel, ExponentialMovingAverage, runs_compiled
from engine_model.weights import StateDictError, get_state_dict, weights_to_cpu
from engine_optim import OptimWrapper
from engine_registry import STRATEGIES, RegistryError
from engine_runner import DDPStrategy, FSDPStrategy, SingleDeviceStrategy, Strategy
from engine_runner._errors import SettingsError

CPU = torch.device("cpu")
Make = Callable[..., Strategy]


class Net(BaseModel):
    """Two layers with statistics between them, whose initial weights are random."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.norm: nn.Module = nn.BatchNorm1d(4, affine=False)
        self.second = nn.Linear(4, 1)

    def init_weights(self) -> None:
        for layer in (self.first, self.second):
            nn.init.normal_(layer.weight)

    def forward(self, x: Tensor, mode: str = "tensor") -> Any:
        # Not normalized, as the statistics of a rank are those of its share of the batch.
        outputs = self.second(self.first(x).relu())
        return {"loss": outputs.square().mean()} if mode == "loss" else outputs


class OwnStep(Net):
    """A model with a step of its own."""

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        with optim_wrapper.optim_context(self):
            data = self.data_preprocessor(data, True)
            loss = self(*data).square().mean() * 2
        optim_wrapper.update_params(loss)
        return {"own": loss}


@STRATEGIES.register_module(force=True)
class ScaledDDP(DDPStrategy):
    """A strategy of the user's own: it doubles the weights that it initializes."""

    def initialize(self, model: nn.Module) -> None:
        super().initialize(model)
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(2)


def _error(action: Callable[[], object]) -> str:
    """Return the message of the error that an action raises."""
    try:
        action()
    except (RegistryError, SettingsError, StateDictError) as error:
        return str(error)
    return ""


def _plain_net() -> Net:
    torch.manual_seed(0)
    return Net()


def check_prepare_returns_a_model_with_steps(make: Make) -> None:
    model = _plain_net()
    strategy = make()
    prepared: Any = strategy.prepare(model)
    assert callable(prepared.train_step)
    assert isinstance(strategy.unwrap(prepared), Net)
    assert strategy.unwrap(model) is model


def check_state_has_plain_names_and_whole_tensors(make: Make) -> None:
    expected = _plain_net().state_dict()
    strategy = make()
    state = strategy.model_state(strategy.prepare(_plain_net()))
    assert list(state) == list(expected)
    for name, tensor in expected.items():
        assert type(state[name]) is Tensor, name
        assert state[name].device == CPU
        assert torch.equal(state[name], tensor), name


def check_state_is_loaded_as_it_was_saved(make: Make) -> None:
    strategy = make()
    model = strategy.prepare(_plain_net())
    given = {name: torch.full_like(item, 3) for name, item in Net().state_dict().items()}
    report = strategy.load_model_state(model, given, strict=True)
    assert not any((report.missing, report.unexpected, report.mismatched))
    state = strategy.model_state(model)
    assert all(torch.equal(state[name], given[name]) for name in given)


def check_state_that_does_not_fit_is_reported_and_raises_if_strict(make: Make) -> None:
    strategy = make()
    model = strategy.prepare(_plain_net())
    state = strategy.model_state(model)
    state["third.bias"] = state.pop("first.bias")
    report = strategy.load_model_state(model, state)
    assert (list(report.missing), list(report.unexpected)) == (["first.bias"], ["third.bias"])
    assert "first.bias" in _error(lambda: strategy.load_model_state(model, state, strict=True))


def check_initialize_makes_ranks_equal(make: Make) -> None:
    strategy = make()
    model = strategy.prepare(_plain_net())
    before = strategy.model_state(model)["first.weight"].clone()
    torch.manual_seed(100 + get_rank())
    strategy.initialize(model)
    states = all_gather_object(strategy.model_state(model))
    for name, tensor in states[0].items():
        assert all(torch.equal(state[name], tensor) for state in states), name
    assert not torch.equal(states[0]["first.weight"], before)


def check_training_gives_the_weights_of_one_process(make: Make) -> None:
    batch = torch.linspace(-1, 1, 12).reshape(4, 3)
    alone = _plain_net()
    share = batch[get_rank() :: get_world_size()]
    strategy = make()
    model: Any = strategy.prepare(_plain_net())
    for trained, data in ((alone, batch), (model, share)):
        optimizer = torch.optim.SGD(trained.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            trained.train_step((data,), OptimWrapper(optimizer))
    state = strategy.model_state(model)
    for name, weight in alone.named_parameters():
        torch.testing.assert_close(state[name], weight.detach())


def check_accumulation_and_clipping_give_the_weights_of_one_process(make: Make) -> None:
    batch = torch.linspace(-1, 1, 12).reshape(4, 3)
    alone = _plain_net()
    share = batch[get_rank() :: get_world_size()]
    strategy = make()
    model: Any = strategy.prepare(_plain_net())
    norms = []
    for trained, data in ((alone, batch), (model, share)):
        optimizer = torch.optim.SGD(trained.parameters(), lr=0.1, momentum=0.9)
        update = OptimWrapper(optimizer, accumulative_counts=2, clip_grad={"max_norm": 0.1})
        for step in range(4):
            trained.train_step((data + step,), update)
        assert update.last_grad_norm is not None
        norms.append(update.last_grad_norm)
    state = strategy.model_state(model)
    for name, weight in alone.named_parameters():
        torch.testing.assert_close(state[name], weight.detach())
    torch.testing.assert_close(*norms)


def check_own_step_of_a_model_gives_the_weights_of_one_process(make: Make) -> None:
    batch = torch.linspace(-1, 1, 12).reshape(4, 3)
    share = batch[get_rank() :: get_world_size()]
    torch.manual_seed(0)
    alone = OwnStep()
    torch.manual_seed(0)
    strategy = make()
    model: Any = strategy.prepare(OwnStep())
    for trained, data in ((alone, batch), (model, share)):
        optimizer = torch.optim.SGD(trained.parameters(), lr=0.1)
        update = OptimWrapper(optimizer, accumulative_counts=2)
        logs = [trained.train_step((data + step,), update) for step in range(4)]
        assert list(logs[0]) == ["own"]
    state = strategy.model_state(model)
    for name, weight in alone.named_parameters():
        torch.testing.assert_close(state[name], weight.detach())


def check_average_follows_the_weights(make: Make) -> None:
    strategy = make()
    model: Any = strategy.prepare(_plain_net())
    average = ExponentialMovingAverage(strategy.unwrap(model), momentum=0.5)
    before = strategy.model_state(model)["second.weight"].clone()
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1.0))
    average.update_parameters(strategy.unwrap(model))
    model.train_step((torch.ones(2, 3),), optimizer)
    average.update_parameters(strategy.unwrap(model))
    after = strategy.model_state(model)["second.weight"]
    state = weights_to_cpu(get_state_dict(average.module))
    torch.testing.assert_close(state["second.weight"], (before + after) / 2)


def check_predictions_are_those_of_one_process(make: Make) -> None:
    batch = torch.linspace(-1, 1, 12).reshape(4, 3)
    alone = _plain_net().eval()
    model: Any = make().prepare(_plain_net()).eval()
    with torch.no_grad():
        torch.testing.assert_close(model.val_step((batch,)), alone.val_step((batch,)))


def check_initial_weights_are_those_of_one_process(make: Make) -> None:
    strategy = make()
    model = strategy.prepare(_plain_net())
    torch.manual_seed(3)
    strategy.initialize(model)
    torch.manual_seed(3)
    alone = Net()
    torch.manual_seed(3)
    alone.init_weights()
    factor = 2 if isinstance(strategy, ScaledDDP) else 1
    state = strategy.model_state(model)
    for name in ("first.weight", "second.weight"):
        assert torch.equal(state[name], alone.get_parameter(name) * factor), name


def check_policy_chooses_activation_checkpoints(make: Make) -> None:
    strategy = make(activation_checkpointing=lambda module, name: name == "second")
    inner: Any = strategy.unwrap(strategy.prepare(_plain_net()))
    assert ["forward" in vars(one) for one in (inner.first, inner.second)] == [False, True]


def check_compiled_model_keeps_its_names_and_trains(make: Make) -> None:
    states = []
    torch.compiler.reset()  # the compiler gives up a function after eight versions of it
    for target in (None, "model", "step", ["first"]):
        graphs: list[Any] = []

        def backend(graph: Any, inputs: Any, graphs: list[Any] = graphs) -> Any:
            graphs.append(graph)
            return graph

        options = {"backend": backend, "target": target}
        strategy = make(compile=False if target is None else options)
        model: Any = strategy.prepare(_plain_net())
        before = strategy.model_state(model)["second.bias"].clone()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model.train_step((torch.ones(2, 3),), OptimWrapper(optimizer))
        assert bool(graphs) == (target is not None), target
        model.val_step((torch.ones(2, 3),))
        states.append(strategy.model_state(model))
        assert runs_compiled(model) == (target is not None)
        assert not torch.equal(states[-1]["second.bias"], before)
    for state in states:
        assert list(state) == list(Net().state_dict())
        for name, weight in states[0].items():
            torch.testing.assert_close(state[name], weight)


def check_activation_checkpoints_change_no_weight(make: Make) -> None:
    states = []
    chosen = ["first", "BatchNorm1d", nn.Linear]
    for compile, modules in ((False, None), (False, chosen), ({"backend": "aot_eager"}, chosen)):
        strategy = make(activation_checkpointing=modules, compile=compile)
        model: Any = strategy.prepare(_plain_net())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        torch.manual_seed(1)
        for _ in range(3):
            model.train_step((torch.rand(4, 3),), OptimWrapper(optimizer))
        states.append(strategy.model_state(model))
    for state in states[1:]:
        assert list(state) == list(states[0])
        assert all(torch.equal(state[name], tensor) for name, tensor in states[0].items())


def check_sync_bn_replaces_batch_normalization(make: Make) -> None:
    strategy = make(sync_bn="torch")
    model = _plain_net()
    if isinstance(strategy, DDPStrategy):  # PyTorch's wrapper takes such layers on GPUs only
        assert "SyncBatchNorm" in _error(lambda: strategy.prepare(model))
    else:
        strategy.prepare(model)
    alone = isinstance(strategy, SingleDeviceStrategy)  # it has nothing to synchronize
    assert isinstance(model.norm, nn.SyncBatchNorm) != alone
    assert list(model.state_dict()) == list(Net().state_dict())


CHECKS = {
    name.removeprefix("check_"): check
    for name, check in list(globals().items())
    if name.startswith("check_")
}
KINDS: dict[str, Callable[..., Strategy]] = {
    "ddp": DDPStrategy,
    "fsdp": FSDPStrategy,
    "fsdp-units": partial(FSDPStrategy, auto_wrap_policy="Linear", reshard_after_forward=True),
    "fsdp-copies": partial(FSDPStrategy, mesh=(2, 1), auto_wrap_policy=["first"]),
    "user": ScaledDDP,
}


def _contract(
    kind: Callable[..., Strategy], check: Callable[[Make], None]
) -> Callable[[int, Path], str]:
    def case(rank: int, folder: Path) -> str:
        check(lambda **options: kind(CPU, **options))
        return "passed"

    return case


def single_device(rank: int, folder: Path) -> str:
    """Return the error of a strategy for one process."""
    return _error(lambda: SingleDeviceStrategy(CPU).prepare(Net()))


CASES: dict[str, Callable[[int, Path], Any]] = {
    **{
        f"{kind} {name}": _contract(strategy, check)
        for kind, strategy in KINDS.items()
        for name, check in CHECKS.items()
    },
    "single_device": single_device,
}
