"""Test-time augmentation of a run: by hook, from a config, and as the tutorial does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine_config import Config, ConfigDict
from engine_dataset import BaseDataset
from engine_evaluator import BaseMetric
from engine_model import BaseModel, BaseTTAModel
from engine_registry import DATASETS, METRICS, MODELS, TRANSFORMS
from engine_runner import Runner
from engine_runner._errors import SettingsError
from engine_runner.hooks import PrepareTTAHook, tta_config


class Numbers(BaseDataset):
    """The numbers 0 to 4."""

    def load_data_list(self) -> list[dict[str, Any]]:
        return [{"value": float(number)} for number in range(5)]


class Pack:
    """Return the input and the data sample of a number."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        return {"inputs": torch.tensor([results["value"]]), "data_samples": results["value"]}


class TwoViews:
    """Return two views of a sample: itself, and itself plus 10."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        pack = Pack()
        both = [pack(results), pack({**results, "value": results["value"] + 10})]
        return {key: [view[key] for view in both] for key in both[0]}


class Double(BaseModel):
    """Return a multiple of the inputs, and fail if asked to."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([2.0]))
        self.fails = fails

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        if mode == "loss":
            return {"loss": torch.stack(inputs).mean() * self.factor.sum()}
        if self.fails:
            raise RuntimeError("the model fails")
        return [self.factor * value for value in inputs]


class MeanOfViews(BaseTTAModel):
    """Keep what is merged, and return the mean."""

    merged: Any = None

    def merge_preds(self, data_samples_list: list[list[Tensor]]) -> list[Tensor]:
        type(self).merged = data_samples_list
        return [torch.stack(list(views)).mean(0) for views in data_samples_list]


class Values(BaseMetric):
    """The predictions, as a list."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [item.item() for item in data_samples]

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        return {"values": list(results), "sum": sum(results)}


@pytest.fixture(autouse=True)
def _registered() -> None:
    parts: list[tuple[Any, Any]] = [
        (DATASETS, Numbers),
        (TRANSFORMS, Pack),
        (TRANSFORMS, TwoViews),
        (MODELS, Double),
        (MODELS, MeanOfViews),
        (METRICS, Values),
    ]
    for registry, part in parts:
        registry.register_module(module=part, force=True)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    loader = {
        "dataset": {"type": "Numbers", "pipeline": [{"type": "Pack"}]},
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "batch_size": 3,
    }
    return Config(
        {
            "model": {"type": "Double"},
            "work_dir": str(tmp_path / "work"),
            "val_dataloader": loader,
            "val_cfg": {},
            "val_evaluator": {"type": "Values"},
            "test_dataloader": loader,
            "test_cfg": {},
            "test_evaluator": {"type": "Values"},
            "tta_model": {"type": "MeanOfViews"},
            "tta_pipeline": [{"type": "TwoViews"}],
        }
    )


PLAIN = [0.0, 2.0, 4.0, 6.0, 8.0]
AUGMENTED = [10.0, 12.0, 14.0, 16.0, 18.0]


def test_config_with_tta_merges_the_views(config: Config) -> None:
    runner = Runner.from_cfg(tta_config(config))

    assert runner.test()["values"] == AUGMENTED
    assert runner.val()["values"] == PLAIN
    assert type(runner.model).__name__ == "Double"


def test_config_with_tta_leaves_the_given_one_as_it_is(config: Config) -> None:
    before = config.pretty_text
    tta_config(config)

    assert config.pretty_text == before
    assert Runner.from_cfg(config).test()["values"] == PLAIN


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: {"type": "RepeatDataset", "dataset": inner, "times": 1},
        lambda inner: {"type": "ConcatDataset", "datasets": [inner]},
        lambda inner: {
            "type": "RepeatDataset",
            "times": 1,
            "dataset": {"type": "ConcatDataset", "datasets": [inner]},
        },
    ],
    ids=["repeat", "concat", "nested"],
)
def test_pipeline_is_replaced_inside_dataset_wrappers(
    config: Config, wrap: Callable[[Any], dict[str, Any]]
) -> None:
    config.test_dataloader = {
        **config.test_dataloader,
        "dataset": wrap(config.test_dataloader.dataset),
    }

    assert Runner.from_cfg(tta_config(config)).test()["values"] == AUGMENTED


def test_pipeline_of_each_test_set_is_replaced(config: Config) -> None:
    config.test_dataloader = {"one": config.test_dataloader, "two": config.test_dataloader}
    found = Runner.from_cfg(tta_config(config)).test()

    assert found["one/values"] == found["two/values"] == AUGMENTED


@pytest.mark.parametrize("loader", [{"batch_size": 3}, [1]], ids=["no-dataset", "batches"])
def test_test_data_without_a_config_raises(config: Config, loader: Any) -> None:
    config.test_dataloader = loader
    with pytest.raises(SettingsError, match="needs the config of the test dataset"):
        tta_config(config)


def test_losses_of_merged_views_raise(config: Config) -> None:
    config.test_cfg = {"compute_loss": True}
    runner = Runner.from_cfg(tta_config(config))
    with pytest.raises(SettingsError, match=r"test_cfg\.compute_loss must be False with test-time"):
        runner.test()


SYNC = {"type": "SyncBuffersHook"}


@pytest.mark.parametrize("hooks", [None, SYNC, [SYNC]], ids=["none", "dict", "list"])
def test_other_hooks_stay(config: Config, hooks: Any) -> None:
    config.custom_hooks = hooks
    runner = Runner.from_cfg(tta_config(config))

    kinds = [type(hook).__name__ for hook in runner.hooks]
    assert "PrepareTTAHook" in kinds
    assert ("SyncBuffersHook" in kinds) == (hooks is not None)


@pytest.mark.parametrize("key", ["tta_model", "tta_pipeline", "test_dataloader"])
def test_config_without_what_tta_needs_raises(config: Config, key: str) -> None:
    del config[key]
    with pytest.raises(SettingsError, match=f"missing: {key}"):
        tta_config(config)


def test_script_of_the_tutorial_merges_the_views(config: Config) -> None:
    config.model = ConfigDict(**config.tta_model, module=config.model)
    config.test_dataloader.dataset.pipeline = config.tta_pipeline
    runner = Runner.from_cfg(config)

    assert runner.test()["values"] == AUGMENTED
    assert [len(views) for views in MeanOfViews.merged] == [2, 2]  # the last batch has two samples


def test_tta_tests_the_weights_of_a_checkpoint_of_the_model(config: Config, tmp_path: Path) -> None:
    torch.save({"state_dict": {"factor": torch.tensor([1.0])}}, tmp_path / "weights.pth")
    config.load_from = str(tmp_path / "weights.pth")

    assert Runner.from_cfg(tta_config(config)).test()["values"] == [v / 2 for v in AUGMENTED]


def test_average_is_what_tta_tests(config: Config) -> None:
    config.custom_hooks = [{"type": "EMAHook", "momentum": 0.5}]
    config.train_dataloader = config.val_dataloader
    config.train_cfg = {"by_epoch": True, "max_epochs": 1}
    config.optim_wrapper = {"optimizer": {"type": "SGD", "lr": 0.5}}
    runner = Runner.from_cfg(tta_config(config))
    runner.train()
    values = runner.test()["values"]

    # Batches of means 1 and 3.5 move the factor to 1.5 and -0.25; the average of both is 0.625.
    assert values == pytest.approx([0.625 * v / 2 for v in AUGMENTED])
    assert runner.model.factor.item() == pytest.approx(-0.25)


def test_test_that_raises_gives_the_run_its_model_back(config: Config) -> None:
    config.model = {"type": "Double", "fails": True}
    runner = Runner.from_cfg(tta_config(config))
    with pytest.raises(RuntimeError, match="the model fails"):
        runner.test()

    assert type(runner.model).__name__ == "Double"


@pytest.mark.parametrize("given", [None, {}, {"module": 1}, "MeanOfViews"], ids=str)
def test_hook_without_the_type_of_a_model_raises(given: Any) -> None:
    with pytest.raises(ValueError, match="tta_cfg must be a dict with the type"):
        PrepareTTAHook(given)


TTA_TASK = """
import torch
from engine_model import BaseModel, BaseTTAModel
from engine_dataset import BaseDataset
from engine_registry import DATASETS, MODELS, TRANSFORMS


@DATASETS.register_module()
class Four(BaseDataset):
    def load_data_list(self):
        return [{"value": float(number)} for number in range(4)]


@TRANSFORMS.register_module()
class One:
    def __call__(self, results):
        value = torch.tensor([results["value"]])
        return {"x": value, "y": value}


@TRANSFORMS.register_module()
class Two:
    def __call__(self, results):
        value = torch.tensor([results["value"]])
        return {"x": [value, value + 1], "y": [value, value]}


@MODELS.register_module()
class Plus(BaseModel):
    def __init__(self):
        super().__init__()
        self.shift = torch.nn.Parameter(torch.tensor([1.0]))

    def forward(self, x, y, mode="tensor"):
        return [(value + self.shift, truth) for value, truth in zip(x, y)]


@MODELS.register_module()
class MeanView(BaseTTAModel):
    def merge_preds(self, data_samples_list):
        means = [[torch.stack(part).mean() for part in zip(*views)] for views in data_samples_list]
        return [torch.stack(part) for part in zip(*means)]
"""

TTA_CONFIG = """
_base_ = "cfg.py"
custom_imports = dict(imports=["task", "tta_task"], allow_failed_imports=False)
model = dict(type="Plus")
test_dataloader = dict(
    _delete_=True,
    dataset=dict(type="Four", pipeline=[dict(type="One")]),
    sampler=dict(type="DefaultSampler", shuffle=False),
    batch_size=2,
)
tta_model = dict(type="MeanView")
tta_pipeline = [dict(type="Two")]
"""


def test_command_tests_with_tta(project: Path, command: Callable[..., Any]) -> None:
    command("train", "cfg.py", "--cfg-options", "train_cfg.max_epochs=1")
    printed = command("test", "cfg.py", "work_dirs/cfg/epoch_1.pth", "--tta", code=2)

    assert "missing: tta_model, tta_pipeline" in printed.stderr


def test_command_merges_the_views(
    project: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "tta_task.py").write_text(TTA_TASK)
    (project / "tta.py").write_text(TTA_CONFIG)
    torch.save({"state_dict": {"shift": torch.tensor([1.0])}}, project / "weights.pth")
    monkeypatch.syspath_prepend(str(project))

    # A view is shifted by 1, and the other by 2.
    assert "error: 1.5" in command("test", "tta.py", "weights.pth", "--tta").stdout
