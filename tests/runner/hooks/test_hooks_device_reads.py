"""An iteration that does not log reads nothing from the device.

There is no device here: what would wait for one is recognized by its call. Where there is one,
test_cuda.py lets torch raise an error.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from engine_model import BaseModel
from engine_runner import Hook, Runner
from engine_runner.hooks import EarlyStoppingHook, GradientNormHook, ThroughputHook

MakeRunner = Callable[..., Runner]

# Calls of Python: some of them, such as `tolist` and `numpy`, dispatch no operator on a CPU.
_CALLS = {
    getattr(Tensor, name)
    for name in (
        *("item", "tolist", "numpy", "cpu", "is_nonzero", "equal", "allclose", "nonzero", "unique"),
        *("__bool__", "__float__", "__int__", "__index__", "__array__", "__repr__", "__format__"),
        *("__contains__", "__iter__", "masked_select"),
    )
} | {torch.equal, torch.allclose, torch.nonzero, torch.masked_select, torch.unique}
# Operators that C++ dispatches, such as for `if tensor > 0`.
_OPERATORS = {"_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "_unique2"}


class _Calls(TorchFunctionMode):
    """Note the calls that read a tensor."""

    def __init__(self, watch: "Watch") -> None:
        super().__init__()
        self.watch = watch

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _CALLS:
            self.watch.note(func.__name__)
        return func(*args, **(kwargs or {}))


class _Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]  # of torch
    """Note the operators that read a tensor."""

    def __init__(self, watch: "Watch") -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of torch
        self.watch = watch

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if name in _OPERATORS:
            self.watch.note(name)
        return func(*args, **(kwargs or {}))


class Watch(Hook):
    """Note in which iterations something is read: from its first hook to its last one.

    The data loader, which works on the CPU also with a device, is outside.
    """

    priority = "HIGHEST"

    def __init__(self) -> None:
        self.iteration = 0
        self.modes = ExitStack()
        self.reads: dict[int, list[str]] = {}

    def note(self, name: str) -> None:
        self.reads.setdefault(self.iteration, []).append(name)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.iteration = runner.iter + 1
        self.modes.enter_context(_Calls(self))
        self.modes.enter_context(_Operators(self))


class Ends(Hook):
    """End the watch of an iteration; the last of all hooks."""

    priority = 100

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.watch.modes.close()


class ReadsAlways(Hook):
    """Read the loss in each iteration."""

    def __init__(self, read: Callable[[Tensor], Any]) -> None:
        self.read = read

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.read(outputs["loss"])


class Net(BaseModel):
    """Two layers with batch normalization; two losses."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.ReLU())
        self.head = nn.Linear(4, 1)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        predicted = self.head(self.backbone(x)).float()
        if mode == "loss":
            error = predicted - y
            return {
                "loss_square": error.square(),
                "loss_absolute": [error.abs()],
                "peak": error.max(),
            }
        return (predicted, y) if mode == "predict" else predicted


SGD = {"type": "SGD", "lr": 0.01, "momentum": 0.9}
WRAPPERS = {
    "plain": {"optimizer": SGD},
    "clipped": {"optimizer": SGD, "clip_grad": {"max_norm": 0.1}},
    "clipped by value": {"optimizer": SGD, "clip_grad": {"clip_value": 0.1}},
    "accumulation": {"optimizer": SGD, "accumulative_counts": 3, "clip_grad": {"max_norm": 0.1}},
    "bfloat16": {"type": "AmpOptimWrapper", "dtype": "bfloat16", "optimizer": SGD},
    # Only with a fused optimizer the scaler does not read in each step whether gradients overflow.
    "float16": {
        "type": "AmpOptimWrapper",
        "loss_scale": 16.0,
        "optimizer": {**SGD, "fused": True},
    },
    "several groups": {
        "optimizer": SGD,
        "paramwise_cfg": {"custom_keys": {"head": {"lr_mult": 2.0}}},
    },
}


def _reads(make_runner: MakeRunner, *hooks: Hook, **changes: Any) -> dict[int, list[str]]:
    """Train 3 epochs of 12 batches, and return what was read, by iteration."""
    watch = Watch()
    runner = make_runner(model=Net(), custom_hooks=[watch, *hooks, Ends(watch)], **changes)
    runner.train()
    assert runner.iter == 36
    return watch.reads


def _changes(settings: dict[str, Any], interval: int, by_epoch: bool = True) -> dict[str, Any]:
    points = torch.linspace(-1, 1, 24)[:, None]
    data = list(zip(points, 3 * points + 1, strict=True))
    loop = {"by_epoch": True, "max_epochs": 3} if by_epoch else {"by_epoch": False, "max_iters": 36}
    return {
        "train_cfg": loop,
        "train_dataloader": {**settings["train_dataloader"], "dataset": data, "batch_size": 2},
        "default_hooks": {"logger": {"type": "LoggerHook", "interval": interval}},
    }


def _logged(interval: int, by_epoch: bool = True) -> set[int]:
    length = 12 if by_epoch else 36
    short = length if length < interval else 0  # an epoch shorter than the interval logs its end
    within = {number: (number - 1) % length + 1 for number in range(1, 37)}
    return {number for number, at in within.items() if at % interval == 0 or at == short}


@pytest.mark.parametrize("wrapper", WRAPPERS.values(), ids=WRAPPERS)
def test_only_iterations_that_log_read(
    make_runner: MakeRunner, settings: Callable[..., dict[str, Any]], wrapper: dict[str, Any]
) -> None:
    hooks = (
        GradientNormHook(per_module=True),
        ThroughputHook(peak_tflops=1.0),
        EarlyStoppingHook(monitor="error", patience=100),
    )
    changes = _changes(settings(), 5)

    reads = _reads(make_runner, *hooks, optim_wrapper=wrapper, **changes)

    assert set(reads) == _logged(5), reads


@pytest.mark.parametrize("by_epoch", [True, False], ids=["epochs", "iterations"])
@pytest.mark.parametrize("interval", [1, 4, 12, 20])
def test_interval_of_the_log_is_that_of_the_reads(
    make_runner: MakeRunner,
    settings: Callable[..., dict[str, Any]],
    interval: int,
    by_epoch: bool,
) -> None:
    changes = _changes(settings(), interval, by_epoch)

    reads = _reads(make_runner, **changes)

    assert set(reads) == _logged(interval, by_epoch), reads


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda loss: loss.item(), id="item"),
        pytest.param(lambda loss: loss.detach().numpy(), id="numpy"),
        pytest.param(lambda loss: loss.tolist(), id="tolist"),
        pytest.param(lambda loss: loss.cpu(), id="cpu"),
        pytest.param(lambda loss: bool(loss > 0), id="bool"),
        pytest.param(lambda loss: f"{loss}", id="format"),
        pytest.param(lambda loss: torch.equal(loss, loss), id="equal"),
        pytest.param(lambda loss: torch.nonzero(loss), id="nonzero"),
    ],
)
def test_watch_finds_a_hook_that_reads(
    make_runner: MakeRunner,
    settings: Callable[..., dict[str, Any]],
    read: Callable[[Tensor], Any],
) -> None:
    changes = _changes(settings(), 5)

    reads = _reads(make_runner, ReadsAlways(read), **changes)

    assert set(reads) == set(range(1, 37))
