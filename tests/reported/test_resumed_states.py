"""What a checkpoint has for a resume and for inference tools, and what a resume needs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from tests.reported.conftest import Slope, loader
from torch.utils.data import ConcatDataset, DataLoader, Subset

from engine_fileio import list_dir_or_file
from engine_runner import Hook, Runner
from engine_runner._errors import SettingsError
from engine_runner.hooks import CheckpointHook

Toy = Callable[..., Runner]
MOMENTUM = {"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}}


class Named(Slope):
    """Points with metainfo, as data sets of classes have."""

    metainfo: ClassVar[dict[str, Any]] = {
        "classes": ("cat", "dog"),
        "palette": np.array([[1, 2, 3]]),
        "of": print,
    }


def _saving(**options: Any) -> dict[str, Any]:
    return {"checkpoint": {"type": "CheckpointHook", "interval": 1, **options}}


def _saved(runner: Runner, name: str) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(Path(runner.work_dir, name), weights_only=True)
    return found


def test_best_checkpoint_resumes_momentum_and_does_not_validate_again(toy_run: Toy) -> None:
    changes = {"optim_wrapper": MOMENTUM, "param_scheduler": {"type": "StepLR", "step_size": 1}}
    first = toy_run(validate=[0.9, 0.1], default_hooks=_saving(save_best="acc"), **changes)
    whole = first.train().state_dict()
    validated: list[int] = []

    class Note(Hook):
        def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
            validated.append(runner.epoch)

    best = str(Path(first.work_dir, "best_acc_epoch_1.pth"))
    second = toy_run(validate=[0.1], load_from=best, resume=True, custom_hooks=[Note()], **changes)
    resumed = second.train().state_dict()

    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert validated == [2]


@pytest.mark.parametrize(
    ("option", "part"),
    [("save_optimizer", "--restart-optimizer"), ("save_param_scheduler", "--restart-schedules")],
)
def test_resume_without_a_state_raises_with_the_way_out(
    toy_run: Toy, option: str, part: str
) -> None:
    schedule = {"param_scheduler": {"type": "StepLR", "step_size": 1}}
    toy_run(default_hooks=_saving(**{option: False}), **schedule).train()

    resumed = toy_run(resume=True, **schedule)
    with pytest.raises(SettingsError, match=f"(?s)resume=False.*{part}"):
        resumed.train()


def test_finished_run_with_a_scaler_is_resumed_and_ends(toy_run: Toy) -> None:
    scaled = {"optim_wrapper": {**MOMENTUM, "type": "AmpOptimWrapper", "dtype": "float16"}}
    toy_run(**scaled).train()

    resumed = toy_run(**scaled, resume=True)
    resumed.train()

    assert resumed.iter == 8


def test_resume_may_restart_what_the_checkpoint_lacks(toy_run: Toy) -> None:
    toy_run(default_hooks=_saving(save_optimizer=False)).train()

    resumed = toy_run(resume=True, train_cfg={"by_epoch": True, "max_epochs": 3})
    resumed.checkpointer.restarts.add("optimizer")
    resumed.train()

    assert resumed.iter == 12


@pytest.mark.parametrize("by_hand", [False, True], ids=["config", "loader-by-hand"])
@pytest.mark.parametrize(
    "wrap",
    [lambda data: data, lambda data: Subset(data, range(8)), lambda data: ConcatDataset([data])],
    ids=["dataset", "subset", "concatenated"],
)
def test_class_names_of_the_training_data_are_saved(
    toy_run: Toy, wrap: Callable[[Any], Any], by_hand: bool
) -> None:
    data = wrap(Named())
    runner = toy_run(
        train_dataloader=DataLoader(data, batch_size=2) if by_hand else loader(data),
        train_cfg={"by_epoch": False, "max_iters": 2},
        default_hooks={"checkpoint": {"type": "CheckpointHook", "interval": 2, "by_epoch": False}},
    )
    runner.train()

    meta = _saved(runner, "iter_2.pth")["meta"]

    assert meta["dataset_meta"] == {"classes": ("cat", "dog"), "palette": [[1, 2, 3]]}
    assert meta["mmengine_version"].count(".") == 2
    assert runner.message_hub.get_info("dataset_meta")["classes"] == ("cat", "dog")


def test_class_names_of_the_validation_data_take_the_place_of_missing_ones(toy_run: Toy) -> None:
    runner = toy_run(validate=[0.1, 0.2], val_dataloader=loader(Named()))
    runner.train()

    assert _saved(runner, "epoch_2.pth")["meta"]["dataset_meta"]["classes"] == ("cat", "dog")


def test_home_folder_of_out_dir_is_expanded_and_its_checkpoints_deleted(
    toy_run: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    toy_run(default_hooks=_saving(out_dir="~/out", max_keep_ckpts=1)).train()

    assert [file.name for file in (tmp_path / "out" / "work").glob("*.pth")] == ["epoch_2.pth"]


def test_checkpoints_of_another_storage_are_deleted_and_resumed(
    toy_run: Toy, tmp_path: Path
) -> None:
    pytest.importorskip("fsspec")
    args = {"backend": "fsspec"}
    out = f"memory://{tmp_path.name}"
    hooks = _saving(out_dir=out, max_keep_ckpts=1, save_best="acc", backend_args=args)
    runner = toy_run(validate=[0.1, 0.2], default_hooks=hooks)
    runner.train()

    files = sorted(list_dir_or_file(f"{out}/work", backend_args=args, suffix=".pth"))
    assert files == ["best_acc_epoch_2.pth", "epoch_2.pth"]
    [hook] = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    assert hook.backend_args == args
    assert hook.file_backend is not None
    assert hook.file_client is not None
    assert hook.file_client.client.isfile(f"{out}/work/epoch_2.pth")


def test_older_argument_of_the_storage_is_deprecated() -> None:
    with pytest.warns(DeprecationWarning, match="backend_args"):
        CheckpointHook(file_client_args={"backend": "disk"})


def test_older_argument_of_a_single_save_is_deprecated(tmp_path: Path, toy_run: Toy) -> None:
    runner = toy_run()
    runner.train()
    with pytest.warns(DeprecationWarning, match="of save_checkpoint is deprecated") as warned:
        runner.save_checkpoint(str(tmp_path), "a.pth", file_client_args={"backend": "disk"})
    assert [Path(one.filename).name for one in warned] == [Path(__file__).name]
    assert (tmp_path / "a.pth").is_file()
    with pytest.raises(ValueError, match="either backend_args or file_client_args"):
        runner.save_checkpoint(str(tmp_path), "a.pth", file_client_args={}, backend_args={})
