"""Trials of a config read the weights of ``load_from`` with the arguments of its hooks."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, ClassVar

import pytest
import torch

from engine_model.weights import save_checkpoint
from engine_runner import Hook, Runner, dry_run
from engine_runner._redirected import build_trial, redirected_config
from engine_runner.hooks import CheckpointHook
from engine_runner.tuning import find_learning_rate

Settings = Callable[..., dict[str, Any]]


class Look(Hook):
    """Note the first weight that a training begins with."""

    found: ClassVar[list[float]] = []

    def before_train(self, runner: Runner) -> None:
        self.found.append(runner.model.linear.weight[0, 0].item())


@pytest.fixture(params=["config", "object"])
def cfg(
    request: pytest.FixtureRequest, settings: Settings, s3_options: dict[str, Any], bucket: str
) -> dict[str, Any]:
    """Return a config that loads the weights 7 from a storage that needs arguments."""
    place: dict[str, Any] = {"out_dir": f"s3://{bucket}/runs", "backend_args": s3_options}
    path = f"s3://{bucket}/pretrained/weights.pth"
    base = settings(load_from=path)
    weights = {key: torch.full_like(one, 7.0) for key, one in base["model"].state_dict().items()}
    save_checkpoint({"state_dict": weights, "meta": {}}, path, backend_args=s3_options)
    hook = {"type": "CheckpointHook", "interval": 1, **place}
    made: Any = hook if request.param == "config" else CheckpointHook(interval=1, **place)
    return {**base, "default_hooks": {"checkpoint": made}, "custom_hooks": [Look()]}


def test_dry_run_loads_weights_from_the_storage_of_the_run(cfg: dict[str, Any]) -> None:
    Look.found.clear()

    stages = dry_run(cfg)

    assert [stage.name for stage in stages] == ["train", "checkpoint", "validation"]
    assert Look.found == [7.0]


def test_search_for_a_rate_loads_weights_from_the_storage_of_the_run(cfg: dict[str, Any]) -> None:
    runner = Runner(**{**cfg, "model": deepcopy(cfg["model"])})

    for searched in (cfg, runner):
        curve = find_learning_rate(searched, 1e-8, 1e-7, 3)

        assert curve.losses[0] > 15  # that of the initial weights is below


def test_trial_writes_to_its_folder_alone(cfg: dict[str, Any], tmp_path: Any) -> None:
    folder = str(tmp_path / "trial")

    runner = build_trial(redirected_config(cfg, folder), cfg)
    runner.load_or_resume()

    assert runner.model.linear.weight[0, 0] == 7
    hook = next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    assert hook.checkpoint_folder(runner).path.startswith(folder)
    assert hook.checkpoint_folder(runner).backend_args is None
