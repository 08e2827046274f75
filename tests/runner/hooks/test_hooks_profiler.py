"""The profiler hook: what it records, where it writes, and how it ends."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from engine_model import BaseModel
from engine_runner import Hook, Runner
from engine_runner.hooks import ProfilerHook

MakeRunner = Callable[..., Runner]


class Layers(BaseModel):
    """A backbone and a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.backbone = nn.Sequential(nn.Linear(1, 4), nn.ReLU())
        self.head = nn.Linear(4, 1)

    def forward(self, x: torch.Tensor, y: torch.Tensor, mode: str = "tensor") -> Any:
        predicted = self.head(self.backbone(x))
        if mode == "loss":
            return {"loss": (predicted - y).square().mean()}
        return (predicted, y) if mode == "predict" else predicted


class Fail(Hook):
    """Raise in the third iteration."""

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == 2:
            raise RuntimeError("broken")


class Stop(Hook):
    """End the training after the second iteration."""

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if runner.iter == 1:
            raise KeyboardInterrupt


def _labels(path: Path) -> Counter[str]:
    events = json.loads(path.read_text())["traceEvents"]
    return Counter(event["name"] for event in events if event.get("cat") == "user_annotation")


def _profiled(make_runner: MakeRunner, *, hooks: tuple[Hook, ...] = (), **options: Any) -> Runner:
    return make_runner(model=Layers(), custom_hooks=[ProfilerHook(**options), *hooks])


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Return the path of the trace, in a folder that does not exist yet."""
    return tmp_path / "traces" / "trace.json"


def test_trace_names_the_modules_and_the_parts_of_a_step(
    make_runner: MakeRunner, trace: Path
) -> None:
    _profiled(make_runner, by_epoch=False, profile_times=3, json_trace_path=trace).train()

    labels = _labels(trace)
    for label in (
        "train_step",
        "data_preprocessor (BaseDataPreprocessor)",
        "forward (Layers)",
        "backbone (Sequential)",
        "backbone.0 (Linear)",
        "head (Linear)",
        "backward",
        "optimizer_step",
        "zero_grad",
        "hooks.before_train_iter",
        "hooks.after_train_iter",
        "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__",
    ):
        # The third iteration ends within its last hook.
        assert labels[label] == 3, label
    assert [label for label in labels if label.startswith("ProfilerStep#")] == [
        "ProfilerStep#0",
        "ProfilerStep#1",
        "ProfilerStep#2",
    ]


def test_labels_are_gone_after_the_profiled_part(make_runner: MakeRunner, trace: Path) -> None:
    runner = _profiled(make_runner, by_epoch=False, profile_times=1, json_trace_path=trace)

    runner.train()

    assert "train_step" not in vars(runner.model)
    assert "call_hook" not in vars(runner)
    assert "backward" not in vars(runner.optim_wrapper)
    assert not any(
        module._forward_hooks or module._forward_pre_hooks for module in runner.model.modules()
    )


def test_profiled_training_has_the_same_weights(make_runner: MakeRunner, trace: Path) -> None:
    expected = make_runner(model=Layers()).train().state_dict()

    runner = _profiled(make_runner, profile_times=1, with_flops=True, json_trace_path=trace)
    state = runner.train().state_dict()

    assert all(torch.equal(expected[name], state[name]) for name in expected)


def test_epochs_are_profiled_by_default(make_runner: MakeRunner, trace: Path) -> None:
    _profiled(make_runner, profile_times=2, json_trace_path=trace).train()

    labels = _labels(trace)
    assert labels["train_step"] == 8
    assert labels["val_step"] == 4  # between the two epochs
    assert "ProfilerStep#7" in labels
    assert "ProfilerStep#8" not in labels


def test_error_of_the_users_function_ends_the_run_alone(make_runner: MakeRunner) -> None:
    def ready(profiler: torch.profiler.profile) -> None:
        raise RuntimeError("mine")

    schedule = {"wait": 0, "warmup": 1, "active": 1}
    runner = _profiled(make_runner, schedule=schedule, on_trace_ready=ready)

    with pytest.raises(RuntimeError, match="mine"):
        runner.train()
    assert not torch._C._autograd._profiler_enabled()


@pytest.mark.parametrize("mode", ["val", "test"])
def test_inference_is_profiled(
    make_runner: MakeRunner, settings: Callable[..., dict[str, Any]], trace: Path, mode: str
) -> None:
    val = settings()
    changes = {f"test_{part}": val[f"val_{part}"] for part in ("dataloader", "cfg", "evaluator")}
    runner = make_runner(
        model=Layers(), **changes, custom_hooks=[ProfilerHook(json_trace_path=str(trace))]
    )

    getattr(runner, mode)()

    labels = _labels(trace)
    assert labels[f"{mode}_step"] == 4
    assert labels["head (Linear)"] == 4


def test_schedule_writes_one_trace_per_cycle(make_runner: MakeRunner, trace: Path) -> None:
    schedule = {"wait": 1, "warmup": 1, "active": 2, "repeat": 2}

    _profiled(
        make_runner, profile_times=8, by_epoch=False, schedule=schedule, json_trace_path=trace
    ).train()

    assert sorted(path.name for path in trace.parent.iterdir()) == ["trace.json", "trace_2.json"]
    assert _labels(trace)["train_step"] == 2
    second = _labels(trace.with_name("trace_2.json"))
    assert {"ProfilerStep#6", "ProfilerStep#7"} <= set(second)


def test_table_is_logged(make_runner: MakeRunner) -> None:
    handler = {"type": "log_trace", "row_limit": 5}
    runner = _profiled(make_runner, by_epoch=False, profile_times=2, on_trace_ready=handler)

    runner.train()

    text = next(Path(runner.log_dir).glob("*.log")).read_text()
    table = text.partition("# of Calls")[2].partition("Self CPU time total")[0]
    rows = [line for line in table.splitlines() if line.strip() and not line.startswith("---")]
    assert len(rows) == 5


def test_table_is_logged_where_nothing_else_is_asked_for(make_runner: MakeRunner) -> None:
    runner = _profiled(make_runner, by_epoch=False)

    runner.train()

    assert "Self CPU time total" in next(Path(runner.log_dir).glob("*.log")).read_text()


def test_function_of_the_user_gets_the_profiler(make_runner: MakeRunner) -> None:
    names: list[str] = []

    def ready(profiler: torch.profiler.profile) -> None:
        names.extend(event.key for event in profiler.key_averages())

    _profiled(make_runner, by_epoch=False, on_trace_ready=ready).train()

    assert "aten::addmm" in names


def test_tensorboard_trace_and_json_are_both_written(make_runner: MakeRunner, trace: Path) -> None:
    handler = {"type": "tb_trace"}
    runner = _profiled(
        make_runner, by_epoch=False, on_trace_ready=handler, json_trace_path=str(trace)
    )

    runner.train()

    (written,) = Path(runner.work_dir, "tf_tracing_logs").iterdir()
    assert written.name.endswith(".pt.trace.json")
    assert written.read_bytes() == trace.read_bytes()


def test_second_export_of_one_trace_is_a_warning(
    make_runner: MakeRunner, trace: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.json"
    runner = _profiled(
        make_runner,
        by_epoch=False,
        on_trace_ready=lambda profiler: profiler.export_chrome_trace(str(own)),
        json_trace_path=str(trace),
    )

    runner.train()

    assert own.exists()
    assert not trace.exists()
    assert "leave json_trace_path out" in next(Path(runner.log_dir).glob("*.log")).read_text()


def test_trace_that_cannot_be_written_ends_no_training(
    make_runner: MakeRunner, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    runner = _profiled(make_runner, by_epoch=False, json_trace_path=tmp_path / "file" / "a.json")

    runner.train()

    assert runner.epoch == 3
    assert "is not in" in next(Path(runner.log_dir).glob("*.log")).read_text()


@pytest.mark.parametrize(
    ("breaker", "error"), [(Fail(), RuntimeError), (Stop(), KeyboardInterrupt)]
)
def test_profiler_is_closed_and_written_however_the_run_ends(
    make_runner: MakeRunner, trace: Path, breaker: Hook, error: type[BaseException]
) -> None:
    runner = _profiled(make_runner, hooks=(breaker,), profile_times=3, json_trace_path=trace)

    with pytest.raises(error):
        runner.train()

    assert _labels(trace)["train_step"] == 2
    assert not torch._C._autograd._profiler_enabled()
    assert not runner.model.head._forward_hooks


def test_resumed_run_is_profiled_from_its_first_iteration(
    make_runner: MakeRunner, settings: Callable[..., dict[str, Any]], trace: Path
) -> None:
    make_runner(model=Layers(), train_cfg={"by_epoch": True, "max_epochs": 2}).train()
    checkpoint = f"{settings()['work_dir']}/epoch_2.pth"
    hook = ProfilerHook(profile_times=2, json_trace_path=str(trace))

    runner = make_runner(model=Layers(), custom_hooks=[hook], load_from=checkpoint, resume=True)
    runner.train()

    assert _labels(trace)["train_step"] == 4
    assert "exceeds what is left" in next(Path(runner.log_dir).glob("*.log")).read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"profile_times": 4}, "greater than max_epochs=3, got 4", id="epochs"),
        pytest.param(
            {"by_epoch": False, "profile_times": 13}, "greater than max_iters=12", id="iterations"
        ),
        pytest.param(
            {"schedule": {"wait": 4, "warmup": 1, "active": 1}},
            "schedule must record within profile_times=1 epochs, got 5",
            id="schedule longer than the epoch",
        ),
    ],
)
def test_profile_longer_than_the_run_raises(
    make_runner: MakeRunner, options: dict[str, Any], message: str
) -> None:
    runner = _profiled(make_runner, **options)

    with pytest.raises(ValueError, match=message):
        runner.train()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        pytest.param({"profile_times": 0}, ValueError, "profile_times must be", id="times"),
        pytest.param({"activity_with_cpu": False}, ValueError, "nothing to record", id="activity"),
        pytest.param(
            {"schedule": {"wait": 1, "warmup": 1}}, ValueError, "schedule: .*active", id="missing"
        ),
        pytest.param(
            {"schedule": {"wait": -1, "warmup": 1, "active": 1}},
            ValueError,
            "wait=-1",
            id="negative",
        ),
        pytest.param({"on_trace_ready": 3}, TypeError, "callable, or a dict", id="handler"),
        pytest.param(
            {"on_trace_ready": {"type": "log_trce"}}, ValueError, "did you mean", id="handler type"
        ),
        pytest.param(
            {"on_trace_ready": {"type": "log_trace", "rows": 3}}, ValueError, "rows", id="table"
        ),
        pytest.param(
            {"on_trace_ready": {"type": "tb_trace", "dir": "a"}}, ValueError, "dir_name", id="tb"
        ),
    ],
)
def test_wrong_argument_raises(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ProfilerHook(**options)


def test_cuda_activity_without_a_device_is_a_warning(make_runner: MakeRunner) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a device")
    runner = _profiled(make_runner, by_epoch=False, activity_with_cuda=True)

    runner.train()

    text = next(Path(runner.log_dir).glob("*.log")).read_text()
    assert "activity_with_cuda=True of ProfilerHook never acts" in text


def test_optimizers_of_several_are_labeled_apart(make_runner: MakeRunner, trace: Path) -> None:
    from engine_optim import OptimWrapper, OptimWrapperDict

    class Two(Layers):
        def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, torch.Tensor]:
            for wrapper in optim_wrapper.values():
                loss = self(*data, mode="loss")["loss"]
                wrapper.update_params(loss)
            return {"loss": loss}

    model = Two()
    wrappers = OptimWrapperDict(
        body=OptimWrapper(torch.optim.SGD(model.backbone.parameters(), lr=0.1)),
        head=OptimWrapper(torch.optim.SGD(model.head.parameters(), lr=0.1)),
    )
    hook = ProfilerHook(by_epoch=False, json_trace_path=str(trace))
    make_runner(
        model=model, optim_wrapper=wrappers, param_scheduler=None, custom_hooks=[hook]
    ).train()

    labels = _labels(trace)
    assert labels["body.optimizer_step"] == labels["head.optimizer_step"] == 1
