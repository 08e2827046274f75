"""Each strategy keeps the contract of strategy_cases.py, and is reached by name, dict or object."""

import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from engine_config import Config
from engine_model import BaseModel
from engine_registry import STRATEGIES
from engine_runner import DDPStrategy, FSDPStrategy, Runner, SingleDeviceStrategy, Strategy
from engine_runner._errors import SettingsError
from engine_runner.parts import check_config
from engine_runner.strategies import choose_strategy
from engine_runner.strategies._compile import Compilation

CPU = torch.device("cpu")
CASES_FILE = Path(__file__).with_name("strategy_cases.py")
CHECKS = re.findall(r"^def check_(\w+)", CASES_FILE.read_text(), flags=re.M)

MakeRunner = Callable[..., Runner]
RankResults = dict[str, list[dict[str, Any]]]


@pytest.mark.parametrize("check", CHECKS)
def test_single_device_strategy_keeps_the_contract(check: str) -> None:
    run = runpy.run_path(str(CASES_FILE))["CHECKS"][check]

    run(lambda **options: SingleDeviceStrategy(CPU, **options))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", ["ddp", "fsdp", "fsdp-units", "fsdp-copies", "user"])
def test_strategy_of_two_ranks_keeps_the_contract(
    rank_results: RankResults, kind: str, check: str
) -> None:
    for results in rank_results["strategy_cases.py"]:
        assert results[f"{kind} {check}"] == "passed"


def test_lazy_model_raises_before_a_run_is_made(make_runner: MakeRunner) -> None:
    class Lazy(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.LazyLinear(1)

        def forward(self, x: torch.Tensor, y: torch.Tensor, mode: str = "loss") -> Any:
            outputs = self.head(x)
            return {"loss": (outputs - y).square().mean()} if mode == "loss" else (outputs, y)

    with pytest.raises(ValueError, match=r"uninitialized LazyLinear 'head'; call the model once"):
        make_runner(model=Lazy())

    model = Lazy()
    model(torch.ones(1, 1), torch.ones(1, 1))
    before = model.head.weight.detach().clone()
    make_runner(model=model).train()
    assert not torch.equal(model.head.weight, before)


def test_ranks_choose_the_strategy_that_is_given(rank_results: RankResults) -> None:
    for results in rank_results["strategy_run_cases.py"]:
        assert results["choose"] == {
            "none": "DDPStrategy MMDistributedDataParallel",
            "name": "FSDPStrategy MMFullyShardedDataParallel",
            "config": "DDPStrategy MMSeparateDistributedDataParallel",
            "object": "DDPStrategy MMDistributedDataParallel",
            "user": "OtherDDP MMDistributedDataParallel",
        }
        assert results["model_name"] == {"DDPStrategy": "Tokens", "FSDPStrategy": "Tokens"}


@pytest.mark.parametrize("name", ["units", "copies", "checkpoints"])
def test_sharded_run_with_all_features_is_that_of_ddp(rank_results: RankResults, name: str) -> None:
    for results in rank_results["strategy_run_cases.py"]:
        assert isinstance(results["features"], dict), results["features"]
        assert results["features"][name]["equal"]
        assert results["features"][name] == results["features"]["ddp"]


def test_model_on_meta_is_trained_filled_or_refused(rank_results: RankResults) -> None:
    for results in rank_results["strategy_run_cases.py"]:
        found = results["on_meta"]
        assert isinstance(found, dict), found
        assert (found["filled"], found["loaded"], found["finite"], found["rows"]) == (
            *("", ""),
            *(True, 4),
        )
        assert "got no values for 'scale'; give its module a reset_parameters" in found["empty"]
        assert "build_on_meta must be False with a model that is built" in found["object"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mesh": (2, 2, 2)}, "mesh must be a DeviceMesh or one or two integers"),
        ({"mixed_precision": {"param_dtype": "bf16"}}, "param_dtype of mixed_precision must be"),
        ({"sharding_strategy": "HYBRID"}, "sharding_strategy must be one of .*got 'HYBRID'"),
        (
            {"cpu_offload": True, "model_wrapper": {"cpu_offload": False}},
            "cpu_offload must be set once, got True in the strategy and False",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_wrong_argument_of_sharding_raises_and_is_found_by_the_check(
    settings: Callable[..., dict[str, Any]], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        FSDPStrategy(CPU, **options)

    config = Config({**settings(), "strategy": {"type": "FSDPStrategy", **options}})
    problems = [problem.message for problem in check_config(config, Runner)]
    assert any(re.search(message, problem) for problem in problems), problems


def test_single_device_strategy_raises_on_several_ranks(rank_results: RankResults) -> None:
    for results in rank_results["strategy_cases.py"]:
        assert "is for one process, got 2; use DDPStrategy or FSDP" in results["single_device"]


@pytest.mark.parametrize("kind", [DDPStrategy, FSDPStrategy])
def test_strategy_for_ranks_raises_without_a_process_group(
    kind: Callable[[torch.device], Strategy],
) -> None:
    with pytest.raises(SettingsError, match=r"needs a process group; .*torchrun"):
        kind(CPU).prepare(nn.Linear(1, 1))


class Recorded(SingleDeviceStrategy):
    """A strategy that counts its work."""

    def __init__(self, device: torch.device, *, note: str = "", **options: Any) -> None:
        super().__init__(device, **options)
        self.note = note
        self.calls: list[str] = []

    def wrap(self, model: nn.Module) -> nn.Module:
        self.calls.append("wrap")
        return super().wrap(model)

    def model_state(
        self, model: nn.Module, *, whole: bool = True, on_cpu: bool = True
    ) -> dict[str, Any]:
        self.calls.append("save")
        return super().model_state(model, whole=whole, on_cpu=on_cpu)


@pytest.mark.parametrize("given", ["Recorded", {"type": "Recorded", "note": "kept"}], ids=str)
@pytest.mark.parametrize("in_config", [False, True], ids=["argument", "config"])
def test_strategy_of_the_user_places_and_saves(
    settings: Callable[..., dict[str, Any]], given: Any, in_config: bool
) -> None:
    STRATEGIES.register_module(module=Recorded)
    arguments = settings(strategy=given)

    runner = Runner.from_cfg(arguments) if in_config else Runner(**arguments)
    runner.train()

    strategy = runner.strategy
    assert isinstance(strategy, Recorded)
    assert strategy.note == ("kept" if isinstance(given, dict) else "")
    assert strategy.calls == ["wrap", "save", "save", "save"]
    assert strategy.device.type == runner.model.linear.weight.device.type


def test_strategy_object_is_used_as_it_is(make_runner: MakeRunner) -> None:
    strategy = SingleDeviceStrategy(CPU, compile={"backend": "eager"})

    runner = make_runner(strategy=strategy)

    assert runner.strategy is strategy
    assert runner.model._compiled_call_impl is not None


def test_compile_reaches_a_strategy_given_by_name(make_runner: MakeRunner) -> None:
    runner = make_runner(strategy="SingleDeviceStrategy", compile={"backend": "eager"})

    assert runner.strategy.compilation == Compilation(target="model", options={"backend": "eager"})


@pytest.mark.parametrize(
    "other", [{"model_wrapper_cfg": {"type": "MMDistributedDataParallel"}}, {"sync_bn": "torch"}]
)
def test_strategy_beside_a_setting_of_its_own_raises(
    make_runner: MakeRunner, other: dict[str, Any]
) -> None:
    with pytest.raises(SettingsError, match=r"are both set; give the strategy its own"):
        make_runner(strategy="DDPStrategy", **other)


@pytest.mark.parametrize("given", ["arguments", "config"])
def test_chosen_strategy_beside_a_setting_of_its_own_raises(given: str) -> None:
    settings = {"strategy": "SingleDeviceStrategy", "sync_bn": "torch"}
    arguments: Any = settings if given == "arguments" else {"cfg": settings}

    with pytest.raises(SettingsError, match="sync_bn and strategy are both set"):
        choose_strategy(**arguments)


def test_strategy_object_beside_a_setting_that_it_ignores_raises(make_runner: MakeRunner) -> None:
    with pytest.raises(SettingsError, match=r"are both set"):
        make_runner(strategy=SingleDeviceStrategy(CPU), sync_bn="torch")


def test_compile_of_the_strategy_beside_the_setting_raises(make_runner: MakeRunner) -> None:
    strategy = {"type": "SingleDeviceStrategy", "compile": {"target": "step"}}

    with pytest.raises(SettingsError, match="compile and strategy are both set"):
        make_runner(strategy=strategy, compile=True)


def test_strategy_object_beside_compile_raises(make_runner: MakeRunner) -> None:
    with pytest.raises(SettingsError, match="compile and strategy are both set"):
        make_runner(strategy=SingleDeviceStrategy(CPU), compile=True)


def test_synchronized_norm_in_one_process_becomes_plain_with_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="engine.runner")
    model: Any = nn.Sequential(nn.Conv2d(1, 2, 1), nn.SyncBatchNorm(2))

    model = SingleDeviceStrategy(CPU).prepare(model)

    assert isinstance(model[1], nn.modules.batchnorm._BatchNorm)
    assert not isinstance(model[1], nn.SyncBatchNorm)
    assert model(torch.ones(2, 1, 3, 3)).shape == (2, 2, 3, 3)
    assert "SyncBatchNorm is replaced by BatchNorm, since this run has one process." in caplog.text
