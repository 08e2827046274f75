"""Mixed precision."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.nn.functional import cross_entropy

from engine_optim import AmpOptimWrapper, OptimWrapper

MakeModel = Callable[[], nn.Sequential]
Batches = list[tuple[Tensor, Tensor]]

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def sgd(model: nn.Module, lr: float = 0.1) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=lr)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", torch.bfloat16], ids=str)
def test_amp_computes_in_the_type_and_learns(
    dtype: Any, device: str, make_model: MakeModel, batches: Batches
) -> None:
    model = make_model().to(device)
    wrapper = AmpOptimWrapper(dtype=dtype, optimizer=sgd(model))
    inputs, targets = (item.to(device) for item in batches[0])

    losses = []
    for _ in range(30):
        with wrapper.optim_context(model):
            output = model(inputs)
            loss = cross_entropy(output.float(), targets)
        wrapper.update_params(loss)
        losses.append(loss.item())

    assert output.dtype is {"float16": torch.float16}.get(dtype, torch.bfloat16)
    assert model[0].get_parameter("weight").dtype is torch.float32
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("counts", [1, 3])
@pytest.mark.parametrize("clip", [None, {"max_norm": 0.05}], ids=["free", "clipped"])
def test_amp_without_lower_precision_equals_full_precision(
    clip: Any, counts: int, make_model: MakeModel, batches: Batches
) -> None:
    ours, theirs = make_model(), make_model()
    amp = AmpOptimWrapper(
        loss_scale=1024.0, optimizer=sgd(ours), clip_grad=clip, accumulative_counts=counts
    )
    plain = OptimWrapper(sgd(theirs), clip_grad=clip, accumulative_counts=counts)
    amp.initialize_count_status(ours, 0, 10)
    plain.initialize_count_status(theirs, 0, 10)

    # Outside of the context everything is in float32: only the loss scale remains.
    for inputs, targets in batches:
        amp.update_params(cross_entropy(ours(inputs), targets))
        plain.update_params(cross_entropy(theirs(inputs), targets))

    for mine, reference in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, reference)
    if clip:
        torch.testing.assert_close(amp.last_grad_norm, plain.last_grad_norm)


def test_amp_skips_a_step_that_overflows(make_model: MakeModel) -> None:
    model = make_model()
    wrapper = AmpOptimWrapper(loss_scale=1024.0, optimizer=sgd(model))
    before = [parameter.detach().clone() for parameter in model.parameters()]

    wrapper.update_params(model(torch.ones(1, 4)).sum() * float("inf"))

    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert wrapper.state_dict()["loss_scaler"]["scale"] == 512.0


def test_amp_state_holds_the_scaler(make_model: MakeModel) -> None:
    wrapper = AmpOptimWrapper(optimizer=sgd(make_model()))

    assert wrapper.state_dict()["loss_scaler"] == {
        "scale": 65536.0,
        "growth_factor": 2.0,
        "backoff_factor": 0.5,
        "growth_interval": 2000,
        "_growth_tracker": 0,
    }


def test_amp_state_round_trips_and_is_not_changed(make_model: MakeModel) -> None:
    source = AmpOptimWrapper(loss_scale={"init_scale": 8.0}, optimizer=sgd(make_model(), lr=0.5))
    state = source.state_dict()
    target = AmpOptimWrapper(optimizer=sgd(make_model()))

    target.load_state_dict(state)

    assert target.state_dict()["loss_scaler"]["scale"] == 8.0
    assert target.get_lr() == {"lr": [0.5]}
    assert "loss_scaler" in state


def test_amp_loads_state_without_a_scaler(make_model: MakeModel) -> None:
    state = OptimWrapper(sgd(make_model(), lr=0.5)).state_dict()
    float16 = AmpOptimWrapper(optimizer=sgd(make_model()))
    bfloat16 = AmpOptimWrapper(dtype="bfloat16", optimizer=sgd(make_model()))

    float16.load_state_dict(state)
    bfloat16.load_state_dict(float16.state_dict())

    assert float16.get_lr() == bfloat16.get_lr() == {"lr": [0.5]}
    assert "loss_scaler" not in bfloat16.state_dict()


@pytest.mark.parametrize(
    ("given", "scale"),
    [("dynamic", 65536.0), (512, 512.0), ({"init_scale": 4.0, "growth_interval": 7}, 4.0)],
    ids=["dynamic", "number", "dict"],
)
def test_amp_takes_each_form_of_loss_scale(given: Any, scale: float, make_model: MakeModel) -> None:
    wrapper = AmpOptimWrapper(given, optimizer=sgd(make_model()))

    assert wrapper.state_dict()["loss_scaler"]["scale"] == scale


def test_amp_with_wrong_settings_raises(make_model: MakeModel) -> None:
    with pytest.raises(TypeError, match=r"loss_scale must be .* got 'static'"):
        AmpOptimWrapper("static", optimizer=sgd(make_model()))
    with pytest.raises(ValueError, match="loss_scale must be positive, got -2"):
        AmpOptimWrapper(-2, optimizer=sgd(make_model()))
    with pytest.raises(ValueError, match="dtype must be one of float16, bfloat16, got"):
        AmpOptimWrapper(dtype="float8", optimizer=sgd(make_model()))


def test_amp_with_a_closure_raises_in_float16_only(make_model: MakeModel) -> None:
    float16 = AmpOptimWrapper(optimizer=sgd(make_model()))
    bfloat16 = AmpOptimWrapper(dtype="bfloat16", optimizer=sgd(make_model()))

    with pytest.raises(ValueError, match="bfloat16"):
        float16.step(closure=lambda: 0.0)
    bfloat16.step(closure=lambda: 0.0)


def test_amp_context_disables_synchronization_too() -> None:
    entered = []

    class Replicated(nn.Linear):
        def no_sync(self) -> Any:
            entered.append(True)
            return torch.enable_grad()

    model = Replicated(2, 2)
    wrapper = AmpOptimWrapper(dtype="bfloat16", optimizer=sgd(model), accumulative_counts=2)

    with wrapper.optim_context(model):
        output = model(torch.ones(1, 2))

    assert entered == [True]
    assert output.dtype is torch.bfloat16
    assert not torch.is_autocast_enabled("cpu")


def test_amp_skips_empty_groups_to_find_its_device(make_model: MakeModel) -> None:
    groups: list[dict[str, Any]] = [{"params": []}, {"params": list(make_model().parameters())}]

    wrapper = AmpOptimWrapper(optimizer=torch.optim.SGD(groups, lr=0.1))

    assert wrapper.device_type == "cpu"


def test_amp_uses_the_given_device(make_model: MakeModel) -> None:
    wrapper = AmpOptimWrapper(dtype="bfloat16", device_type="meta", optimizer=sgd(make_model()))

    assert wrapper.device_type == "meta"
    assert AmpOptimWrapper(dtype="bfloat16", optimizer=sgd(make_model())).device_type == "cpu"


def test_amp_without_a_dtype_is_float16() -> None:
    wrapper = AmpOptimWrapper(optimizer=torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1))

    assert wrapper.dtype is torch.float16
    assert wrapper.loss_scaler is not None


def test_amp_use_fsdp_needs_a_process_group_and_a_scaler() -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)

    with pytest.raises(RuntimeError, match="use_fsdp=True needs a process group"):
        AmpOptimWrapper("dynamic", None, True, optimizer=optimizer)
    with pytest.raises(ValueError, match="use_fsdp must be False with dtype='bfloat16'"):
        AmpOptimWrapper(dtype="bfloat16", use_fsdp=True, optimizer=optimizer)


def test_amp_use_fsdp_scales_with_the_scaler_of_sharded_models(tmp_path: Path) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        model = nn.Linear(1, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        wrapper = AmpOptimWrapper(use_fsdp=True, loss_scale=8, optimizer=optimizer)
        before = model.weight.detach().clone()
        wrapper.update_params(model(torch.ones(1, 1)).sum())
        skipped = model.weight.detach().clone()
        wrapper.update_params(model(torch.full((1, 1), torch.inf)).sum())
    finally:
        distributed.destroy_process_group()

    assert type(wrapper.loss_scaler).__name__ == "ShardedGradScaler"
    assert torch.equal(skipped, before - 0.5)
    assert torch.equal(model.weight, skipped)  # the step of an overflow is skipped
