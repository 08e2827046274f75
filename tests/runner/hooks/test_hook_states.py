"""Hooks with state are saved under their names, and resumed."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runner.hooks.conftest import checkpoint_of, epochs

from engine_registry import HOOKS
from engine_runner import Hook, Runner
from engine_runner.hooks import CheckpointHook, HookList

MakeRunner = Callable[..., Runner]


class Tally(Hook):
    """Counts the iterations of a run and of those that it continues."""

    def __init__(self, start: int = 0) -> None:
        self.count = start

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.count += 1

    def state_dict(self) -> dict[str, int]:
        return {"count": self.count}

    def load_state_dict(self, state_dict: Mapping[str, int]) -> None:
        self.count = state_dict["count"]


class Score(Hook):
    """Gives the validations the scores of a list, in the place of the metric."""

    priority = "HIGHEST"

    def __init__(self, *scores: float) -> None:
        self.scores = list(scores)

    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        metrics["error"] = self.scores.pop(0)


def _files(runner: Runner, pattern: str = "*.pth") -> list[str]:
    return sorted(path.name for path in Path(runner.work_dir).glob(pattern))


def test_state_is_listed_under_the_name_or_the_class() -> None:
    hooks = HookList()
    hooks.add(Tally(1))
    hooks.add(Tally(2), name="epochs")
    hooks.add(Hook(), name="stateless")

    assert hooks.state_dict() == {"Tally": {"count": 1}, "epochs": {"count": 2}}


def test_two_hooks_of_one_class_are_numbered() -> None:
    hooks = HookList()
    for start in (1, 2, 3):
        hooks.add(Tally(start))

    assert hooks.state_dict() == {
        "Tally": {"count": 1},
        "Tally_2": {"count": 2},
        "Tally_3": {"count": 3},
    }


def test_number_does_not_take_the_name_of_another_hook() -> None:
    hooks = HookList()
    hooks.add(Tally(1), name="Tally_2")
    hooks.add(Tally(2))
    hooks.add(Tally(3))

    assert list(hooks.state_dict()) == ["Tally_2", "Tally", "Tally_3"]


def test_states_go_to_the_hooks_of_their_names() -> None:
    hooks = HookList()
    first, second = Tally(), Tally()
    hooks.add(first)
    hooks.add(second)

    hooks.load_state_dict({"Tally_2": {"count": 7}, "Tally": {"count": 5}})

    assert (first.count, second.count) == (5, 7)


@pytest.mark.parametrize("name", ["gone", "stateless"])
def test_state_without_its_hook_is_logged(caplog: pytest.LogCaptureFixture, name: str) -> None:
    hooks = HookList()
    hooks.add(Hook(), name="stateless")

    with caplog.at_level(logging.WARNING, logger="engine.runner"):
        hooks.load_state_dict({name: {"count": 1}})

    assert f"the state of a hook '{name}', which this run does not have" in caplog.text


def test_states_of_hooks_are_saved_and_resumed(make_runner: MakeRunner) -> None:
    HOOKS.register_module(module=Tally)
    hooks = {
        "default_hooks": {"tally": {"type": "Tally"}},
        "custom_hooks": [{"type": "Tally", "start": 100}, {"type": "Tally", "start": 200}],
    }
    first = make_runner(train_cfg=epochs(1), **hooks)
    first.train()

    saved = checkpoint_of(first, "epoch_1.pth")["hooks"]
    assert saved["tally"] == {"count": 4}
    assert saved["Tally"] == {"count": 104}
    assert saved["Tally_2"] == {"count": 204}
    assert saved["checkpoint"]["kept"] == {"names": ["epoch_1.pth"]}

    second = make_runner(train_cfg=epochs(2), resume=True, **hooks)
    second.train()

    assert checkpoint_of(second, "epoch_2.pth")["hooks"]["Tally_2"] == {"count": 208}


def test_weights_alone_bring_no_states_of_hooks(make_runner: MakeRunner, tmp_path: Path) -> None:
    HOOKS.register_module(module=Tally)
    first = make_runner(train_cfg=epochs(1), custom_hooks=[{"type": "Tally"}])
    first.train()

    second = make_runner(
        train_cfg=epochs(1),
        custom_hooks=[{"type": "Tally"}],
        load_from=f"{first.work_dir}/epoch_1.pth",
        work_dir=str(tmp_path / "second"),
    )
    second.train()

    assert checkpoint_of(second, "epoch_1.pth")["hooks"]["Tally"] == {"count": 4}


def _keeping(**options: Any) -> dict[str, Any]:
    return {"checkpoint": {"type": "CheckpointHook", "interval": 1, **options}}


def _as_former_version(runner: Runner, name: str) -> None:
    """Rewrite a checkpoint as the version did that had no states of hooks."""
    path = Path(runner.work_dir, name)
    Path(f"{path}.validated").unlink(missing_ok=True)
    checkpoint = torch.load(path, weights_only=True)
    state = checkpoint.pop("hooks")["checkpoint"]
    infos = {"kept_checkpoints": state["kept"]["names"]}
    one = len(state["best"]) == 1
    for key, best in state["best"].items():
        infos["best_score" if one else f"best_score_{key}"] = best["score"]
        infos["best_ckpt" if one else f"best_ckpt_{key}"] = best["path"]
    hub = checkpoint["message_hub"]
    for key in [key for key in hub["runtime_info"] if key.startswith("best_")]:
        del hub["runtime_info"][key]
    hub["runtime_info"].update(infos)
    hub["resumed_keys"].update(dict.fromkeys(infos, True))
    torch.save(checkpoint, path)


@pytest.mark.parametrize("former", [False, True], ids=["this-version", "former-version"])
def test_retention_survives_a_resume(make_runner: MakeRunner, former: bool) -> None:
    keep = _keeping(max_keep_ckpts=2)
    first = make_runner(train_cfg=epochs(2), default_hooks=keep)
    first.train()
    if former:
        _as_former_version(first, "epoch_2.pth")

    second = make_runner(train_cfg=epochs(3), default_hooks=keep, resume=True)
    second.train()

    assert _files(second) == ["epoch_2.pth", "epoch_3.pth"]
    assert checkpoint_of(second, "epoch_3.pth")["hooks"]["checkpoint"]["kept"]["names"] == [
        "epoch_1.pth",
        "epoch_2.pth",
        "epoch_3.pth",
    ]


@pytest.mark.parametrize("former", [False, True], ids=["this-version", "former-version"])
@pytest.mark.parametrize("improves", [False, True], ids=["worse", "better"])
def test_best_checkpoint_survives_a_resume(
    make_runner: MakeRunner, former: bool, improves: bool
) -> None:
    best = _keeping(save_best="error")
    first = make_runner(train_cfg=epochs(2), default_hooks=best, custom_hooks=[Score(0.5, 0.7)])
    first.train()
    if former:
        _as_former_version(first, "epoch_2.pth")
    assert _files(first, "best*.pth") == ["best_error_epoch_1.pth"]

    score = 0.1 if improves else 0.6
    second = make_runner(
        train_cfg=epochs(3),
        default_hooks=best,
        custom_hooks=[Score(0.7, score)],  # the last validation is repeated
        resume=True,
    )
    second.train()

    epoch = 3 if improves else 1
    assert _files(second, "best*.pth") == [f"best_error_epoch_{epoch}.pth"]
    assert second.message_hub.get_info("best_score") == (0.1 if improves else 0.5)


def test_several_best_metrics_of_a_former_version_survive_a_resume(
    make_runner: MakeRunner,
) -> None:
    best = _keeping(save_best=["error", "auto"], rule="less")
    first = make_runner(train_cfg=epochs(2), default_hooks=best, custom_hooks=[Score(0.5, 0.7)])
    first.train()
    _as_former_version(first, "epoch_2.pth")

    second = make_runner(
        train_cfg=epochs(2), default_hooks=best, custom_hooks=[Score(0.7)], resume=True
    )
    second.train()

    [hook] = [hook for hook in second.hooks if isinstance(hook, CheckpointHook)]
    assert [item.score for item in hook.best] == [0.5, 0.5]


def test_weights_of_a_former_version_bring_no_best_score(
    make_runner: MakeRunner, tmp_path: Path
) -> None:
    best = _keeping(save_best="error", max_keep_ckpts=1)
    first = make_runner(train_cfg=epochs(1), default_hooks=best, custom_hooks=[Score(0.1)])
    first.train()
    _as_former_version(first, "epoch_1.pth")

    second = make_runner(
        train_cfg=epochs(1),
        default_hooks=best,
        custom_hooks=[Score(0.9)],
        load_from=f"{first.work_dir}/epoch_1.pth",
        work_dir=str(tmp_path / "second"),
    )
    second.train()

    assert _files(second) == ["best_error_epoch_1.pth", "epoch_1.pth"]
    assert second.message_hub.get_info("best_score") == 0.9
