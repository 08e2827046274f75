"""Loops and runners that users and libraries write against the documented names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runner.conftest import Regressor

from engine_registry import LOOPS
from engine_runner import (
    BaseLoop,
    EpochBasedTrainLoop,
    Hook,
    IterBasedTrainLoop,
    Runner,
    ValLoop,
    _InfiniteDataloaderIterator,
)
from engine_runner.hooks import RuntimeInfoHook

MakeRunner = Callable[..., Runner]


class Seen(Hook):
    """Note the counters of the run at each iteration."""

    def __init__(self) -> None:
        self.counters: list[tuple[int, int]] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.counters.append((runner.epoch, runner.iter))


class OwnEpochs(EpochBasedTrainLoop):
    """A loop of epochs that counts and decides all by itself."""

    def run(self) -> Any:
        self.runner.call_hook("before_train")
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            if (
                self.runner.val_loop is not None
                and self._epoch >= self.val_begin
                and self._epoch % self.val_interval == 0
            ):
                self.runner.val_loop.run()
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_epoch(self) -> None:
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        for idx, data_batch in enumerate(self.dataloader):
            self.run_iter(idx, data_batch)
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Any) -> None:
        self.runner.call_hook("before_train_iter", batch_idx=idx, data_batch=data_batch)
        wrapper = self.runner.optim_wrapper
        outputs = self.runner.model.train_step(data_batch, optim_wrapper=wrapper)
        self.runner.call_hook(
            "after_train_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs
        )
        self._iter += 1


class OwnIterations(IterBasedTrainLoop):
    """A loop of iterations that takes batches from ``dataloader_iterator``."""

    def run(self) -> Any:
        self.runner.call_hook("before_train")
        self.runner.call_hook("before_train_epoch")
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            if self.runner.val_loop is not None and self._iter % self.val_interval == 0:
                self.runner.val_loop.run()
        self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")
        return self.runner.model


class Bare(BaseLoop):
    """A training loop on the plain base, with counters of its own."""

    def __init__(self, runner: Any, dataloader: Any, max_epochs: int) -> None:
        super().__init__(runner, dataloader)
        self._max_epochs = max_epochs
        self._max_iters = max_epochs * len(self.dataloader)
        self._epoch = 0
        self._iter = 0

    @property
    def max_epochs(self) -> int:
        return self._max_epochs

    @property
    def max_iters(self) -> int:
        return self._max_iters

    def run(self) -> Any:
        self.runner.call_hook("before_train")
        while self._epoch < self._max_epochs:
            for idx, data_batch in enumerate(self.dataloader):
                wrapper = self.runner.optim_wrapper
                outputs = self.runner.model.train_step(data_batch, optim_wrapper=wrapper)
                self.runner.call_hook(
                    "after_train_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs
                )
                self._iter += 1
            self._epoch += 1
        self.runner.call_hook("after_train")


@pytest.mark.parametrize(
    "train_cfg",
    [
        {"type": OwnEpochs, "max_epochs": 2},
        {"type": OwnIterations, "max_iters": 8, "val_interval": 4},
        {"type": Bare, "max_epochs": 2},
    ],
    ids=["epochs", "iterations", "base"],
)
def test_counters_of_a_run_follow_a_custom_loop(
    make_runner: MakeRunner, train_cfg: dict[str, Any]
) -> None:
    seen = Seen()
    hooks = {"timer": None, "logger": None, "checkpoint": None}

    runner = make_runner(
        train_cfg=train_cfg, custom_hooks=[seen], default_hooks=hooks, param_scheduler=None
    )
    runner.train()

    assert runner.iter == 8
    assert [iteration for _, iteration in seen.counters] == list(range(8))
    if train_cfg["type"] is not OwnIterations:
        assert [epoch for epoch, _ in seen.counters] == [0] * 4 + [1] * 4


def test_custom_loop_trains_like_ours_and_resumes(make_runner: MakeRunner, tmp_path: Path) -> None:
    changes = {"param_scheduler": None, "train_cfg": {"by_epoch": True, "max_epochs": 2}}
    ours = make_runner(work_dir=str(tmp_path / "ours"), **changes).train()
    own = {"param_scheduler": None, "work_dir": str(tmp_path / "own")}
    make_runner(**own, train_cfg={"type": OwnEpochs, "max_epochs": 1}).train()

    resumed = make_runner(**own, train_cfg={"type": OwnEpochs, "max_epochs": 2}, resume=True)
    resumed.train()

    assert resumed.iter == 8
    for name, value in ours.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name])


def test_endless_iterator_goes_on_where_it_was(make_runner: MakeRunner) -> None:
    loop = make_runner(train_cfg={"by_epoch": False, "max_iters": 3}).train_loop

    first = next(loop.dataloader_iterator)
    second = next(loop.dataloader_iterator)

    assert not torch.equal(first[0], second[0])
    assert (loop._max_epochs, loop._max_iters) == (1, 3)


class OwnIterator(IterBasedTrainLoop):
    """A loop of iterations that builds its own iterator, as libraries do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.batches = _InfiniteDataloaderIterator(self.dataloader)

    def run(self) -> Any:
        self.runner.call_hook("before_train")
        while self._iter < self._max_iters:
            self.run_iter(next(self.batches))
        return self.runner.model


class Skipping(OwnIterator):
    """A loop that skips what a former run has trained on, as loops of the field do."""

    def run(self) -> Any:
        for _ in range(self._iter):
            next(self.batches)
        return super().run()


class SkippingOurs(IterBasedTrainLoop):
    """The same with the iterator of the base."""

    def run(self) -> Any:
        self.runner.call_hook("before_train")
        for _ in range(self._iter):
            next(self.dataloader_iterator)
        while self._iter < self._max_iters:
            self.run_iter(next(self.dataloader_iterator))
        return self.runner.model


class SemiSupervised(IterBasedTrainLoop):
    """A loop that trains on labeled and unlabeled batches, as libraries do."""

    def __init__(self, runner: Any, dataloader: Any, max_iters: int) -> None:
        super().__init__(runner, dataloader, max_iters)
        unlabeled = {**runner._train_dataloader, "batch_size": 5}
        self.unlabeled = [runner.build_dataloader(unlabeled, seed=runner.seed + 1)]
        self.batches = _InfiniteDataloaderIterator(self.unlabeled[0])

    def run_iter(self, data_batch: Any) -> None:
        more = next(self.batches)
        super().run_iter([torch.cat(pair) for pair in zip(data_batch, more, strict=True)])


@pytest.mark.parametrize("loop", [OwnIterator, Skipping, SkippingOurs, SemiSupervised])
def test_iterator_of_a_library_resumes_at_the_next_batch(
    loop: type, make_runner: MakeRunner, tmp_path: Path
) -> None:
    changes = {
        "param_scheduler": None,
        "default_hooks": {
            "checkpoint": {"type": "CheckpointHook", "interval": 6, "by_epoch": False}
        },
    }
    own = {**changes, "work_dir": str(tmp_path / "own")}
    whole = make_runner(**changes, train_cfg={"type": loop, "max_iters": 12}).train()
    make_runner(**own, train_cfg={"type": loop, "max_iters": 6}).train()

    resumed = make_runner(**own, train_cfg={"type": loop, "max_iters": 12}, resume=True)
    resumed.train()

    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name])


def test_endless_batches_of_an_empty_loader_raise() -> None:
    with pytest.raises(ValueError, match="train_dataloader"):
        next(_InfiniteDataloaderIterator([]))  # type: ignore[arg-type]  # any iterable does


def test_iterator_of_the_data_may_be_replaced(make_runner: MakeRunner) -> None:
    loop = make_runner(train_cfg={"by_epoch": False, "max_iters": 3}).train_loop

    loop.dataloader_iterator = iter([1, 2])

    assert next(loop.dataloader_iterator) == 1


def test_twice_per_batch_as_the_manual_shows(make_runner: MakeRunner) -> None:
    class Twice(EpochBasedTrainLoop):
        def run_iter(self, idx: int, data_batch: Any) -> None:
            for _ in range(2):
                super().run_iter(idx, data_batch)

    runner = make_runner(train_cfg={"type": Twice, "max_epochs": 1}, default_hooks={"logger": None})
    runner.train()

    assert runner.iter == 8


def test_validation_loop_with_two_loaders_as_the_manual_shows(make_runner: MakeRunner) -> None:
    points: list[str] = []

    @LOOPS.register_module()
    class CustomValLoop(BaseLoop):
        def __init__(self, runner: Any, dataloader: Any, evaluator: Any, dataloader2: Any) -> None:
            super().__init__(runner, dataloader)
            self.evaluator = runner.build_evaluator(evaluator)
            self.dataloader2 = runner.build_dataloader(dataloader2)

        def run(self) -> Any:
            self.runner.call_hook("before_val_epoch")
            for idx, data_batch in enumerate(self.dataloader):
                self.run_iter(idx, data_batch)
            first = self.evaluator.evaluate()
            for _ in self.dataloader2:
                self.runner.call_hook("before_valloader2_iter")
            self.runner.call_hook("after_val_epoch", metrics=first)
            return first

        def run_iter(self, idx: int, data_batch: Any) -> None:
            outputs = self.runner.model.val_step(data_batch)
            self.evaluator.process(data_samples=outputs, data_batch=data_batch)

    class OnlyMine(Hook):
        def before_valloader2_iter(self, runner: Runner) -> None:
            points.append("mine")

    runner = make_runner(custom_hooks=[OnlyMine()], default_hooks={"logger": None})
    second = runner._settings.val_dataloader
    custom = {"type": "CustomValLoop", "dataloader2": second}
    runner = make_runner(val_cfg=custom, custom_hooks=[OnlyMine()], default_hooks={"logger": None})

    assert set(runner.val()) == {"error"}
    assert points == ["mine"] * 4
    LOOPS.module_dict.pop("CustomValLoop")


def test_own_run_of_a_validation_loop_reads_the_documented_names(make_runner: MakeRunner) -> None:
    class Plain(ValLoop):
        def run(self) -> Any:
            self.runner.model.eval()
            for idx, data_batch in enumerate(self.dataloader):
                self.run_iter(idx, data_batch)
            return self.evaluator.evaluate(len(self.dataloader.dataset))

    assert set(make_runner(val_cfg={"type": Plain}).val()) == {"error"}


def test_runner_has_the_private_names_that_libraries_read(
    make_runner: MakeRunner,
) -> None:
    runner: Any = make_runner(load_from="here.pth", test_dataloader=None)

    assert runner._train_loop is runner.train_loop
    assert runner._val_loop is runner.val_loop
    assert runner._test_loop is None
    assert runner._train_dataloader["batch_size"] == 3
    assert runner._test_dataloader is None
    assert list(runner._hooks) == runner.hooks
    assert runner._hooks[0] is runner.hooks[0]
    assert (runner._resume, runner._load_from) == (False, "here.pth")
    assert runner._visualizer is runner.visualizer


def test_there_are_no_schedules_where_none_are_set(make_runner: MakeRunner) -> None:
    runner = make_runner(param_scheduler=None)
    assert runner.param_schedulers is None

    runner.train()

    assert runner.param_schedulers is None


def test_learning_rates_without_schedules_are_scaled_once(make_runner: MakeRunner) -> None:
    runner = make_runner(param_scheduler=None, auto_scale_lr={"enable": True, "base_batch_size": 6})
    runner.train()
    runner.train()

    assert runner.optim_wrapper.get_lr()["lr"] == [0.05]


def test_loop_stage_is_none_between_loops(make_runner: MakeRunner) -> None:
    stages: list[Any] = []

    class Stages(Hook):
        def _note(self, runner: Runner) -> None:
            stages.append(runner.message_hub.get_info("loop_stage"))

        def before_train_epoch(self, runner: Runner) -> None:
            self._note(runner)

        def before_val_epoch(self, runner: Runner) -> None:
            self._note(runner)

        def after_val(self, runner: Runner) -> None:
            self._note(runner)

    runner = make_runner(train_cfg={"by_epoch": True, "max_epochs": 1}, custom_hooks=[Stages()])
    runner.train()
    assert stages == ["train", "val", "train"]
    assert runner.message_hub.get_info("loop_stage") is None

    runner.val()
    assert stages[3:] == ["val", None]
    info = next(hook for hook in runner.hooks if isinstance(hook, RuntimeInfoHook))
    assert info.last_loop_stage is None


def test_model_built_later_gets_no_preprocessor_of_the_run(make_runner: MakeRunner) -> None:
    built: list[dict[str, Any]] = []

    def model(**arguments: Any) -> Regressor:
        built.append(arguments)
        return Regressor()

    preprocessor = {"type": "BaseDataPreprocessor"}
    runner = make_runner(model={"type": model}, data_preprocessor=preprocessor)
    runner.build_model({"type": model})

    assert built == [{"data_preprocessor": preprocessor}, {}]
