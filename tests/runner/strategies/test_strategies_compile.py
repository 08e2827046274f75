"""compile: what is compiled, names of weights, and the report of the compiler's work."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runner.conftest import Line
from torch import Tensor, nn

from engine_model import BaseModel, compile_step, runs_compiled
from engine_optim import OptimWrapper
from engine_runner import Runner
from engine_runner._errors import SettingsError
from engine_runner.strategies import SingleDeviceStrategy

MakeRunner = Callable[..., Runner]
CPU = torch.device("cpu")
TARGETS: dict[str, Any] = {
    "model": True,
    "forward": {"target": "forward"},
    "step": {"target": "step"},
    "train_step": {"target": "train_step"},
    "modules": {"target": ["body.0", "body.2"]},
    "one module": {"target": "body.0"},
}

# The compiler reads ``grad`` of each input of a module.
reads_grad = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Any:
    yield
    torch.compiler.reset()


class Net(BaseModel):
    """A model with a preprocessor, and an overridable break of its graph."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1))

    def forward(self, inputs: Tensor, targets: Tensor, mode: str = "tensor") -> Any:
        outputs = self.body(inputs)
        if mode == "loss":
            return {"loss": (outputs - targets).square().mean()}
        return [outputs, targets]


class OwnStep(Net):
    """A model with a training step of its own."""

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        return super().train_step(data, optim_wrapper)


class Breaks(Net):
    """A model whose graph breaks in two."""

    def forward(self, inputs: Tensor, targets: Tensor, mode: str = "tensor") -> Any:
        torch._dynamo.graph_break()
        return super().forward(inputs, targets, mode)


def _settings(compile: Any) -> Any:
    """Return a setting with a backend that needs no C++ compiler."""
    if compile is True:
        return {"backend": "aot_eager"}
    return {**compile, "backend": "aot_eager"}


def _trained(compile: Any) -> tuple[dict[str, Tensor], nn.Module]:
    torch.manual_seed(0)
    strategy = SingleDeviceStrategy(CPU, compile=compile)
    model: Any = strategy.prepare(Net())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapper = OptimWrapper(optimizer)
    for _ in range(3):
        model.train_step([torch.ones(2, 1), torch.ones(2, 1)], wrapper)
    model.val_step([torch.ones(2, 1), torch.ones(2, 1)])
    return strategy.model_state(model), model


def _uneven_batches() -> dict[str, Any]:
    sampler = {"type": "DefaultSampler", "shuffle": False}
    collate = {"type": "default_collate"}
    return {"dataset": Line(), "sampler": sampler, "collate_fn": collate, "batch_size": 5}


def _log(runner: Runner) -> str:
    return Path(runner.log_dir, f"{runner.timestamp}.log").read_text(encoding="utf-8")


@reads_grad
@pytest.mark.parametrize("target", TARGETS)
def test_compile_trains_to_the_weights_of_the_plain_model(target: str) -> None:
    plain, _ = _trained(False)

    compiled, model = _trained(_settings(TARGETS[target]))

    assert runs_compiled(model)
    assert list(compiled) == list(plain)
    for name, value in plain.items():
        torch.testing.assert_close(compiled[name], value)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        pytest.param("bdy.0", "name modules of Net, got 'bdy.0'; did you mean", id="unknown"),
        pytest.param(["nothing"], "it has the classes Net, Base", id="far from any"),
        pytest.param([], r"a list of names of modules .* got \[\]", id="empty"),
        pytest.param(3, "got 3", id="number"),
    ],
)
def test_compile_of_what_does_not_exist_raises(target: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SingleDeviceStrategy(CPU, compile={"target": target}).prepare(Net())


def test_compile_of_a_list_of_modules_compiles_those_in_it() -> None:
    model = nn.ModuleDict({"layers": nn.ModuleList([nn.Linear(1, 1), nn.ReLU()])})

    SingleDeviceStrategy(CPU, compile={"target": ["layers"], "backend": "eager"}).prepare(model)

    assert [runs_compiled(one) for one in model["layers"].children()] == [True, True]


def test_compile_by_the_name_of_a_class_compiles_its_modules() -> None:
    model = Net()

    SingleDeviceStrategy(CPU, compile={"target": "Linear", "backend": "eager"}).prepare(model)

    assert [runs_compiled(one) for one in model.body] == [True, False, True]


def test_compile_of_the_step_raises_for_a_model_with_another_step() -> None:
    with pytest.raises(SettingsError, match="for OwnStep, which has a train_step of its own"):
        SingleDeviceStrategy(CPU, compile={"target": "step"}).prepare(OwnStep())


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copy_of_a_model_with_compiled_steps_computes_with_its_own_weights(
    duplicate: Callable[[Any], Any],
) -> None:
    model = Net()
    compile_step(model, backend="eager")
    data = [torch.ones(2, 1), torch.ones(2, 1)]
    before = model.val_step(data)[0]

    other = duplicate(model)
    with torch.no_grad():
        other.body[2].bias.add_(1.0)

    torch.testing.assert_close(other.val_step(data)[0], before + 1.0)
    torch.testing.assert_close(model.val_step(data)[0], before)


@reads_grad
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copy_of_a_compiled_layer_is_a_plain_one_with_its_own_weights(
    duplicate: Callable[[Any], Any],
) -> None:
    model = Net()
    SingleDeviceStrategy(CPU, compile={"target": "Linear", "backend": "eager"}).prepare(model)
    before = model(torch.ones(2, 1), torch.ones(2, 1))[0]

    other = duplicate(model)
    with torch.no_grad():
        other.body[2].bias.add_(1.0)

    assert [runs_compiled(one) for one in (model, other)] == [True, False]
    torch.testing.assert_close(other(torch.ones(2, 1), torch.ones(2, 1))[0], before + 1.0)
    torch.testing.assert_close(model(torch.ones(2, 1), torch.ones(2, 1))[0], before)


@reads_grad
def test_layers_of_torch_have_compiled_code_by_kind_and_run_their_hooks() -> None:
    graphs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph

    kinds = [nn.Linear(1 + n, 2 + n) for n in range(12)]  # more than versions of one function
    model = nn.Sequential(*kinds, *(nn.Linear(13, 13) for _ in range(3)))
    called: list[Any] = []
    model[0].register_forward_pre_hook(lambda module, inputs: called.append(inputs))
    plain = model(torch.ones(2, 1))

    SingleDeviceStrategy(CPU, compile={"target": "Linear", "backend": backend}).prepare(model)

    torch.testing.assert_close(model(torch.ones(2, 1)), plain)
    assert len(graphs) == 13
    assert len(called) == 2


def test_report_counts_graphs_recompilations_and_breaks(
    make_runner: MakeRunner,
) -> None:
    torch.compiler.reset()
    model = Breaks()

    runner = make_runner(
        model=model,
        compile={"backend": "eager", "dynamic": False},
        train_dataloader=_uneven_batches(),
    )
    runner.train()

    counts = runner.message_hub.get_info("compile")
    assert counts["graph_breaks"] >= 1
    assert counts["recompilations"] >= 1  # the last batch of an epoch is smaller
    assert counts["graphs"] > counts["recompilations"]
    assert counts["seconds"] > 0
    log = _log(runner)
    assert "graph break: " in log
    assert "was compiled again: " in log
    assert f"Compiled graphs: {counts['graphs']}, recompilations: " in log


def test_report_warns_where_a_function_runs_uncompiled_from_then_on(
    make_runner: MakeRunner,
) -> None:
    torch.compiler.reset()
    runner = make_runner(
        model=Net(),
        compile={"backend": "eager", "dynamic": False},
        train_dataloader=_uneven_batches(),
    )

    with torch._dynamo.config.patch(recompile_limit=2):
        runner.train()

    log = _log(runner)
    assert "runs uncompiled for other inputs from now on" in log


def test_report_is_silent_for_a_plain_model(
    make_runner: MakeRunner,
) -> None:
    runner = make_runner()
    runner.train()

    assert "ompiled" not in _log(runner)
    assert runner.message_hub.get_info("compile") is None


def test_compiled_module_of_torch_itself_runs_compiled(make_runner: MakeRunner) -> None:
    torch.compiler.reset()
    runner = make_runner(model=Net(), compile={"backend": "eager", "target": ["body"]})

    runner.train()

    assert runner.message_hub.get_info("compile")["graphs"] >= 1


def test_recompilation_of_a_layer_of_torch_is_logged_by_its_name(make_runner: MakeRunner) -> None:
    torch.compiler.reset()
    runner = make_runner(
        model=Net(),
        compile={"backend": "eager", "dynamic": False, "target": ["body"]},
        train_dataloader=_uneven_batches(),
    )

    runner.train()

    assert "body (Sequential) was compiled again: " in _log(runner)


def test_report_warns_where_nothing_is_compiled(make_runner: MakeRunner) -> None:
    model: Any = Net()
    model.unused = nn.Linear(1, 1)
    model.unused.weight.requires_grad_(False)
    runner = make_runner(model=model, compile={"backend": "eager", "target": ["unused"]})

    runner.train()

    assert "Nothing was compiled in this run" in _log(runner)
