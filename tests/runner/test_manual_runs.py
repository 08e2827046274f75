"""What the manual promises of a run: its parts, its data flow, its environment."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.runner.conftest import Command, Line, MeanError, Regressor
from torch import Tensor, nn
from torch.utils.data import DataLoader

from engine_config import Config
from engine_evaluator import BaseMetric
from engine_logging import MessageHub
from engine_model import BaseDataPreprocessor, BaseModel
from engine_registry import COLLATE_FUNCTIONS, RUNNERS
from engine_runner import EpochBasedTrainLoop, Hook, IterBasedTrainLoop, Runner, TestLoop, ValLoop
from engine_visualization import Visualizer

MakeRunner = Callable[..., Runner]
Settings = Callable[..., dict[str, Any]]

NO_VALIDATION = dict.fromkeys(("val_dataloader", "val_cfg", "val_evaluator"))
NO_TRAINING = dict.fromkeys(("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler"))


class Broken(Exception):
    """Raised by a part that must not be built."""


def _broken(**arguments: Any) -> Any:
    raise Broken


def _testing(settings: Settings, **changes: Any) -> dict[str, Any]:
    """Return the settings of a run that tests on the validation's own configs."""
    arguments = settings(**changes)
    return {
        **arguments,
        "test_dataloader": arguments["val_dataloader"],
        "test_evaluator": arguments["val_evaluator"],
        "test_cfg": {},
    }


@pytest.mark.parametrize("does", ["train", "val", "test"])
def test_run_builds_only_what_it_needs(settings: Settings, does: str) -> None:
    arguments = _testing(settings)
    needed = {"train": ("train", "val"), "val": ("val",), "test": ("test",)}[does]
    for mode in {"train", "val", "test"} - {*needed}:
        data = {**arguments[f"{mode}_dataloader"], "dataset": {"type": _broken}}
        arguments[f"{mode}_dataloader"] = data
    if does != "train":
        arguments["optim_wrapper"] = {"optimizer": {"type": _broken}}

    getattr(Runner(**arguments), does)()


def test_validation_and_test_share_their_configs(settings: Settings) -> None:
    arguments = _testing(settings, val_evaluator={"type": MeanError})

    runner = Runner(**arguments)

    assert runner.val() == runner.test()
    assert runner.val_dataloader is not runner.test_dataloader


def test_validation_may_be_left_out(make_runner: MakeRunner) -> None:
    runner = make_runner(**NO_VALIDATION)
    runner.train()

    assert runner.val_loop is None
    assert runner.epoch == 3


def test_model_may_come_first_and_folders_are_created(tmp_path: Path) -> None:
    runner = Runner(Regressor(), tmp_path / "exp" / "my_awesome_model")

    assert Path(runner.work_dir).is_dir()


@pytest.mark.parametrize(
    ("setting", "config", "expected"),
    [
        ("train_cfg", {"by_epoch": True, "max_epochs": 2}, EpochBasedTrainLoop),
        ("train_cfg", {"type": "EpochBasedTrainLoop", "max_epochs": 2}, EpochBasedTrainLoop),
        ("train_cfg", {"by_epoch": False, "max_iters": 2}, IterBasedTrainLoop),
        ("train_cfg", {"type": "IterBasedTrainLoop", "max_iters": 2}, IterBasedTrainLoop),
        ("val_cfg", {}, ValLoop),
        ("val_cfg", {"type": "ValLoop"}, ValLoop),
        ("test_cfg", {}, TestLoop),
        ("test_cfg", {"type": "TestLoop"}, TestLoop),
    ],
)
def test_loops_are_chosen_by_their_configs(
    settings: Settings, setting: str, config: dict[str, Any], expected: type
) -> None:
    runner = Runner(**{**_testing(settings), setting: config})

    loop: Any = getattr(runner, setting.replace("cfg", "loop"))
    assert loop.runner is runner
    assert type(loop) is expected


@pytest.mark.parametrize(("by_epoch", "interval"), [(True, 1), (False, 1000)])
def test_documented_intervals_of_the_validation(
    make_runner: MakeRunner, by_epoch: bool, interval: int
) -> None:
    runner = make_runner(
        train_cfg={"by_epoch": by_epoch, "max_epochs" if by_epoch else "max_iters": 2}
    )

    assert (runner.val_begin, runner.val_interval) == (1, interval)


def test_custom_runner_is_built_by_its_name(settings: Settings) -> None:
    calls: list[str] = []

    @RUNNERS.register_module(force=True)
    class CustomRunner(Runner):
        def setup_env(self, env_cfg: Any) -> None:
            calls.append("own")
            super().setup_env(env_cfg)

    config = Config({**settings(), "runner_type": "CustomRunner"})

    assert isinstance(RUNNERS.build(config), CustomRunner)
    assert calls == ["own"]
    RUNNERS.module_dict.pop("CustomRunner")


def test_run_is_found_from_anywhere(make_runner: MakeRunner) -> None:
    found: list[bool] = []

    class Look(Hook):
        def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
            found.append(MessageHub.get_current_instance() is runner.message_hub)
            found.append(Visualizer.get_current_instance() is runner.visualizer)

    runner = make_runner(custom_hooks=[Look()], experiment_name="mine")
    runner.train()

    assert set(found) == {True}
    assert runner.experiment_name.startswith("mine_")


def test_environment_is_that_of_the_config(make_runner: MakeRunner) -> None:
    benchmark = torch.backends.cudnn.benchmark
    try:
        make_runner(
            env_cfg={
                "cudnn_benchmark": True,
                "mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0},
                "dist_cfg": {"backend": "nccl"},
            }
        )
        assert torch.backends.cudnn.benchmark
    finally:
        torch.backends.cudnn.benchmark = benchmark


def test_backend_at_the_top_of_env_cfg_does_not_fail(make_runner: MakeRunner) -> None:
    mp_cfg = {"mp_start_method": "fork", "opencv_num_threads": 0}

    make_runner(env_cfg={"cudnn_benchmark": False, "backend": "nccl", "mp_cfg": mp_cfg})


@pytest.mark.parametrize("options", [{}, {"deterministic": True}, {"diff_rank_seed": True}])
def test_seed_seeds_every_generator(make_runner: MakeRunner, options: dict[str, Any]) -> None:
    drawn = []
    for _ in range(2):
        runner = make_runner(randomness={"seed": 1, **options})
        drawn.append((random.random(), float(np.random.rand()), torch.rand(1).item()))

    assert drawn[0] == drawn[1]
    assert runner.seed == 1
    assert runner.deterministic is bool(options.get("deterministic"))


def test_weights_are_initialized_when_the_training_begins(make_runner: MakeRunner) -> None:
    class Counted(Regressor):
        calls = 0

        def init_weights(self) -> None:
            self.calls += 1

    model = Counted()
    runner = make_runner(model=model)
    assert model.calls == 0

    runner.train()
    assert model.calls == 1


class Flow(BaseModel):
    """Note what the preprocessor and `forward` get."""

    def __init__(self, form: Callable[[Any], Any]) -> None:
        self.calls: list[Any] = []
        super().__init__(data_preprocessor=Noting(form, self.calls))
        self.linear = nn.Linear(1, 1)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        self.calls.append(mode)
        out = self.linear(x)
        return {"loss": (out - y).square().mean()} if mode == "loss" else (out, y)


class Noting(BaseDataPreprocessor):
    """Return a batch in some form, and note whether it trains."""

    def __init__(self, form: Callable[[Any], Any], calls: list[Any]) -> None:
        super().__init__()
        self.form, self.notes = form, calls

    def forward(self, data: Any, training: bool = False) -> Any:
        self.notes.append(training)
        return self.form(data)


class Raw(MeanError):
    """Check that a metric gets the batch before the preprocessor."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        assert isinstance(data_batch, list)
        super().process(data_batch, data_samples)


@pytest.mark.parametrize(
    "form",
    [lambda batch: {"x": batch[0], "y": batch[1]}, list, tuple],
    ids=["dict", "list", "tuple"],
)
def test_batch_flows_through_preprocessor_model_and_metric(
    make_runner: MakeRunner, form: Callable[[Any], Any]
) -> None:
    outputs: list[Any] = []

    class Check(Hook):
        def after_train_iter(
            self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
        ) -> None:
            assert torch.isfinite(outputs["loss"])

        def after_val_iter(
            self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
        ) -> None:
            collected(outputs)

    collected = outputs.append
    model = Flow(form)
    make_runner(
        model=model,
        train_cfg={"by_epoch": True, "max_epochs": 1},
        val_evaluator=Raw(),
        custom_hooks=[Check()],
    ).train()

    assert model.calls == [True, "loss"] * 4 + [False, "predict"] * 4
    assert len(outputs) == 4


def test_batch_of_another_form_raises(make_runner: MakeRunner) -> None:
    runner = make_runner(model=Flow(lambda batch: batch[0]))

    with pytest.raises(TypeError, match="must return a dict, list or tuple"):
        runner.train()


def test_predictions_may_have_any_form_that_the_metric_reads(make_runner: MakeRunner) -> None:
    class Scores(BaseModel):
        def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
            return ("score", x.sum(), y)

    class Sums(BaseMetric):
        def process(self, data_batch: Any, data_samples: Any) -> None:
            assert data_samples[0] == "score"
            self.results.append(data_samples[1])

        def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
            return {"batches": len(results)}

    assert make_runner(model=Scores(), val_evaluator=Sums()).val() == {"batches": 4}


LOADER_KEYS = {
    "batch_size": 2,
    "num_workers": 0,
    "drop_last": True,
    "pin_memory": False,
    "persistent_workers": False,
}


def test_loader_config_passes_its_keys_on() -> None:
    config = {"dataset": Line(5), "sampler": {"type": "DefaultSampler", "shuffle": False}}

    loader = Runner.build_dataloader({**config, **LOADER_KEYS})

    assert isinstance(loader, DataLoader)
    assert len(loader) == 2
    assert {key: getattr(loader, key) for key in LOADER_KEYS} == LOADER_KEYS
    batch = next(iter(loader))  # pseudo_collate: a list of values per field
    assert [len(field) for field in batch] == [2, 2]
    assert isinstance(batch[0], list)


def test_collate_function_of_ones_own_is_found_by_its_name() -> None:
    @COLLATE_FUNCTIONS.register_module(force=True)
    def my_collate_func(samples: list[Any], scale: int = 1) -> Any:
        return scale * len(samples)

    config = {
        "dataset": Line(4),
        "batch_size": 2,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "my_collate_func", "scale": 3},
    }

    assert list(Runner.build_dataloader(config)) == [6, 6]
    COLLATE_FUNCTIONS.module_dict.pop("my_collate_func")


def test_resume_from_a_named_checkpoint_restores_the_state(
    make_runner: MakeRunner, tmp_path: Path
) -> None:
    whole = make_runner().train()
    second = Path(tmp_path, "work", "epoch_2.pth")
    resumed = make_runner(
        resume=True, load_from=str(second), work_dir=str(tmp_path / "other"), model=Regressor()
    )

    resumed.train()

    assert (resumed.epoch, resumed.iter) == (3, 12)
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value)


def test_launch_utility_of_torch_passes_the_local_rank(project: Path, command: Command) -> None:
    for form in ("--local_rank=0", "--local-rank=0"):
        command("train", "cfg.py", form, "--cfg-options", "train_cfg.max_epochs=1")


def test_hook_points_have_the_name_of_the_manuals_example(make_runner: MakeRunner) -> None:
    called: list[int] = []

    class Own(Hook):
        def before_valloader2_iter(self, runner: Runner, batch_idx: int) -> None:
            called.append(batch_idx)

    runner = make_runner(custom_hooks=[Own()])
    runner.call_hooks("before_valloader2_iter", batch_idx=1)
    runner.call_hook("before_valloader2_iter", batch_idx=2)

    assert called == [1, 2]
