"""A run that returns to a checkpoint at a bad loss ends as one without the batch."""

import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runner.hooks.bad_loss_runs import (
    Data,
    Net,
    assert_equal,
    loader,
    log_of,
)
from torch import Tensor

from engine_runner import Hook, Runner
from engine_runner.environment._loader_workers import OutlivingWorker
from engine_runner.hooks import FiniteLossHook

SAVES = {"checkpoint": {"type": "CheckpointHook", "interval": 2, "by_epoch": False}}


@pytest.mark.parametrize("by_epoch", [True, False], ids=["epochs", "iterations"])
def test_rollback_ends_with_the_state_of_a_run_without_the_batch(
    train: Callable[..., Runner], by_epoch: bool
) -> None:
    loop = {"by_epoch": True, "max_epochs": 1} if by_epoch else {"by_epoch": False, "max_iters": 7}
    schedule = {"type": "ExponentialLR", "gamma": 0.9, "by_epoch": False, "end": 99}
    options: dict[str, Any] = {
        "train_cfg": loop,
        "param_scheduler": schedule,
        "default_hooks": SAVES,
        "custom_hooks": [{"type": "EMAHook", "momentum": 0.3}],
    }
    runner = train(train_dataloader=loader(Data([6])), on_bad_loss="rollback", **options)
    rest = [index for index in range(16) if index not in (6, 7)]
    clean = train("clean", train_dataloader=loader(Data(), rest), **options)

    runner.train()
    clean.train()

    assert_equal(runner, clean)
    history = runner.message_hub.get_scalar("train/loss")
    assert history.data[0].tolist() == clean.message_hub.get_scalar("train/loss").data[0].tolist()
    assert "returning to the last checkpoint for the 1. of at most 3 times" in log_of(runner)


def test_rollback_leaves_handlers_workers_and_locks_as_they_were(
    train: Callable[..., Runner], tmp_path: Path
) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    checkpoint = {**SAVES["checkpoint"], "out_dir": str(tmp_path / "elsewhere")}
    data = {**loader(Data([6])), "num_workers": 1, "persistent_workers": True}
    runner = train(
        train_dataloader=data,
        on_bad_loss="rollback",
        default_hooks={"checkpoint": checkpoint},
    )

    runner.train()

    assert "returning to the last checkpoint" in log_of(runner)
    assert runner.iter == 7
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.set_wakeup_fd(-1) == -1
    assert not isinstance(runner.train_dataloader.worker_init_fn, OutlivingWorker)


@pytest.mark.parametrize("interval", [1, -1], ids=["saves", "end"])
def test_rollback_of_a_run_that_saves_at_its_end_alone_is_warned_of(
    train: Callable[..., Runner], interval: int
) -> None:
    hooks = {"checkpoint": {"type": "CheckpointHook", "interval": interval}}
    runner = train(on_bad_loss="rollback", default_hooks=hooks)

    runner.train()

    assert ("has no checkpoint to return to" in log_of(runner)) == (interval < 0)


def test_rollback_restores_the_order_and_the_randomness(train: Callable[..., Runner]) -> None:
    class Noisy(Net):
        def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
            return super().forward(x + 0.1 * torch.randn(2, 1), y, mode)

    shuffled = {**loader(Data()), "sampler": {"type": "DefaultSampler", "shuffle": True}}
    options: dict[str, Any] = {"default_hooks": SAVES, "train_dataloader": shuffled}
    plain = train("plain", model=Noisy(), **options)
    plain.train()

    class Jumps(Hook):
        """Spoil the loss of the history once: a bad loss that leaves no trace in the weights."""

        def after_train_iter(
            self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
        ) -> None:
            if runner.iter == 7 and not hook.summary:
                runner.message_hub.update_scalar("train/loss", math.nan)

    runner = train(model=Noisy(), on_bad_loss="rollback", custom_hooks=[Jumps()], **options)
    hook = next(hook for hook in runner.hooks if isinstance(hook, FiniteLossHook))
    runner.train()

    first, second = (
        runner.message_hub.get_scalar("train/loss"),
        plain.message_hub.get_scalar("train/loss"),
    )
    assert first.data[0].tolist() == second.data[0].tolist()[:7]
    assert hook.summary == [("rolled back", "1 times; 1 batches passed over")]


def test_rollback_is_bounded_also_over_resumed_runs(train: Callable[..., Runner]) -> None:
    data = loader(Data([6]))
    options: dict[str, Any] = {
        "train_dataloader": data,
        "default_hooks": SAVES,
        "on_bad_loss": {"type": "rollback", "max_rollbacks": 2},
    }
    train(**options, train_cfg={"by_epoch": True, "max_epochs": 2}).train()
    runner = train(**options, resume=True, train_cfg={"by_epoch": True, "max_epochs": 3})

    with pytest.raises(ArithmeticError, match=r"rolled back 2 times already \(max_rollbacks\)"):
        runner.train()


@pytest.mark.parametrize("begin", ["named", "restarted"])
def test_rollback_returns_to_no_checkpoint_that_the_run_has_not_resumed(
    train: Callable[..., Runner], begin: str
) -> None:
    options: dict[str, Any] = {"default_hooks": SAVES, "on_bad_loss": "rollback"}
    first = train(**options)
    first.train()  # saves iter_2.pth to iter_8.pth
    named = str(Path(first.work_dir, "iter_4.pth")) if begin == "named" else None
    data = {"train_dataloader": loader(Data([8] if named else [0]))}
    loop = {"by_epoch": True, "max_epochs": 2}
    runner = train(**options, **data, train_cfg=loop, resume=True, load_from=named)
    if begin == "restarted":
        runner.checkpointer.restarts.add("optimizer")

    with pytest.raises(ArithmeticError, match="has saved no checkpoint to return to"):
        runner.train()


def test_rollback_takes_over_the_states_that_the_resumed_run_has_restarted(
    train: Callable[..., Runner],
) -> None:
    options: dict[str, Any] = {"default_hooks": SAVES, "on_bad_loss": "rollback"}
    train(**options).train()
    loop = {"by_epoch": True, "max_epochs": 2}
    data = {"train_dataloader": loader(Data([6]))}
    runner = train(**options, **data, train_cfg=loop, resume=True)
    runner.checkpointer.restarts.add("optimizer")

    runner.train()

    states = runner.optim_wrapper.optimizer.state_dict()["state"]
    assert {float(state["step"]) for state in states.values()} == {7.0}
    assert all(state["exp_avg"].isfinite().all() for state in states.values())


def test_rollback_without_a_checkpoint_of_this_run_stops(train: Callable[..., Runner]) -> None:
    train(default_hooks=SAVES).train()  # an earlier run in the same folder
    runner = train(
        train_dataloader=loader(Data([2])),
        default_hooks={"checkpoint": {"type": "CheckpointHook"}},
        on_bad_loss="rollback",
    )

    with pytest.raises(ArithmeticError, match="has saved no checkpoint to return to"):
        runner.train()
