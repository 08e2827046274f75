"""What users relied on before the runner was composed, and configs in the style of the field."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine_config import Config
from engine_registry import LOOPS, MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from engine_runner import Runner
from engine_runner.hooks import CheckpointHook, Hook
from engine_runner.loops import EpochBasedTrainLoop
from engine_runner.parts import check_config

LOADER = {
    "batch_size": 2,
    "sampler": {"type": "DefaultSampler", "shuffle": True},
    "dataset": {"type": "torch.utils.data.TensorDataset"},
}


class SendSignal(Hook):
    """Send a signal to this process at a point of the run."""

    def __init__(self, number: int, point: str) -> None:
        setattr(self, point, lambda runner, **kwargs: os.kill(os.getpid(), number))


class TwoLoaders(EpochBasedTrainLoop):
    """A loop that takes two loaders by name."""

    def __init__(self, runner: Any, dataloader: Any, max_epochs: int) -> None:
        self.unlabeled = runner.build_dataloader(dataloader["unlabeled"])
        super().__init__(runner, dataloader["labeled"], max_epochs)


class Detector(torch.nn.Module):
    def __init__(self, train_cfg: Any = None, test_cfg: Any = None) -> None:
        super().__init__()


class Constructor:
    def __init__(self, optim_wrapper_cfg: Any, paramwise_cfg: Any = None) -> None: ...


def _register() -> None:
    MODELS.register_module(module=Detector)
    LOOPS.register_module(module=TwoLoaders)
    OPTIM_WRAPPER_CONSTRUCTORS.register_module(module=Constructor)


@pytest.mark.parametrize("point", ["after_val_iter", "after_test_iter"])
def test_interrupt_stops_an_evaluation_alone_at_once(
    settings: Callable[..., dict[str, Any]], point: str
) -> None:
    arguments = settings(custom_hooks=[SendSignal(signal.SIGINT, point)])
    test = {f"test_{name}": arguments[f"val_{name}"] for name in ("dataloader", "cfg", "evaluator")}
    runner = Runner(**arguments, **test)

    with pytest.raises(KeyboardInterrupt):
        runner.val() if "val" in point else runner.test()


def test_register_hook_can_be_overridden_with_its_documented_signature(
    settings: Callable[..., dict[str, Any]],
) -> None:
    class Counting(Runner):
        registered = 0

        def register_hook(self, hook: Any, priority: int | str | None = None) -> None:  # type: ignore[override]  # as users' code has it
            self.registered += 1
            super().register_hook(hook, priority)

    runner = Counting(**settings())

    assert runner.registered == len(runner.hooks)
    assert isinstance(runner._hook_list.find("checkpoint"), CheckpointHook)


def test_custom_hooks_may_be_an_iterator(make_runner: Callable[..., Runner]) -> None:
    hook = Hook()

    assert hook in make_runner(custom_hooks=iter([hook])).hooks


def test_optim_wrapper_set_to_none_is_built_again(make_runner: Callable[..., Runner]) -> None:
    runner = make_runner()
    first = runner.optim_wrapper

    runner.optim_wrapper = None

    assert runner.optim_wrapper is not None
    assert runner.optim_wrapper is not first


def test_overridden_train_loop_counts_the_iterations_of_the_optimizer(
    settings: Callable[..., dict[str, Any]],
) -> None:
    class Own(Runner):
        loop: Any = None

        @property
        def train_loop(self) -> Any:  # as users' code has it
            self.loop = self.loop or self.build_train_loop({"by_epoch": True, "max_epochs": 1})
            return self.loop

    runner = Own(**settings(param_scheduler=None))
    runner.train()

    assert runner.optim_wrapper._max_counts == 4


def test_weights_of_a_former_version_do_not_bring_its_best_score(
    make_runner: Callable[..., Runner], tmp_path: Path
) -> None:
    hooks = {"checkpoint": {"type": "CheckpointHook", "interval": 1, "save_best": "error"}}
    former = make_runner(default_hooks=hooks)
    former.message_hub.update_info("kept_checkpoints", ["epoch_1.pth"])
    former.message_hub.update_info("best_score", -1.0)
    path = former.save_checkpoint(str(tmp_path), "former.pth")
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["hooks"]
    torch.save(checkpoint, path)

    loaded = make_runner(default_hooks=hooks, load_from=path, work_dir=tmp_path / "loaded")
    loaded.train()
    resumed = make_runner(
        default_hooks=hooks, load_from=path, resume=True, work_dir=tmp_path / "resumed"
    )
    resumed.progress.iter = 1
    resumed.load_or_resume()
    resumed.progress.iter = 1
    resumed.call_hook("before_train")

    assert list((tmp_path / "loaded").glob("best_*.pth"))
    hook = resumed._hook_list.find("checkpoint")
    assert isinstance(hook, CheckpointHook)
    assert (hook.best[0].score, hook.retention.names) == (-1.0, ["epoch_1.pth"])


def test_runners_of_several_threads_have_names_of_their_own(
    settings: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    names: list[str] = []
    start = threading.Barrier(4)

    def work(number: int) -> None:
        arguments = settings(work_dir=tmp_path / str(number))
        start.wait()
        names.append(Runner(**arguments).experiment_name)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(names)) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"default_hooks": {"param_scheduler": {"type": "ParamSchedulerHook"}}},
        {
            "vis_backends": [{"type": "LocalVisBackend"}],
            "visualizer": {"type": "Visualizer", "vis_backends": [{"type": "LocalVisBackend"}]},
        },
        {
            "model": {
                "type": "Detector",
                "train_cfg": {"assigner": {"type": "a_name_of_the_detectors_own"}},
                "test_cfg": {"nms": {"type": "nms", "iou_threshold": 0.5}},
            }
        },
        {
            "train_dataloader": LOADER,
            "train_cfg": {"by_epoch": True, "max_epochs": 1},
            "optim_wrapper": {
                "constructor": "Constructor",
                "generator": {
                    "type": "OptimWrapper",
                    "optimizer": {"type": "Adam", "lr": 0.1},
                    "paramwise_cfg": {"bias_lr_mult": 2.0},
                },
                "critic": {"optimizer": {"type": "Adam", "lr": 0.1}, "accumulative_counts": 2},
            },
            "param_scheduler": {
                "generator": [{"type": "LinearLR", "end": 2}],
                "critic": {"type": "MultiStepLR", "milestones": [1]},
            },
        },
        {
            "train_dataloader": {"labeled": LOADER, "unlabeled": LOADER},
            "train_cfg": {"type": "TwoLoaders", "max_epochs": 2},
            "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}},
        },
    ],
    ids=["a-hook-named-as-a-part", "backends", "detector", "several-optimizers", "two-loaders"],
)
def test_check_accepts_configs_of_the_field(changes: dict[str, Any], tmp_path: Path) -> None:
    _register()
    config = Config({"model": {"type": "Detector"}, "work_dir": str(tmp_path), **changes})

    assert check_config(config, Runner) == []


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"default_hooks": {"param_scheduler": {"type": "LinearLR"}}}, "default_hooks"),
        ({"default_hooks": {"timer": {"type": "IterTimerHok"}}}, "default_hooks"),
        ({"visualizer": {"type": "Visualizer", "vis_backends": [{"type": "Locl"}]}}, "visualizer"),
        ({"model": {"type": "Detectr"}}, "model"),
    ],
    ids=["a-schedule-as-a-hook", "hook", "backend", "model"],
)
def test_check_finds_the_mistakes_beside_them(
    changes: dict[str, Any], path: str, tmp_path: Path
) -> None:
    _register()
    config = Config({"model": {"type": "Detector"}, "work_dir": str(tmp_path), **changes})

    problems = check_config(config, Runner)

    assert [problem.key_path.partition(".")[0] for problem in problems] == [path]


def test_wrap_model_of_one_process_places_the_model_without_a_wrapper(
    make_runner: Callable[..., Runner],
) -> None:
    runner, model = make_runner(), torch.nn.Linear(1, 1)

    wrapped = runner.wrap_model({"type": "MMDistributedDataParallel"}, model)

    assert wrapped is model
    assert wrapped.weight.device == runner.strategy.device
