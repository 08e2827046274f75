"""The contract of strategies, which each passes in as many processes as it is for.

A check raises if a strategy does not keep a promise. Loaded by test_strategies.py for one process,
and by run_ranks.py for two.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine_dist import all_gather_object, get_rank, get_world_size
from engine_model import BaseModel, runs_compiled
from engine_model.weights import StateDictError
from engine_optim import OptimWrapper
from engine_registry import STRATEGIES, RegistryError
from engine_runner import DDPStrategy, FSDPStrategy, Runner, SingleDeviceStrategy, Strategy
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


def check_compiled_model_keeps_its_names_and_trains(make: Make) -> None:
    states = []
    for target in (None, "model", "step", ["first"]):
        options = {"backend": "eager", "target": target}
        strategy = make(compile=False if target is None else options)
        model: Any = strategy.prepare(_plain_net())
        before = strategy.model_state(model)["second.bias"].clone()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model.train_step((torch.ones(2, 3),), OptimWrapper(optimizer))
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
    for compile in (False, {"backend": "aot_eager"}):
        for modules in (None, ["first", "BatchNorm1d", nn.Linear]):
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
KINDS: dict[str, type[Strategy]] = {"ddp": DDPStrategy, "fsdp": FSDPStrategy, "user": ScaledDDP}
RUN = {
    "train_dataloader": {
        "dataset": [(torch.ones(3),) for _ in range(4)],
        "sampler": {"type": "DefaultSampler"},
        "collate_fn": {"type": "default_collate"},
        "batch_size": 2,
    },
    "train_cfg": {"by_epoch": True, "max_epochs": 1},
    "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}},
    "launcher": "pytorch",
}


def _contract(kind: type[Strategy], check: Callable[[Make], None]) -> Callable[[int, Path], str]:
    def case(rank: int, folder: Path) -> str:
        check(lambda **options: kind(CPU, **options))
        return "passed"

    return case


def choose(rank: int, folder: Path) -> dict[str, str]:
    """Return the class and the wrapper that each value of ``strategy`` leads to."""
    given: dict[str, Any] = {
        "none": None,
        "name": "FSDPStrategy",
        "config": {"type": "DDPStrategy", "model_wrapper": "MMSeparateDistributedDataParallel"},
        "object": DDPStrategy(CPU),
        "user": {"type": "ScaledDDP"},
    }
    found = {}
    for name, strategy in given.items():
        cfg = {"model": Net(), "work_dir": str(folder / name), "strategy": strategy, **RUN}
        runner = Runner.from_cfg(cfg) if name == "config" else Runner(**cfg)
        if name != "config":  # its wrapper needs a mapping of optimizers
            runner.train()
        found[name] = f"{type(runner.strategy).__name__} {type(runner.model).__name__}"
    return found


def model_name(rank: int, folder: Path) -> dict[str, str]:
    """Return the name of the model in each wrapper."""
    found = {}
    for name in ("DDPStrategy", "FSDPStrategy"):
        cfg: dict[str, Any] = {"work_dir": str(folder / name), "strategy": name, **RUN}
        found[name] = Runner(model=Net(), **cfg).model_name
    return found


class OwnStep(Net):
    """A model with a step of its own."""

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        return {"loss": self(*data).sum()}


def own_step(rank: int, folder: Path) -> list[str]:
    """Return what is logged of a model with its own step, and of one without."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]  # a handler for one test
    logger = logging.getLogger("engine.runner")
    logger.addHandler(handler)
    for strategy in (DDPStrategy(CPU), FSDPStrategy(CPU)):
        for net in (Net(), OwnStep()):
            strategy.prepare(net)
    DDPStrategy(CPU, "MMSeparateDistributedDataParallel").prepare(OwnStep())
    logger.removeHandler(handler)
    return [line.partition(" trains with")[0] for line in lines if "train_step" in line]


def single_device(rank: int, folder: Path) -> str:
    """Return the error of a strategy for one process."""
    return _error(lambda: SingleDeviceStrategy(CPU).prepare(Net()))


CASES: dict[str, Callable[[int, Path], Any]] = {
    **{
        f"{kind} {name}": _contract(strategy, check)
        for kind, strategy in KINDS.items()
        for name, check in CHECKS.items()
    },
    "choose": choose,
    "model_name": model_name,
    "own_step": own_step,
    "single_device": single_device,
}
