"""`save_begin` and `published_keys` of the checkpoint hook."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine_model.weights import CheckpointError, CheckpointLoader
from engine_runner import Hook, Runner, find_latest_checkpoint
from engine_runner._errors import CheckpointWriteError
from engine_runner.checkpoint import read_manifest
from engine_runner.hooks import CheckpointHook

MakeRunner = Callable[..., Runner]
KEYS = ["meta", "state_dict"]


class Stop(Exception):
    """Ends a run in the middle."""


class StopAfterEpoch(Hook):
    """Ends the run after an epoch, as a crash would."""

    priority = "LOWEST"

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def after_val(self, runner: Runner) -> None:
        if runner.epoch == self.epoch:
            raise Stop


def _saving(**options: Any) -> dict[str, Any]:
    return {"checkpoint": {"type": "CheckpointHook", "interval": 1, **options}}


def _names(runner: Runner) -> list[str]:
    return sorted(file.name for file in Path(runner.work_dir).glob("*.pth"))


def _published(runner: Runner) -> list[Path]:
    return [file for file in Path(runner.work_dir).glob("*.pth") if "-" in file.name]


def _log(runner: Runner) -> str:
    return Path(runner.log_dir, f"{runner.timestamp}.log").read_text()


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"save_begin": 2}, ["epoch_2.pth", "epoch_3.pth"]),
        ({"save_begin": 1, "interval": 2}, ["epoch_1.pth", "epoch_3.pth"]),
        ({"save_begin": 9}, ["epoch_3.pth"]),
        ({"save_begin": 9, "save_last": False}, []),
        ({"save_begin": 7, "interval": 3, "by_epoch": False, "save_last": False},
         ["iter_10.pth", "iter_7.pth"]),
    ],
    ids=["epoch", "interval", "only-last", "never", "iteration"],
)  # fmt: skip
def test_first_checkpoint_is_that_of_save_begin(
    make_runner: MakeRunner, options: dict[str, Any], names: list[str]
) -> None:
    runner = make_runner(default_hooks=_saving(**options))

    runner.train()

    assert _names(runner) == names


def test_no_best_checkpoint_is_chosen_before_save_begin(make_runner: MakeRunner) -> None:
    # The error grows from one validation to the next, so that the first one would be the best.
    runner = make_runner(
        default_hooks=_saving(interval=-1, save_last=False, save_best="error", save_begin=2),
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.05, "maximize": True}},
    )

    runner.train()

    assert _names(runner) == ["best_error_epoch_2.pth"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"save_begin": 9}, "saves at its end only: save_begin=9, and the training has 3 epochs"),
        ({"save_begin": 2, "interval": -1}, "save_begin=2 acts on checkpoints of an interval"),
        ({"published_keys": KEYS, "save_last": False}, "published_keys never acts with"),
        (
            {"published_keys": ["stat_dict", "meta"]},
            "names 'stat_dict', which the checkpoint does not have; did you mean 'state_dict'?",
        ),
    ],
    ids=["late", "no-interval", "nothing-to-publish", "misspelled"],
)
def test_setting_that_never_acts_is_warned_of(
    make_runner: MakeRunner, options: dict[str, Any], words: str
) -> None:
    runner = make_runner(default_hooks=_saving(**options))

    runner.train()

    assert _log(runner).count(words) == 1


def test_keys_that_no_checkpoint_has_are_an_error_at_the_end(make_runner: MakeRunner) -> None:
    runner = make_runner(default_hooks=_saving(published_keys="weights"))

    with pytest.raises(CheckpointWriteError, match="has none of the keys 'weights'"):
        runner.train()

    assert _names(runner) == ["epoch_1.pth", "epoch_2.pth", "epoch_3.pth"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"save_begin": -1}, "save_begin must be an integer >= 0, got -1"),
        ({"published_keys": []}, r"published_keys must be .*, got \[\]"),
        ({"published_keys": [1]}, r"published_keys must be .*, got \[1\]"),
        ({"published_keys": 3}, r"published_keys must be .*, got 3"),
    ],
    ids=["begin", "no-keys", "numbers", "number"],
)
def test_wrong_setting_raises(argument: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CheckpointHook(**argument)


def test_last_and_best_checkpoints_are_published(make_runner: MakeRunner) -> None:
    runner = make_runner(default_hooks=_saving(save_best="error", published_keys=KEYS))

    state = runner.train().state_dict()

    files = {file.name[:-13]: file for file in _published(runner)}
    assert files.keys() == {"epoch_3", "best_error_epoch_3"}
    for name, file in files.items():
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert file.name == f"{name}-{digest[:8]}.pth"
        content = torch.load(file, weights_only=True)
        assert list(content) == KEYS
        assert all(torch.equal(content["state_dict"][key], state[key]) for key in state)
        manifest = read_manifest(str(file))
        assert manifest is not None
        assert (manifest.file, manifest.sha256) == (file.name, digest)
        assert not manifest.resumable
        with open(file, "r+b") as copy:
            copy.seek(file.stat().st_size // 2)
            copy.write(b"damage")
        with pytest.raises(CheckpointError, match="damaged"):
            CheckpointLoader.load_checkpoint(file)
        assert f"{name}.pth is published as {file.name}" in _log(runner)


def test_hub_of_torch_accepts_the_hash(make_runner: MakeRunner, tmp_path: Path) -> None:
    runner = make_runner(default_hooks=_saving(published_keys="state_dict"))
    runner.train()
    [file] = _published(runner)

    content = torch.hub.load_state_dict_from_url(
        file.as_uri(), model_dir=str(tmp_path), check_hash=True, weights_only=True
    )

    assert list(content) == ["state_dict"]


def test_resumed_run_publishes_the_best_of_before(make_runner: MakeRunner) -> None:
    hooks = _saving(save_best="error", rule="greater", published_keys=KEYS, max_keep_ckpts=1)
    broken = make_runner(default_hooks=hooks, custom_hooks=[StopAfterEpoch(2)])
    with pytest.raises(Stop):
        broken.train()
    assert not _published(broken)

    runner = make_runner(default_hooks=hooks, resume=True)
    runner.train()
    names = _names(runner)
    make_runner(default_hooks=hooks, resume=True).train()  # nothing is left to train

    copies = [re.sub("-[0-9a-f]{8}", "", file.name) for file in _published(runner)]
    assert sorted(copies) == ["best_error_epoch_1.pth", "epoch_3.pth"]
    assert _names(runner) == names  # the same files again


def test_resumed_run_in_another_folder_leaves_the_best_of_before(
    make_runner: MakeRunner, tmp_path: Path
) -> None:
    hooks = _saving(save_best="error", rule="less", published_keys=KEYS)
    first = make_runner(default_hooks=hooks, custom_hooks=[StopAfterEpoch(2)])
    with pytest.raises(Stop):
        first.train()
    (checkpoint,) = Path(first.work_dir).glob("epoch_2.pth")
    hooks["checkpoint"]["rule"] = "greater"  # no later one is better
    second = make_runner(
        default_hooks=hooks,
        work_dir=str(tmp_path / "other"),
        load_from=str(checkpoint),
        resume=True,
    )
    second.train()
    assert [file.name.split("-")[0] for file in _published(second)] == ["epoch_3"]


def test_published_copy_is_resumed_last(make_runner: MakeRunner) -> None:
    runner = make_runner(default_hooks=_saving(published_keys="state_dict"))
    runner.train()
    Path(runner.work_dir, "last_checkpoint").unlink()

    assert find_latest_checkpoint(runner.work_dir) == f"{runner.work_dir}/epoch_3.pth"


def test_checkpoint_that_is_gone_is_named_at_the_end(make_runner: MakeRunner) -> None:
    class Lose(Hook):
        priority = "HIGHEST"

        def after_train(self, runner: Runner) -> None:
            Path(runner.work_dir, "epoch_3.pth").unlink()

    runner = make_runner(
        default_hooks=_saving(published_keys=KEYS, save_best="error"), custom_hooks=[Lose()]
    )

    with pytest.raises(CheckpointWriteError, match=r"epoch_3\.pth was not published: "):
        runner.train()
    assert len(_published(runner)) == 1  # the best one


def test_early_stop_publishes_what_it_saves(make_runner: MakeRunner) -> None:
    stop = {"type": "EarlyStoppingHook", "monitor": "error", "patience": 1, "min_delta": 9.0}
    runner = make_runner(
        train_cfg={"by_epoch": True, "max_epochs": 9},
        default_hooks=_saving(interval=-1, published_keys=KEYS),
        custom_hooks=[stop],
    )

    runner.train()

    assert runner.epoch < 9
    assert [file.name[:8] for file in _published(runner)] == [f"epoch_{runner.epoch}-"]
