"""`SWAHook`: the mean of weights, with statistics of batch normalization that fit them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runner.hooks.conftest import checkpoint_of, epochs, hook_of
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_swa_multi_avg_fn, update_bn
from torch.utils.data import DataLoader, IterableDataset

from engine_dataset import DefaultSampler, InfiniteSampler
from engine_model import BaseModel
from engine_runner import Hook, Runner
from engine_runner._errors import SettingsError
from engine_runner.hooks import SWAHook

Make = Callable[..., Runner]


class Normed(BaseModel):
    """Batch normalization between two layers."""

    def __init__(self, frozen: bool = False) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.first = nn.Linear(1, 3)
        self.norm = nn.BatchNorm1d(3)
        self.second = nn.Linear(3, 1)
        self.frozen = frozen

    def train(self, mode: bool = True) -> Any:
        super().train(mode)
        self.norm.train(mode and not self.frozen)
        return self

    def forward(self, x: Tensor, y: Tensor | None = None, mode: str = "tensor") -> Any:
        predicted = self.second(self.norm(self.first(x)).relu())
        if mode == "loss":
            return {"loss": (predicted - y).square().mean()}
        return (predicted, y) if mode == "predict" else predicted


class Ends(Hook):
    """Keep the weights at the end of each epoch, and the learning rates."""

    def __init__(self) -> None:
        self.weights: list[dict[str, Tensor]] = []
        self.rates: list[float] = []
        self.batches: list[Any] = []

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.batches.append(data_batch)

    def before_train_epoch(self, runner: Any) -> None:
        self.rates.append(runner.optim_wrapper.get_lr()["lr"][0])

    def after_train_epoch(self, runner: Any) -> None:
        self.weights.append({k: v.detach().clone() for k, v in runner.model.state_dict().items()})


@pytest.fixture
def make(make_runner: Make) -> Make:
    """Return a function that builds a run of a `Normed` model with an `SWAHook`."""

    def build(swa: dict[str, Any], **changes: Any) -> Runner:
        own = changes.pop("custom_hooks", [])
        given = {"model": Normed(), "param_scheduler": None, **changes}
        return make_runner(custom_hooks=[{"type": "SWAHook", **swa}, *own], **given)

    return build


def test_swa_of_ten_epochs_equals_torch_bit_for_bit(make: Make) -> None:
    ends = Ends()
    runner = make({"begin_epoch": 4, "interval": 2}, train_cfg=epochs(10), custom_hooks=[ends])
    runner.train()

    model = Normed()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    average = AveragedModel(model, multi_avg_fn=get_swa_multi_avg_fn())  # type: ignore[no-untyped-call]  # torch leaves it bare
    for step, (x, y) in enumerate(ends.batches, 1):
        optimizer.zero_grad()
        model(x, y, mode="loss")["loss"].backward()
        optimizer.step()
        if step % 4 == 0 and step // 4 in (4, 6, 8, 10):
            average.update_parameters(model)
    dataset: Any = runner.train_dataloader.dataset
    sampler = DefaultSampler(dataset, seed=runner.seed)
    update_bn(DataLoader(dataset, batch_size=3, sampler=sampler), average)

    saved = checkpoint_of(runner, "epoch_10.pth")
    assert saved["ema_state_dict"]["steps"] == 4
    for name, value in average.module.state_dict().items():
        assert torch.equal(saved["state_dict"][name], value), name
    for name, value in model.state_dict().items():
        assert torch.equal(saved["ema_state_dict"][f"module.{name}"], value), name
        assert torch.equal(runner.model.state_dict()[name], value), name


def test_training_is_unaffected_by_the_passes_for_statistics(make: Make, tmp_path: Path) -> None:
    runs = []
    for name, update in (("with", True), ("without", False)):
        runner = make({"update_bn": update}, work_dir=str(tmp_path / name))
        runner.train()
        runs.append(runner)

    for one, other in zip(*(run.model.state_dict().values() for run in runs), strict=True):
        assert torch.equal(one, other)
    fresh, stale = (checkpoint_of(run, "epoch_3.pth")["state_dict"] for run in runs)
    assert torch.equal(fresh["first.weight"], stale["first.weight"])
    assert not torch.equal(fresh["norm.running_mean"], stale["norm.running_mean"])


@pytest.mark.parametrize("by_epoch", [True, False], ids=["by-epoch", "by-iter"])
def test_resumed_swa_continues_exactly(make: Make, tmp_path: Path, by_epoch: bool) -> None:
    swa = {"interval": 2, "by_epoch": by_epoch, "bn_batches": 2}

    def run(last: int, work_dir: str, **more: Any) -> Runner:
        loop = epochs(last) if by_epoch else {"by_epoch": False, "max_iters": last * 3}
        keep = {"type": "CheckpointHook", "interval": 1 if by_epoch else 3, "by_epoch": by_epoch}
        runner = make(
            swa,
            train_cfg=loop,
            default_hooks={"checkpoint": keep},
            work_dir=str(tmp_path / work_dir),
            **more,
        )
        runner.train()
        return runner

    whole = run(5, "whole")
    run(3, "parts")
    resumed = run(5, "parts", resume=True)

    for part in ("src_model", "ema_model"):
        states = [getattr(hook_of(one), part).state_dict() for one in (whole, resumed)]
        assert all(map(torch.equal, states[0].values(), states[1].values()))


def test_swa_follows_a_schedule_that_ends_at_a_constant_rate(make: Make) -> None:
    ends = Ends()
    anneal = {"type": "CosineAnnealingLR", "T_max": 3, "end": 4, "eta_min": 0.05}
    runner = make(
        {"begin_epoch": 4}, train_cfg=epochs(6), param_scheduler=anneal, custom_hooks=[ends]
    )
    runner.train()

    assert ends.rates == pytest.approx([0.1, 0.0875, 0.0625, 0.05, 0.05, 0.05])
    mean = torch.stack([item["first.weight"] for item in ends.weights[3:]]).mean(0)
    average = checkpoint_of(runner, "epoch_6.pth")["state_dict"]
    torch.testing.assert_close(average["first.weight"], mean)


def test_frozen_statistics_are_not_changed(make: Make) -> None:
    runner = make({}, model=Normed(frozen=True))
    runner.train()

    assert torch.equal(
        checkpoint_of(runner, "epoch_3.pth")["state_dict"]["norm.running_mean"], torch.zeros(3)
    )


class Stream(IterableDataset[tuple[Tensor, Tensor]]):
    """Points without end."""

    def __iter__(self) -> Any:
        while True:
            yield torch.rand(1), torch.rand(1)


def test_stream_needs_a_number_of_batches(make: Make) -> None:
    data = DataLoader(Stream(), batch_size=3)
    loop = {"by_epoch": False, "max_iters": 4}
    with pytest.raises(SettingsError, match="bn_batches of SWAHook must be an integer >= 1"):
        make({"by_epoch": False}, train_dataloader=data, train_cfg=loop).train()

    runner = make({"by_epoch": False, "bn_batches": 3}, train_dataloader=data, train_cfg=loop)
    runner.train()
    assert hook_of(runner).ema_model.updates == 4


class Pairs:
    """A batch sampler of the user's, with the length of a pass over the data."""

    def __init__(self, sampler: Any) -> None:
        self.sampler = sampler

    def __len__(self) -> int:
        return len(self.sampler.dataset) // 2

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while True:
            yield [next(indices), next(indices)]


class PairsWithoutLength(Pairs):
    """A batch sampler that cannot say how long a pass is."""

    def __len__(self) -> int:
        raise TypeError


def test_statistics_of_a_batch_sampler_without_end_are_of_one_pass(make: Make) -> None:
    data = [(torch.rand(1), torch.rand(1)) for _ in range(6)]
    loop = {"by_epoch": False, "max_iters": 4}

    def loader(kind: type[Pairs]) -> DataLoader[Any]:
        return DataLoader(data, batch_sampler=kind(InfiniteSampler(data)))  # type: ignore[arg-type]  # a list is a dataset, too

    swa = {"by_epoch": False, "interval": 4}
    runner = make(swa, train_dataloader=loader(Pairs), train_cfg=loop)
    runner.train()

    [path] = Path(runner.work_dir).glob("*.pth")
    saved = checkpoint_of(runner, path.name)["state_dict"]
    assert int(saved["norm.num_batches_tracked"]) == 3
    with pytest.raises(SettingsError, match="bn_batches of SWAHook must be an integer >= 1"):
        make(swa, train_dataloader=loader(PairsWithoutLength), train_cfg=loop).train()


def test_swa_by_epochs_in_a_training_by_iterations_raises(make: Make) -> None:
    with pytest.raises(SettingsError, match="by_epoch of SWAHook must be False"):
        make({}, train_cfg={"by_epoch": False, "max_iters": 4}).train()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"begin_iter": 3}, "begin_iter must be 0 with by_epoch=True, got 3; set begin_epoch"),
        ({"begin_epoch": 3, "by_epoch": False}, "begin_epoch must be 0 with by_epoch=False, got 3"),
        ({"interval": 0}, "interval must be an integer >= 1, got 0"),
        ({"bn_batches": 0}, "bn_batches must be an integer >= 1, got 0"),
    ],
    ids=["iterations", "epochs", "interval", "batches"],
)
def test_wrong_argument_of_swa_raises(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SWAHook(**arguments)


@pytest.mark.parametrize("kind", ["loader", "loop"])
def test_statistics_are_of_as_many_batches_as_an_epoch_has(
    make: Make, settings: Callable[..., dict[str, Any]], kind: str
) -> None:
    given: dict[str, Any] = settings()["train_dataloader"]
    changes: dict[str, Any] = {"train_dataloader": {**given, "num_batch_per_epoch": 2}}
    if kind == "loop":
        changes = {
            "train_dataloader": DataLoader(given["dataset"], batch_size=3, shuffle=True),
            "train_cfg": epochs(1, num_batch_per_epoch=2),
        }
    runner = make({}, **{"train_cfg": epochs(1), **changes})
    runner.train()

    assert int(checkpoint_of(runner, "epoch_1.pth")["state_dict"]["norm.num_batches_tracked"]) == 2
