"""What is saved, what is kept, and how a run goes on."""

import errno
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine_model.weights import StateDictError
from engine_runner import Hook, Runner, find_latest_checkpoint
from engine_runner.checkpoint import mark_latest_checkpoint

MakeRunner = Callable[..., Runner]


class Stop(Exception):
    """Ends a run in the middle."""


class StopAfter(Hook):
    """Ends the run after some iterations, as a crash would."""

    priority = "LOWEST"

    def __init__(self, iterations: int) -> None:
        self.iterations = iterations

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if runner.iter + 1 == self.iterations:
            raise Stop


@pytest.mark.parametrize("stop", [2, 4, 5, 8, 11], ids=lambda stop: f"after-{stop}")
@pytest.mark.parametrize("by_epoch", [True, False], ids=["epochs", "iterations"])
def test_resumed_run_ends_as_the_uninterrupted_one(
    settings: Callable[..., dict[str, Any]], tmp_path: Path, stop: int, by_epoch: bool
) -> None:
    loop = (
        {"by_epoch": True, "max_epochs": 3}
        if by_epoch
        else {"by_epoch": False, "max_iters": 12, "val_interval": 5}
    )
    changes = {
        "train_cfg": loop,
        "default_hooks": {
            "checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 1}
        },
    }
    whole = settings(**changes, work_dir=str(tmp_path / "whole"))
    expected = Runner(**whole).train().state_dict()

    broken = settings(**changes)
    with pytest.raises(Stop):
        Runner(**broken, custom_hooks=[StopAfter(stop)]).train()
    resumed = settings(**changes, resume=True)
    runner = Runner(**resumed)
    state = runner.train().state_dict()

    assert runner.iter == 12
    assert all(torch.equal(expected[name], state[name]) for name in expected)
    asked = [run["train_dataloader"]["dataset"].asked for run in (broken, resumed, whole)]
    assert asked[0] + asked[1] == asked[2]  # no sample twice, none left out, in the same order


def test_interrupted_validation_is_made_up_for(
    make_runner: MakeRunner, settings: Callable[..., dict[str, Any]]
) -> None:
    class StopBeforeValidation(Hook):
        def before_val(self, runner: Runner) -> None:
            raise Stop

    with pytest.raises(Stop):
        make_runner(custom_hooks=[StopBeforeValidation()]).train()
    validated: list[int] = []

    class Note(Hook):
        def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
            validated.append(runner.epoch)

    make_runner(resume=True, custom_hooks=[Note()]).train()

    assert validated == [1, 2, 3]


def test_resume_without_a_checkpoint_starts_anew(make_runner: MakeRunner) -> None:
    runner = make_runner(resume=True)

    runner.train()

    assert runner.epoch == 3


def test_load_from_takes_weights_alone(make_runner: MakeRunner, tmp_path: Path) -> None:
    first = make_runner()
    trained = first.train().state_dict()
    second = make_runner(
        load_from=f"{first.work_dir}/epoch_3.pth", work_dir=str(tmp_path / "second")
    )

    second.load_or_resume()

    assert second.epoch == 0
    assert all(torch.equal(trained[name], second.model.state_dict()[name]) for name in trained)


def test_checkpoint_holds_plain_data(make_runner: MakeRunner) -> None:
    runner = make_runner()
    runner.train()

    checkpoint = torch.load(f"{runner.work_dir}/epoch_3.pth", weights_only=True)

    assert {"meta", "state_dict", "optimizer", "param_schedulers", "message_hub"} <= set(checkpoint)
    assert (checkpoint["meta"]["epoch"], checkpoint["meta"]["iter"]) == (3, 12)


def test_old_checkpoints_are_deleted_also_by_a_resumed_run(
    make_runner: MakeRunner,
) -> None:
    keep = {"checkpoint": {"type": "CheckpointHook", "interval": 1, "max_keep_ckpts": 2}}
    with pytest.raises(Stop):
        make_runner(default_hooks=keep, custom_hooks=[StopAfter(10)]).train()

    runner = make_runner(default_hooks=keep, resume=True)
    runner.train()

    assert sorted(path.name for path in Path(runner.work_dir).glob("epoch_*.pth")) == [
        "epoch_2.pth",
        "epoch_3.pth",
    ]


def test_hook_does_not_delete_what_another_hook_keeps(make_runner: MakeRunner) -> None:
    newest = {"type": "CheckpointHook", "interval": 1, "max_keep_ckpts": 1}
    each_second = {"type": "CheckpointHook", "interval": 2, "save_last": False}
    runner = make_runner(
        default_hooks={"checkpoint": newest},
        custom_hooks=[each_second],
        train_cfg={"by_epoch": True, "max_epochs": 5},
    )

    runner.train()

    assert sorted(file.name for file in Path(runner.work_dir).glob("*.pth")) == [
        "epoch_2.pth",
        "epoch_4.pth",
        "epoch_5.pth",
    ]


def test_best_checkpoint_replaces_the_former(make_runner: MakeRunner) -> None:
    runner = make_runner(
        default_hooks={"checkpoint": {"type": "CheckpointHook", "save_best": "auto"}}
    )

    runner.train()

    [best] = Path(runner.work_dir).glob("best_*.pth")
    score = runner.message_hub.get_info("best_score")
    errors = runner.message_hub.get_scalar("val/error").data[0]
    assert score == pytest.approx(min(errors))
    epoch = int(errors.argmin()) + 1
    assert best.name == f"best_error_epoch_{epoch}.pth"
    assert torch.load(best, weights_only=True)["meta"]["epoch"] == epoch


def test_checkpoints_go_below_out_dir(make_runner: MakeRunner, tmp_path: Path) -> None:
    out_dir = tmp_path / "elsewhere"
    runner = make_runner(
        default_hooks={"checkpoint": {"type": "CheckpointHook", "out_dir": str(out_dir)}}
    )

    runner.train()

    assert (out_dir / "work" / "epoch_3.pth").is_file()
    assert find_latest_checkpoint(runner.work_dir) == str(out_dir / "work" / "epoch_3.pth")


def test_latest_checkpoint_of_a_moved_folder_is_found(tmp_path: Path) -> None:
    former, moved = tmp_path / "former", tmp_path / "moved"
    former.mkdir()
    (former / "epoch_1.pth").write_bytes(b"")
    mark_latest_checkpoint(former, former / "epoch_1.pth")

    former.rename(moved)

    assert find_latest_checkpoint(moved) == str(moved / "epoch_1.pth")


@pytest.mark.parametrize("lost", ["last_checkpoint", "epoch_3.pth"])
def test_checkpoint_written_last_takes_the_place_of_what_was_lost(
    make_runner: MakeRunner, lost: str
) -> None:
    best = {"checkpoint": {"type": "CheckpointHook", "interval": 1, "save_best": "error"}}
    runner = make_runner(default_hooks=best)
    runner.train()
    work_dir = Path(runner.work_dir)
    (work_dir / lost).unlink()

    found = find_latest_checkpoint(work_dir)

    expected = "epoch_3.pth" if lost == "last_checkpoint" else "epoch_2.pth"
    assert found == str(work_dir / expected)


def test_latest_checkpoint_that_is_gone_is_none(tmp_path: Path) -> None:
    mark_latest_checkpoint(tmp_path, tmp_path / "epoch_1.pth")

    assert find_latest_checkpoint(tmp_path) is None


@pytest.mark.parametrize("stop", [8, 6], ids=["between-epochs", "within-an-epoch"])
def test_resume_with_another_batch_size_trains_the_epochs_that_are_left(
    settings: Callable[..., dict[str, Any]], stop: int
) -> None:
    hooks = {"checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 1}}
    with pytest.raises(Stop):
        Runner(**settings(default_hooks=hooks), custom_hooks=[StopAfter(stop)]).train()
    arguments = settings(default_hooks=hooks, resume=True)
    arguments["train_dataloader"]["batch_size"] = 6  # 2 batches an epoch, rather than 4

    runner = Runner(**arguments)
    runner.train()

    left = {8: 2, 6: 3}[stop]
    assert (runner.epoch, runner.iter, runner.max_iters) == (3, stop + left, stop + left)
    assert Path(runner.work_dir, f"iter_{stop + left}.pth").is_file()
    assert runner.message_hub.get_info("eta") == 0


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits of a file's size")
@pytest.mark.parametrize("room", [1000, 100_000], ids=["for-nothing", "for-a-part"])
def test_disk_without_room_is_told_with_the_file_and_leaves_the_former_checkpoint(
    make_runner: MakeRunner, room: int
) -> None:
    import resource

    model = make_runner().model
    model.large = torch.nn.Parameter(torch.zeros(100_000))
    runner = make_runner(model=model)
    path = Path(runner.save_checkpoint(runner.work_dir, "saved.pth"))
    former, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(OSError, match=r"saved\.pth") as raised:
            runner.save_checkpoint(runner.work_dir, "saved.pth")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert raised.value.errno == errno.EFBIG
    assert path.read_bytes() == former
    assert [file.name for file in path.parent.glob("*.pth")] == ["saved.pth"]


def test_resume_with_other_schedules_is_refused(make_runner: MakeRunner) -> None:
    make_runner().train()
    schedules = [{"type": "LinearLR"}, {"type": "ConstantLR"}]

    with pytest.raises(ValueError, match="has 1 parameter schedulers, the run has 2"):
        make_runner(resume=True, param_scheduler=schedules).train()


def test_resume_from_weights_alone_is_refused(make_runner: MakeRunner, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    torch.save(make_runner().model.state_dict(), file)

    with pytest.raises(ValueError, match="resume=False"):
        make_runner(load_from=str(file), resume=True).train()


def test_automatic_resume_passes_over_a_checkpoint_without_the_optimizer(
    make_runner: MakeRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = {"type": "CheckpointHook", "interval": 1, "save_optimizer": False}
    whole = {"type": "CheckpointHook", "interval": 2, "filename_tmpl": "whole_{}.pth"}
    whole["save_last"] = False
    options: dict[str, Any] = {"default_hooks": {"checkpoint": weights}, "custom_hooks": [whole]}
    make_runner(**options).train()
    runner = make_runner(**options, resume=True)

    source, resumes = runner.checkpointer.source(runner, None, resumes=True)

    assert resumes
    assert source == str(Path(runner.work_dir) / "whole_2.pth")
    log = capsys.readouterr().out
    assert "epoch_3.pth cannot be resumed: it has no state of the optimizer" in log
    assert f"resuming the older {source}" in log
    runner.resume(source)
    assert runner.epoch == 2


def test_resume_after_a_damaged_checkpoint_takes_none_without_the_optimizer(
    make_runner: MakeRunner,
) -> None:
    def hook(name: str, **options: Any) -> dict[str, Any]:
        return {"type": "CheckpointHook", "filename_tmpl": f"{name}_{{}}.pth", **options}

    weights = hook("weights", save_optimizer=False, save_last=False, interval=1)
    whole = hook("whole", interval=1)
    options: dict[str, Any] = {"default_hooks": {"checkpoint": weights}, "custom_hooks": [whole]}
    make_runner(**options).train()
    runner = make_runner(**options, resume=True, train_cfg={"by_epoch": True, "max_epochs": 4})
    (Path(runner.work_dir) / "whole_3.pth").write_bytes(b"")

    runner.load_or_resume()

    assert runner.epoch == 2  # whole_2, not the weights of epoch 3


def test_resume_with_another_model_is_refused(
    make_runner: MakeRunner, settings: Callable[..., dict[str, Any]]
) -> None:
    make_runner().train()
    other = settings()["model"]
    other.linear = torch.nn.Linear(1, 1, bias=False)
    other.second = torch.nn.Linear(1, 1)

    with pytest.raises(StateDictError, match=r"(?s)missing.*second\.weight.*resume=False"):
        make_runner(model=other, resume=True).train()


def test_resume_tells_what_has_changed_in_the_config(
    settings: Callable[..., dict[str, Any]],
) -> None:
    def log(**changes: Any) -> str:
        runner = Runner(**settings(**changes))
        runner.train()
        return Path(runner.log_dir, f"{runner.timestamp}.log").read_text()

    log(cfg={"lr": 0.1, "unchanged": 1, "work_dir": "a"})
    same = log(cfg={"lr": 0.1, "unchanged": 1, "work_dir": "b"}, resume=True)
    changed = log(cfg={"lr": 0.2, "unchanged": 1}, resume=True)

    assert "the config has changed" not in same
    assert (
        "the config has changed since the checkpoint was saved:\n-lr = 0.1\n+lr = 0.2\nOpt"
        in changed
    )


def test_test_gives_the_metrics_of_the_checkpoint(
    make_runner: MakeRunner, settings: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    trained = make_runner()
    trained.train()
    arguments = settings(work_dir=str(tmp_path / "test"))
    runner = Runner(
        **{
            **arguments,
            "test_dataloader": arguments["val_dataloader"],
            "test_cfg": {},
            "test_evaluator": arguments["val_evaluator"],
            "load_from": f"{trained.work_dir}/epoch_3.pth",
        }
    )

    metrics = runner.test()

    assert metrics["error"] == pytest.approx(trained.message_hub.get_scalar("val/error").current())


@pytest.mark.parametrize("seed", [2, None], ids=["seed-in-the-config", "no-seed"])
def test_resume_with_another_seed_warns_only_if_the_config_has_it(
    make_runner: MakeRunner, seed: int | None
) -> None:
    make_runner(randomness={"seed": 1}).train()
    resumed = make_runner(randomness={"seed": seed}, resume=True)
    resumed.train()
    text = Path(resumed.log_dir, f"{resumed.timestamp}.log").read_text(encoding="utf-8")
    assert ("saved with seed=1, this run has 2: random numbers continue" in text) is bool(seed)
    assert ("saved with seed" in text) is bool(seed)
