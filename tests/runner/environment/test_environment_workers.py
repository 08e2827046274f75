"""The workers of a run's loaders end with the run, whichever way it ends."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from engine_dataset import ResumableDataLoader, end_workers
from engine_runner import Hook, Runner
from engine_runner.loops import EpochBasedTrainLoop


class Stops(Hook):
    """Raises in the second iteration of a mode."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def _after_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
        mode: str = "",
    ) -> None:
        if mode == self.mode and batch_idx == 1:
            raise ZeroDivisionError


class Stream(IterableDataset[tuple[Tensor, Tensor]]):
    """Eight samples without indices."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter([(torch.ones(1), torch.ones(1))] * 8)


class Numbered(IterableDataset[tuple[Tensor, Tensor]]):
    """Eight numbers without indices."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter([(torch.tensor([float(number)]), torch.ones(1)) for number in range(8)])


POINTS = TensorDataset(torch.linspace(-1, 1, 8)[:, None], torch.ones(8, 1))
LOADERS: dict[str, Callable[..., Any]] = {
    "config": lambda **options: {
        "dataset": POINTS,
        "batch_size": 2,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
        **options,
    },
    "by hand": lambda **options: DataLoader(POINTS, batch_size=2, **options),
    "stream": lambda **options: DataLoader(Stream(), batch_size=2, **options),
    "resumable": lambda **options: ResumableDataLoader(POINTS, batch_size=2, **options),
}


@pytest.mark.parametrize("ending", ["end", "train", "val"])
@pytest.mark.parametrize("persistent", [True, False], ids=["persistent", "new"])
@pytest.mark.parametrize("kind", LOADERS)
def test_workers_end_with_the_run(
    make_runner: Callable[..., Runner], kind: str, persistent: bool, ending: str
) -> None:
    options = {"num_workers": 1, "persistent_workers": persistent}
    runner = make_runner(
        train_dataloader=LOADERS[kind](**options),
        val_dataloader=LOADERS[kind](**options),
        train_cfg={"by_epoch": True, "max_epochs": 1},
        param_scheduler=None,
        custom_hooks=[Stops(ending)],
    )
    if ending == "end":
        runner.train()
    else:
        with pytest.raises(ZeroDivisionError):
            runner.train()
    assert not multiprocessing.active_children()


def test_workers_of_an_endless_loop_end_with_the_run(make_runner: Callable[..., Runner]) -> None:
    runner = make_runner(
        train_dataloader=LOADERS["config"](num_workers=1),
        train_cfg={"by_epoch": False, "max_iters": 3},
        val_dataloader=None,
        val_cfg=None,
        val_evaluator=None,
    )
    runner.train()
    assert not multiprocessing.active_children()


def test_generator_of_a_loop_survives_the_run(make_runner: Callable[..., Runner]) -> None:
    class Planned(EpochBasedTrainLoop):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.plan = (number for number in range(9))

        def run_iter(self, idx: int, data_batch: Any) -> None:
            next(self.plan)
            super().run_iter(idx, data_batch)

    runner = make_runner(train_cfg={"type": Planned, "max_epochs": 1}, param_scheduler=None)
    runner.train()
    assert next(runner.train_loop.plan) == 4


def test_run_that_is_prolonged_in_its_process_reads_on(make_runner: Callable[..., Runner]) -> None:
    seen: list[list[float]] = []

    class Seen(Hook):
        def after_train_iter(
            self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
        ) -> None:
            seen.append(data_batch[0].flatten().tolist())

    runner = make_runner(
        train_dataloader=DataLoader(Numbered(), batch_size=2, num_workers=1),
        train_cfg={"by_epoch": True, "max_epochs": 1, "epoch_length": 3},
        param_scheduler=None,
        val_dataloader=None,
        val_cfg=None,
        val_evaluator=None,
        custom_hooks=[Seen()],
    )
    runner.train()
    runner.train_loop._max_epochs = 2
    runner.train()
    whole = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]
    assert seen == [*whole, *whole[:2]]


def test_loader_starts_new_workers_after_an_end() -> None:
    loader: Any = ResumableDataLoader(
        cast(Any, range(6)), batch_size=2, num_workers=1, persistent_workers=True
    )
    first = next(iter(loader))
    end_workers(loader)
    assert not multiprocessing.active_children()
    assert [batch.tolist() for batch in loader] == [first.tolist(), [2, 3], [4, 5]]
    end_workers(loader)


def test_worker_that_is_stuck_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.2)
    loader: Any = ResumableDataLoader(
        cast(Any, Stuck()), batch_size=1, num_workers=1, worker_init_fn=_ignore_sigterm
    )
    batches = iter(loader)
    next(batches)
    end_workers(loader)
    for worker in multiprocessing.active_children():
        worker.join(5)
    assert not multiprocessing.active_children()
    with pytest.raises(RuntimeError, match="workers of this pass have ended before its batch 1"):
        next(batches)


class Stuck:
    """The second sample takes a minute."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> int:
        time.sleep(60 * index)
        return index


def _ignore_sigterm(worker_id: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def test_second_pass_over_persistent_workers_is_told() -> None:
    loader: Any = ResumableDataLoader(
        cast(Any, range(6)), batch_size=2, num_workers=1, persistent_workers=True
    )
    first = iter(loader)
    next(first)
    list(loader)
    with pytest.raises(RuntimeError, match="another pass over the loader has begun"):
        next(first)
    end_workers(loader)
