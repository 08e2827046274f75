"""Throughput, memory, operations per second and utilization."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, SequentialSampler

from engine_dataset import pseudo_collate
from engine_model import BaseModel
from engine_runner import Hook, Runner
from engine_runner._batch_size import samples_in
from engine_runner.hooks import ThroughputHook
from engine_runner.hooks._device_peaks import peak_tflops
from engine_runner.hooks._operations import OperationCounter

MakeRunner = Callable[..., Runner]

# Forward: 2 * 3 * 1 * 4 + 2 * 3 * 4 * 1; backward: the weights of both layers, the input of one.
_FLOPS_OF_A_BATCH = 24 + 24 + 24 + 24 + 24


class Layers(BaseModel):
    """Two linear layers, 1 to 4 to 1."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.backbone = nn.Linear(1, 4)
        self.head = nn.Linear(4, 1)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        predicted = self.head(self.backbone(x))
        if mode == "loss":
            return {"loss": (predicted - y).square().mean()}
        return (predicted, y) if mode == "predict" else predicted


class Slow(Hook):
    """Let each iteration, and each validation, take time."""

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        time.sleep(0.01)

    def before_val_epoch(self, runner: Runner) -> None:
        time.sleep(0.5)


def _scalars(runner: Runner, name: str) -> list[float]:
    values: list[float] = runner.message_hub.get_scalar(f"train/{name}").data[0].tolist()
    return values


def _names(runner: Runner) -> set[str]:
    return {name.removeprefix("train/") for name in runner.message_hub.log_scalars}


def _log(runner: Runner) -> str:
    return next(Path(runner.log_dir).glob("*.log")).read_text()


def _train(make_runner: MakeRunner, hook: ThroughputHook, **changes: Any) -> Runner:
    logger = {"logger": {"type": "LoggerHook", "interval": 2}}
    arguments = {"model": Layers(), "default_hooks": logger, "custom_hooks": [hook], **changes}
    runner = make_runner(**arguments)
    runner.train()
    return runner


def test_throughput_counts_samples_and_no_validation(make_runner: MakeRunner) -> None:
    runner = _train(make_runner, ThroughputHook(), custom_hooks=[ThroughputHook(), Slow()])

    rates = _scalars(runner, "samples_per_s")
    assert len(rates) == 6  # of 12 iterations
    assert all(30 < rate <= 3 / 0.01 for rate in rates)
    assert "samples_per_s: " in _log(runner)


def test_operations_of_the_first_iteration_are_counted(make_runner: MakeRunner) -> None:
    runner = _train(make_runner, ThroughputHook(peak_tflops=2.0))

    rates, tflops = _scalars(runner, "samples_per_s"), _scalars(runner, "tflops")
    expected = [rate * _FLOPS_OF_A_BATCH / 3 / 1e12 for rate in rates]
    assert tflops == pytest.approx(expected)
    assert _scalars(runner, "mfu") == pytest.approx([one / 2.0 for one in tflops])


def test_training_with_counted_operations_has_the_same_weights(make_runner: MakeRunner) -> None:
    expected = make_runner(model=Layers()).train().state_dict()

    state = _train(make_runner, ThroughputHook()).model.state_dict()

    assert all(torch.equal(expected[name], state[name]) for name in expected)


@pytest.mark.parametrize("stated", ["hook", "model"])
def test_stated_operations_are_not_counted(make_runner: MakeRunner, stated: str) -> None:
    model: Any = Layers()
    hook = ThroughputHook(flops_per_sample=5e9 if stated == "hook" else None)
    if stated == "model":
        model.flops_per_sample = 5e9

    runner = _train(make_runner, hook, model=model)

    rates = _scalars(runner, "samples_per_s")
    assert _scalars(runner, "tflops") == pytest.approx([rate * 5e-3 for rate in rates])
    assert "as counted" not in _log(runner)


def test_device_without_a_known_peak_has_no_mfu(make_runner: MakeRunner) -> None:
    if torch.cuda.is_available():
        pytest.skip("the peak of the device may be known")
    names = _names(_train(make_runner, ThroughputHook()))

    assert "tflops" in names
    assert not {"mfu", "peak_memory"} & names


def test_operations_need_not_be_counted(make_runner: MakeRunner) -> None:
    names = _names(_train(make_runner, ThroughputHook(count_flops=False)))

    assert "samples_per_s" in names
    assert "tflops" not in names


def test_operations_of_a_compiled_model_are_not_counted(make_runner: MakeRunner) -> None:
    model: Any = Layers()
    model.head._compiled_call_impl = model.head._call_impl  # as `compile` sets, without a compiler

    runner = _train(make_runner, ThroughputHook(), model=model)

    assert "tflops" not in _names(runner)
    assert "operations of a compiled model cannot be counted" in _log(runner)


def test_counting_ends_with_a_failed_iteration(make_runner: MakeRunner) -> None:
    class Broken(Layers):
        def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        _train(make_runner, ThroughputHook(), model=Broken())

    from torch.utils._python_dispatch import _get_current_dispatch_mode

    assert _get_current_dispatch_mode() is None


def test_run_without_a_logger_is_a_warning(make_runner: MakeRunner) -> None:
    runner = _train(make_runner, ThroughputHook(), default_hooks={"logger": None})

    assert "ThroughputHook never acts" in _log(runner)


def test_batch_of_an_unknown_kind_is_a_warning(make_runner: MakeRunner) -> None:
    class Points(Layers):
        def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
            loss = self(torch.ones(1, 1), torch.ones(1, 1), mode="loss")["loss"]
            optim_wrapper.update_params(loss)
            return {"loss": loss}

    runner = _train(make_runner, ThroughputHook(), model=Points(), train_dataloader=[object()] * 4)

    assert "set its batch_size" in _log(runner)
    assert "samples_per_s" not in _names(runner)


def test_given_batch_size_is_used(make_runner: MakeRunner) -> None:
    hook = ThroughputHook(batch_size=6)

    runner = _train(make_runner, hook)

    logged = next(line for line in _log(runner).splitlines() if "GFLOPs" in line)
    assert f"{_FLOPS_OF_A_BATCH / 6 / 1e9:.4g} GFLOPs" in logged


@pytest.mark.parametrize(
    ("batch", "size"),
    [
        pytest.param(torch.zeros(5, 2), 5, id="tensor"),
        pytest.param((torch.zeros(5, 2), torch.zeros(5)), 5, id="collated pair"),
        pytest.param([torch.zeros(5, 2), torch.zeros(5)], 5, id="collated list"),
        pytest.param({"image": torch.zeros(5, 2), "label": torch.zeros(5)}, 5, id="collated dict"),
        pytest.param(
            {"data_samples": [1] * 5, "inputs": [torch.zeros(3, 2)] * 5}, 5, id="list of inputs"
        ),
        pytest.param([{"image": 1}, {"image": 2}], 2, id="list of mappings"),
        pytest.param([{"image": torch.zeros(3, 2)}] * 5, 5, id="list of mappings of tensors"),
        pytest.param([(torch.zeros(3, 2), 1)] * 5, 5, id="list of pairs"),
        pytest.param([[torch.zeros(3, 2)] * 5, [1] * 5], 5, id="pseudo-collated pair"),
        pytest.param(((1,) * 5, ({},) * 5), 5, id="zipped pair"),
        pytest.param({"epoch": 3, "image": torch.zeros(5, 2)}, 5, id="scalar first"),
        pytest.param({"name": "train", "image": torch.zeros(5, 2)}, 5, id="text first"),
        pytest.param({"meta": {"scale": 2}, "image": [1] * 5}, 5, id="mapping first"),
        pytest.param({"size": [[1] * 5, [2] * 5], "image": [1] * 5}, 5, id="pair first"),
        pytest.param(["a", "b", "c"], 3, id="list of texts"),
        pytest.param("text", None, id="text"),
        pytest.param(torch.tensor(1.0), None, id="scalar"),
        pytest.param([], None, id="empty"),
    ],
)
def test_samples_of_a_batch(batch: Any, size: int | None) -> None:
    assert samples_in(batch, None) == size


class Pairs(Dataset[Any]):
    """Samples of an image of 2 x 3 and a label."""

    def __init__(self, sample: Callable[[Tensor, int], Any]) -> None:
        self.sample = sample

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> Any:
        return self.sample(torch.zeros(2, 3), index)


def _pair(image: Tensor, label: int) -> Any:
    return image, label


def _mapping(image: Tensor, label: int) -> Any:
    return {"size": (2, 3), "label": label, "image": image}


def _with_anchors(samples: list[Any]) -> Any:
    return {"epoch": 1, "anchors": torch.zeros(9, 4), **pseudo_collate(samples)}


@pytest.mark.parametrize("batch_size", [3, 4])
@pytest.mark.parametrize("batches_by", ["size", "sampler"])
@pytest.mark.parametrize(
    ("sample", "collate"),
    [
        pytest.param(_pair, None, id="pairs"),
        pytest.param(_pair, pseudo_collate, id="pseudo-collated pairs"),
        pytest.param(_pair, list, id="list of pairs"),
        pytest.param(_pair, lambda samples: tuple(zip(*samples, strict=True)), id="zipped pairs"),
        pytest.param(_mapping, None, id="mappings"),
        pytest.param(_mapping, pseudo_collate, id="pseudo-collated mappings"),
        pytest.param(_mapping, list, id="list of mappings"),
        pytest.param(_mapping, _with_anchors, id="mappings with other entries"),
    ],
)
def test_samples_of_each_batch_of_a_given_loader(
    sample: Any, collate: Any, batches_by: str, batch_size: int
) -> None:
    data = Pairs(sample)
    if batches_by == "sampler":
        batches = BatchSampler(SequentialSampler(data), batch_size, drop_last=False)
        loader = DataLoader(data, batch_sampler=batches, collate_fn=collate)
    else:
        loader = DataLoader(data, batch_size, collate_fn=collate)

    counts = [samples_in(batch, loader) for batch in loader]

    full, last = divmod(10, batch_size)
    assert counts == [batch_size] * full + [last]


@pytest.mark.parametrize("collate", [sum, lambda samples: torch.zeros(137)], ids=["one", "nodes"])
def test_batch_that_shows_no_samples_counts_as_the_loader_says(collate: Any) -> None:
    loader: Any = DataLoader(Pairs(lambda image, label: label), 5, collate_fn=collate)

    assert [samples_in(batch, loader) for batch in loader] == [5, 5]


def test_padding_of_a_batch_does_not_count() -> None:
    class Loader:
        batch_indices = (3, 4, None)

    assert samples_in(torch.zeros(3), Loader()) == 2


@pytest.mark.parametrize(
    ("device", "precision", "peak"),
    [
        ("NVIDIA A100-SXM4-80GB", "bfloat16", 312.0),
        ("NVIDIA A100-PCIE-40GB", "tf32", 156.0),
        ("NVIDIA A100 80GB PCIe", "float32", 19.5),
        ("NVIDIA H100 80GB HBM3", "bfloat16", 989.4),
        ("NVIDIA H100 PCIe", "float16", 756.0),
        ("NVIDIA H200", "bfloat16", 989.4),
        ("Tesla V100-SXM2-32GB", "float16", 125.0),
        ("Tesla V100-SXM2-32GB", "bfloat16", None),
        ("NVIDIA L4", "bfloat16", 121.0),
        ("NVIDIA L40S", "bfloat16", 362.0),
        ("NVIDIA GeForce RTX 4090", "bfloat16", 165.2),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "bfloat16", None),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "bfloat16", None),
        ("NVIDIA A10G", "bfloat16", None),
        ("Some device", "float32", None),
    ],
)
def test_peak_of_a_device(device: str, precision: Any, peak: float | None) -> None:
    assert peak_tflops(device, precision) == peak


@pytest.mark.parametrize("name", ["batch_size", "flops_per_sample", "peak_tflops"])
def test_number_that_is_not_positive_raises(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        ThroughputHook(**{name: 0})  # type: ignore[arg-type]  # each of the three in turn


@pytest.mark.parametrize("transposed", [False, True], ids=["convolution", "transposed"])
@pytest.mark.parametrize("groups", [1, 2, 8])
def test_backward_pass_of_a_convolution_counts_twice(groups: int, transposed: bool) -> None:
    """torch's formula multiplies the gradient of a grouped weight by the number of groups."""
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    conv, x = kind(8, 16, 3, groups=groups), torch.randn(2, 8, 6, 6, requires_grad=True)
    with OperationCounter() as counter:
        output = conv(x)
        forward = counter.flops
        output.sum().backward()
    positions = 36 if transposed else 16
    assert forward == 2 * 2 * positions * 9 * 8 * 16 // groups
    assert counter.flops == 3 * forward


NO_VALIDATION = dict.fromkeys(("val_dataloader", "val_cfg", "val_evaluator"))


class Penalized(Layers):
    """With a penalty on the gradient of its input."""

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        if mode != "loss":
            return super().forward(x, y, mode)
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.head(self.backbone(x)).sum(), x, create_graph=True)
        slopes = torch.func.vmap(torch.func.jacrev(lambda one: self.head(self.backbone(one))))(x)
        return {"loss": slope.square().mean() + slopes.square().mean()}


class Nested(Layers):
    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        rows = torch.nested.nested_tensor([x, x[:1]], layout=torch.jagged)
        return {"loss": self.head(self.backbone(rows)).values().square().mean()}


def test_gradients_within_the_forward_pass_are_counted(make_runner: MakeRunner) -> None:
    runner = _train(make_runner, ThroughputHook(), model=Penalized(), **NO_VALIDATION)
    assert {"samples_per_s", "tflops"} <= _names(runner)


def test_operations_of_nested_tensors_are_a_warning(make_runner: MakeRunner) -> None:
    runner = _train(make_runner, ThroughputHook(), model=Nested(), **NO_VALIDATION)
    assert "nested tensors cannot be counted" in _log(runner)
    assert "samples_per_s" in _names(runner)
    assert "tflops" not in _names(runner)
