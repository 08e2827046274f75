"""`EMAHook`: what is trained, averaged and validated."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runner.hooks.conftest import (
    Make,
    Model,
    checkpoint_of,
    epochs,
    equal,
    hook_of,
    seen_by,
    weights_of,
)
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

from engine_model import BaseAveragedModel
from engine_runner import Hook
from engine_runner._errors import SettingsError
from engine_runner.hooks import EMAHook


class Batches(Hook):
    """Keep the batches and the weights after each iteration."""

    priority = "HIGHEST"

    def __init__(self) -> None:
        self.batches: list[Any] = []
        self.weights: list[dict[str, Tensor]] = []

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.batches.append(data_batch)
        self.weights.append(weights_of(runner.model))


RULES: dict[str, tuple[dict[str, Any], Callable[[], Any]]] = {
    "ema": ({"momentum": 0.3}, lambda: get_ema_multi_avg_fn(0.7)),  # type: ignore[no-untyped-call]  # torch leaves it bare
    "swa": ({"ema_type": "StochasticWeightAverage"}, lambda: get_swa_multi_avg_fn()),  # type: ignore[no-untyped-call]  # likewise
}


@pytest.mark.parametrize("kind", RULES)
def test_average_of_ten_steps_equals_a_loop_by_hand_bit_for_bit(
    normed: Model, make_runner: Make, kind: str
) -> None:
    keep = Batches()
    runner = make_runner(
        model=normed(),
        train_cfg={"by_epoch": False, "max_iters": 10, "val_interval": 100},
        param_scheduler=None,
        custom_hooks=[{"type": "EMAHook", **RULES[kind][0]}, keep],
    )
    runner.train()

    model = normed()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    average = AveragedModel(model, multi_avg_fn=RULES[kind][1]())
    for x, y in keep.batches:
        optimizer.zero_grad()
        model(x, y, mode="loss")["loss"].backward()
        optimizer.step()
        average.update_parameters(model)

    assert len(keep.batches) == 10
    assert equal(weights_of(runner.model), weights_of(model))
    ours = dict(hook_of(runner).ema_model.module.named_parameters())
    for name, theirs in average.module.named_parameters():
        assert torch.equal(ours[name], theirs), name


def test_training_is_unaffected_by_the_average(make: Make, tmp_path: Path) -> None:
    plain = make(None, work_dir=str(tmp_path / "plain"))
    averaged = make({"update_buffers": True})
    for runner in (plain, averaged):
        runner.train()

    assert equal(weights_of(plain.model), weights_of(averaged.model))
    assert not equal(seen_by(plain)[-1], seen_by(averaged)[-1])


@pytest.mark.parametrize("buffers", [False, True], ids=["parameters", "buffers-too"])
def test_validation_uses_the_average(make: Make, buffers: bool) -> None:
    runner = make({"update_buffers": buffers}, train_cfg=epochs(2, val_interval=2))
    runner.train()

    average = hook_of(runner).ema_model.module
    [seen] = seen_by(runner)
    for name, value in average.named_parameters():
        assert torch.equal(seen[name], value), name
    own = average if buffers else runner.model
    for name, buffer in own.named_buffers():
        assert torch.equal(seen[name], buffer), name
    assert not torch.equal(seen["first.weight"], runner.model.first.weight)


def test_test_after_training_uses_the_average(
    keep_weights: Callable[[], Any], make: Make, settings: Callable[..., dict[str, Any]]
) -> None:
    data = settings()["val_dataloader"]
    runner = make(
        train_cfg=epochs(1), test_cfg={}, test_dataloader=data, test_evaluator=keep_weights()
    )
    runner.train()
    trained = weights_of(runner.model)
    metric: Any = runner.test_evaluator.metrics[0]
    metric.model = runner.model
    runner.test()

    average = hook_of(runner).ema_model.avg_parameters
    assert torch.equal(metric.seen[0]["first.weight"], average["first.weight"])
    assert equal(weights_of(runner.model), trained)


@pytest.mark.parametrize(
    ("ema", "updates"),
    [({"begin_epoch": 2}, 8), ({"begin_iter": 6}, 7), ({"begin_epoch": 1}, 12), ({}, 12)],
    ids=["epoch", "iter", "first-epoch", "at-once"],
)
def test_average_begins_at_the_epoch_or_iteration(
    make: Make, ema: dict[str, Any], updates: int
) -> None:
    runner = make(ema)
    runner.train()

    assert hook_of(runner).ema_model.updates == updates


@pytest.mark.parametrize(
    ("ema", "message"),
    [
        ({"begin_epoch": 4}, "begin_epoch must be at most 3, where the training ends, got 4"),
        ({"begin_iter": 13}, "begin_iter must be at most 12, where the training ends, got 13"),
    ],
    ids=["epoch", "iter"],
)
def test_average_that_never_begins_is_warned_of(
    make: Make, capsys: pytest.CaptureFixture[str], ema: dict[str, Any], message: str
) -> None:
    make(ema).train()

    assert f"EMAHook never acts: {message}" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"begin_iter": 1, "begin_epoch": 1}, "at most one of begin_iter and begin_epoch"),
        ({"begin_iter": -1}, "begin_iter must be an integer >= 0, got -1"),
        ({"begin_epoch": 1.5}, "begin_epoch must be an integer >= 0, got 1.5"),
        ({"ema_type": "ExponentialMovingAverag"}, "did you mean 'ExponentialMovingAverage'"),
        ({"ema_type": "ImgDataPreprocessor"}, "ema_type must be an average in MODELS"),
        ({"momentum": 2}, "momentum must be strictly between 0 and 1, got 2"),
        ({"momentun": 0.1}, "no argument 'momentun'; did you mean 'momentum'"),
    ],
    ids=["both", "negative", "fraction", "misspelled", "no-average", "value", "unknown-argument"],
)
def test_wrong_argument_of_the_hook_raises(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EMAHook(**arguments)


class Greatest(BaseAveragedModel):
    """The greatest value of each parameter."""

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: int) -> None:
        torch.maximum(averaged_param, source_param, out=averaged_param)


def test_average_of_the_users_own_class_is_used(normed: Model, make_runner: Make) -> None:
    hook = EMAHook(ema_type=Greatest)
    keep = Batches()
    make_runner(model=normed(), custom_hooks=[hook, keep], train_cfg=epochs(1)).train()

    greatest = torch.stack([item["first.weight"] for item in keep.weights]).amax(0)
    assert torch.equal(hook.ema_model.avg_parameters["first.weight"], greatest)


class Fails(Hook):
    """Raise in the validation of an epoch."""

    def __init__(self, error: type[BaseException] = RuntimeError) -> None:
        self.error = error

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if runner.epoch == 2:
            raise self.error("the validation fails")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_validation_that_raises_gives_the_trained_weights_back(
    make: Make, error: type[BaseException]
) -> None:
    runner = make(custom_hooks=[Fails(error)])
    with pytest.raises(error):
        runner.train()

    trained = checkpoint_of(runner, "epoch_2.pth")["ema_state_dict"]
    assert equal(
        {f"module.{k}": v for k, v in weights_of(runner.model).items()},
        {key: value for key, value in trained.items() if key != "steps"},
    )


class Catches(Hook):
    """Let each validation after the first epoch fail, and the training go on."""

    def before_train(self, runner: Any) -> None:
        loop, validate = runner.train_loop, runner.train_loop._validate

        def tolerant(val_loop: Any) -> None:
            try:
                validate(val_loop)
            except RuntimeError:
                runner.model.train()

        loop._validate = tolerant


def test_training_that_survives_a_failed_validation_trains_its_own_weights(
    make: Make, tmp_path: Path
) -> None:
    whole = make(work_dir=str(tmp_path / "whole"))
    failed = make(custom_hooks=[Fails(), Catches()])
    for runner in (whole, failed):
        runner.train()

    assert equal(weights_of(whole.model), weights_of(failed.model))


def test_compiled_model_validates_its_average(make: Make) -> None:
    runner = make(train_cfg=epochs(1), compile={"backend": "eager"})
    runner.train()

    average = hook_of(runner).ema_model.avg_parameters
    assert torch.equal(seen_by(runner)[0]["first.weight"], average["first.weight"])


def test_average_of_a_hook_used_by_two_runs_begins_anew(
    normed: Model, make_runner: Make, tmp_path: Path
) -> None:
    hook = EMAHook(momentum=0.3)
    for name in ("one", "two"):
        runner = make_runner(
            model=normed(), custom_hooks=[hook], train_cfg=epochs(1), work_dir=str(tmp_path / name)
        )
        runner.train()

    assert hook.ema_model.updates == 4
    assert hook.src_model is runner.model


def test_subclass_exchanges_weights_at_a_point_of_its_own(normed: Model, make_runner: Make) -> None:
    found: dict[str, Any] = {}

    class Switching(EMAHook):
        def after_train_epoch(self, runner: Any) -> None:
            before = weights_of(self.src_model)
            average = weights_of(self.ema_model.module)
            self._swap_ema_parameters()
            found["model"] = torch.equal(
                weights_of(self.src_model)["first.weight"], average["first.weight"]
            )
            self._swap_ema_parameters()
            found["back"] = equal(weights_of(self.src_model), before)
            checkpoint = {
                "state_dict": weights_of(self.src_model),
                "ema_state_dict": weights_of(self.ema_model),
            }
            self._swap_ema_state_dict(checkpoint)
            found["saved"] = torch.equal(
                checkpoint["state_dict"]["first.weight"], average["first.weight"]
            )

    hook = Switching(update_buffers=True)
    make_runner(model=normed(), custom_hooks=[hook], train_cfg=epochs(1)).train()

    assert found == {"model": True, "back": True, "saved": True}
    assert hook.ema_model.update_buffers
    assert "norm.running_mean" in hook.ema_model.avg_parameters
    assert (hook.strict_load, hook.begin_iter, hook.begin_epoch) == (False, 0, 0)


def test_update_reads_nothing_from_the_device(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = make({"interval": 2}, train_cfg=epochs(1))
    read: list[str] = []
    update = BaseAveragedModel.update_parameters

    def watched(self: BaseAveragedModel, model: nn.Module) -> None:
        with monkeypatch.context() as patch:
            for name in ("item", "__int__", "__bool__", "__float__", "tolist"):
                patch.setattr(Tensor, name, lambda *_, name=name: read.append(name))
            update(self, model)

    monkeypatch.setattr(BaseAveragedModel, "update_parameters", watched)
    runner.train()

    assert read == []


@pytest.mark.parametrize("other", ["EMAHook", "SWAHook"])
def test_two_averages_in_a_run_raise(make: Make, other: str) -> None:
    runner = make(custom_hooks=[{"type": other}])

    with pytest.raises(SettingsError, match=f"at most one hook .* got EMAHook and {other}"):
        runner.train()


class Widen(Hook):
    """Give the model a wider last layer before a validation."""

    priority = "HIGH"

    def before_val_epoch(self, runner: Any) -> None:
        runner.model.second = nn.Linear(3, 2)


def test_layer_of_another_shape_raises_before_any_weight_is_exchanged(make: Make) -> None:
    keep = Batches()
    runner = make(custom_hooks=[keep, Widen()])
    with pytest.raises(ValueError, match=r"got \(2, 3\) for \(1, 3\)"):
        runner.train()

    assert torch.equal(runner.model.first.weight, keep.weights[-1]["first.weight"])
