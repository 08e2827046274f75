"""A module that converts older weights by its version does so once, wherever weights come from."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn

from engine_model import (
    BaseModel,
    BaseTTAModel,
    ExponentialMovingAverage,
    MMDistributedDataParallel,
    PretrainedInit,
    get_state_dict,
    load_checkpoint,
    load_state_dict,
    read_checkpoint,
    revise_names,
    save_checkpoint,
    weights_to_cpu,
    weights_under,
)
from engine_runner import Runner


class Scale(nn.Module):
    """A factor; weights of version 1 hold a tenth of it."""

    _version = 2

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1))

    def _load_from_state_dict(self, state: Any, prefix: str, local: Any, *rest: Any) -> None:
        if local.get("version", 1) < 2:
            state[prefix + "factor"] = state[prefix + "factor"] * 10
        super()._load_from_state_dict(state, prefix, local, *rest)


class Scaled(BaseModel):
    """A linear layer with a scale."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.scale = Scale()

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        predicted = self.linear(x)
        return {"loss": (predicted - y).square().mean()} if mode == "loss" else predicted


class Views(BaseTTAModel):
    """Test-time augmentation that keeps the first view."""

    def merge_preds(self, data_samples_list: list[list[Any]]) -> list[Any]:
        return [views[0] for views in data_samples_list]


def factor(model: nn.Module) -> float:
    """Return the factor of the model's only scale."""
    return next(m.factor.item() for m in model.modules() if isinstance(m, Scale))


def old_weights() -> dict[str, Any]:
    """Return weights that were saved before versions existed."""
    return {"factor": torch.tensor([0.1])}


def test_a_run_saves_versions_that_every_way_of_loading_reads(
    toy_run: Callable[..., Runner], tmp_path: Path
) -> None:
    toy_run(model=Scaled()).train()
    path = str(tmp_path / "work" / "epoch_2.pth")
    loaded, part, initialized = Scaled(), Scale(), Scale()

    load_checkpoint(loaded, path)
    load_state_dict(part, weights_under(read_checkpoint(path)["state_dict"], "scale"))
    PretrainedInit(path, prefix="scale")(initialized)
    longer = {"by_epoch": True, "max_epochs": 3}
    resumed = toy_run(model=Scaled(), resume=True, train_cfg=longer)
    resumed.train()
    started = toy_run(model=Scaled(), load_from=path, work_dir=str(tmp_path / "other"))
    started.train()

    found = [factor(m) for m in (loaded, part, initialized, resumed.model, started.model)]
    assert found == [1.0] * 5


def test_old_weights_are_converted_once() -> None:
    model = Scale()
    load_state_dict(model, old_weights())
    assert factor(model) == pytest.approx(1.0)
    again = Scale()
    load_state_dict(again, weights_to_cpu(get_state_dict(model)))
    assert factor(again) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("rules", "key"),
    [
        ([(r"^net\.", "")], "scale.factor"),
        ([(r"^net\.scale\.factor$", "scale.factor")], "scale.factor"),
        ({"net": None, "net.scale": "scale"}, "scale.factor"),
        ([(r"^", "whole.")], "whole.net.scale.factor"),
    ],
    ids=["prefix", "whole name", "mapping", "added"],
)
def test_renamed_weights_keep_the_versions_of_their_modules(rules: Any, key: str) -> None:
    weights = nn.ModuleDict({"net": Scaled()}).state_dict()
    renamed: Any = revise_names(weights, rules)
    assert key in renamed
    assert renamed._metadata[key.removesuffix(".factor")] == {"version": 2}


def test_test_time_augmentation_reads_and_saves_the_versions_of_its_model() -> None:
    weights = Scaled().state_dict()
    ours, torchs, inner = Views(Scaled()), Views(Scaled()), Scaled()

    load_state_dict(ours, weights)
    torchs.load_state_dict(weights)
    load_state_dict(inner, Views(Scaled()).state_dict())

    assert [factor(ours), factor(torchs), factor(inner)] == [1.0] * 3
    assert "module.scale" not in weights._metadata  # type: ignore[attr-defined]  # torch's way


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """Start a process group of this process."""
    address = f"file://{tmp_path}/group"
    distributed.init_process_group("gloo", init_method=address, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("alone")
def test_a_data_parallel_model_and_an_average_keep_versions(tmp_path: Path) -> None:
    model = Scaled()
    average = ExponentialMovingAverage(model)
    wrapped, averaged = Scaled(), Scaled()

    load_state_dict(wrapped, get_state_dict(MMDistributedDataParallel(model)))
    save_checkpoint({"state_dict": average.state_dict()}, tmp_path / "average.pth")
    load_checkpoint(averaged, tmp_path / "average.pth")
    restored = ExponentialMovingAverage(Scaled())
    restored.load_state_dict(average.state_dict())

    assert [factor(wrapped), factor(averaged), factor(restored)] == [1.0] * 3


def test_safetensors_keep_versions(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    path = tmp_path / "weights.safetensors"
    model = Scaled()
    save_checkpoint({"state_dict": Scaled().state_dict(), "meta": {"epoch": 3}}, path)

    checkpoint = load_checkpoint(model, path)

    assert factor(model) == 1.0
    assert checkpoint["meta"] == {"epoch": 3}


def test_versions_survive_a_file_with_foreign_classes(tmp_path: Path) -> None:
    torch.save({"state_dict": Scaled().state_dict(), "note": Path("a")}, tmp_path / "a.pth")
    model = Scaled()
    load_checkpoint(model, tmp_path / "a.pth")
    assert factor(model) == 1.0


@pytest.mark.parametrize(
    "hook",
    [
        {"type": "EMAHook"},
        {"type": "EMAHook", "update_buffers": True},
        {"type": "SWAHook", "begin_epoch": 1},
    ],
    ids=["ema", "ema of buffers", "swa"],
)
def test_resumed_averages_and_their_checkpoints_keep_versions(
    toy_run: Callable[..., Runner], tmp_path: Path, hook: dict[str, Any]
) -> None:
    toy_run(model=Scaled(), custom_hooks=[hook]).train()
    longer = {"by_epoch": True, "max_epochs": 3}
    resumed = toy_run(model=Scaled(), custom_hooks=[hook], resume=True, train_cfg=longer)
    resumed.train()
    saved, average = Scaled(), Scaled()

    load_checkpoint(saved, tmp_path / "work" / "epoch_3.pth")
    weights = read_checkpoint(tmp_path / "work" / "epoch_3.pth")["ema_state_dict"]
    load_state_dict(average, revise_names(weights, [(r"^module\.", "")]))

    own: Any = next(item for item in resumed.hooks if type(item).__name__ == hook["type"])
    models = [resumed.model, own.ema_model.module, saved, average]
    assert [factor(model) for model in models] == [1.0] * 4


def test_rolled_back_run_keeps_versions(toy_run: Callable[..., Runner]) -> None:
    class Breaks(Scaled):
        count = 0

        def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
            self.count += 1
            loss = super().forward(x, y, mode)["loss"]
            return {"loss": loss * float("nan") if self.count == 6 else loss}

    runner = toy_run(model=Breaks(), custom_hooks=[{"type": "EMAHook"}], on_bad_loss="rollback")

    runner.train()

    assert factor(runner.model) == 1.0


def test_published_checkpoint_keeps_versions(
    toy_run: Callable[..., Runner], tmp_path: Path
) -> None:
    hook = {"type": "CheckpointHook", "published_keys": ["meta", "state_dict"]}
    toy_run(model=Scaled(), default_hooks={"checkpoint": hook}).train()
    (published,) = (tmp_path / "work").glob("epoch_2-*.pth")
    model = Scaled()

    load_checkpoint(model, published)

    assert factor(model) == 1.0


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("wrapper", ["DDPStrategy", "FSDPStrategy"])
def test_run_of_a_wrapped_model_keeps_versions(
    toy_run: Callable[..., Runner], tmp_path: Path, wrapper: str
) -> None:
    settings: dict[str, Any] = {"strategy": wrapper, "custom_hooks": [{"type": "EMAHook"}]}
    first, second = Scaled(), Scaled()
    for model in (first, second):  # the loss does not use the factor
        model.scale.factor.requires_grad_(False)
    toy_run(model=first, **settings).train()
    longer = {"by_epoch": True, "max_epochs": 3}
    resumed = toy_run(model=second, resume=True, train_cfg=longer, **settings)
    resumed.train()
    saved = Scaled()

    load_checkpoint(saved, tmp_path / "work" / "epoch_3.pth")

    assert factor(saved) == 1.0
    (scale,) = (m for m in resumed.model.modules() if isinstance(m, Scale))
    assert weights_to_cpu({"": scale.factor.detach()})[""].item() == 1.0


def test_compiled_model_keeps_versions(toy_run: Callable[..., Runner], tmp_path: Path) -> None:
    toy_run(model=Scaled(), compile={"backend": "eager"}).train()
    model = Scaled()

    load_checkpoint(model, tmp_path / "work" / "epoch_2.pth")

    assert factor(model) == 1.0
