"""`EMAHook`: what is trained, validated, saved and resumed."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

from engine_evaluator import BaseMetric
from engine_model import BaseAveragedModel, BaseModel
from engine_runner import Hook, Runner
from engine_runner.hooks import EMAHook

Make = Callable[..., Runner]
Weights = Mapping[str, Tensor]


class Normed(BaseModel):
    """Two layers with batch normalization, tied outputs and a frozen scale."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.first = nn.Linear(1, 3)
        self.norm = nn.BatchNorm1d(3)
        self.second = nn.Linear(3, 1)
        self.also_second = self.second
        self.scale = nn.Parameter(torch.tensor([2.0]), requires_grad=False)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        predicted = self.scale * self.also_second(self.norm(self.first(x)).relu())
        if mode == "loss":
            return {"loss": (predicted - y).square().mean()}
        return (predicted, y) if mode == "predict" else predicted


class WeightsSeen(BaseMetric):
    """Keep the weights with which each evaluation predicts."""

    def __init__(self) -> None:
        super().__init__()
        self.model: Any = None
        self.seen: list[dict[str, Tensor]] = []

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(0.0)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        self.seen.append(_copy(self.model))
        return {"error": float(len(self.seen))}


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: item.detach().clone() for name, item in model.state_dict().items()}


def _equal(left: Weights, right: Weights) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def _epochs(count: int, **more: Any) -> dict[str, Any]:
    return {"by_epoch": True, "max_epochs": count, **more}


def _saved(runner: Runner, name: str) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(Path(runner.work_dir, name), weights_only=True)
    return found


def _hook(runner: Runner) -> EMAHook:
    [hook] = [hook for hook in runner.hooks if isinstance(hook, EMAHook)]
    return hook


@pytest.fixture
def make(make_runner: Make) -> Make:
    """Return a function that builds a run of a `Normed` model with an `EMAHook`.

    ``ema`` has the arguments of the hook; None leaves it out. Its metric keeps the weights.
    """

    def build(ema: dict[str, Any] | None = {}, **changes: Any) -> Runner:  # noqa: B006  # never changed
        model = changes.pop("model", None) or Normed()
        metric = WeightsSeen()
        metric.model = model
        swa = (ema or {}).get("ema_type") == "StochasticWeightAverage"
        given = {"type": "EMAHook", **({} if swa else {"momentum": 0.3}), **(ema or {})}
        hooks = [] if ema is None else [given]
        own = changes.pop("custom_hooks", [])
        return make_runner(
            model=model, val_evaluator=metric, custom_hooks=[*hooks, *own], **changes
        )

    return build


def _seen(runner: Runner) -> list[dict[str, Tensor]]:
    [metric] = runner.val_evaluator.metrics
    assert isinstance(metric, WeightsSeen)
    return metric.seen


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
        self.weights.append(_copy(runner.model))


RULES: dict[str, tuple[dict[str, Any], Callable[[], Any]]] = {
    "ema": ({"momentum": 0.3}, lambda: get_ema_multi_avg_fn(0.7)),  # type: ignore[no-untyped-call]  # torch leaves it bare
    "swa": ({"ema_type": "StochasticWeightAverage"}, lambda: get_swa_multi_avg_fn()),  # type: ignore[no-untyped-call]  # likewise
}


@pytest.mark.parametrize("kind", RULES)
def test_average_of_ten_steps_equals_a_loop_by_hand_bit_for_bit(
    make_runner: Make, kind: str
) -> None:
    keep = Batches()
    runner = make_runner(
        model=Normed(),
        train_cfg={"by_epoch": False, "max_iters": 10, "val_interval": 100},
        param_scheduler=None,
        custom_hooks=[{"type": "EMAHook", **RULES[kind][0]}, keep],
    )
    runner.train()

    model = Normed()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    average = AveragedModel(model, multi_avg_fn=RULES[kind][1]())
    for x, y in keep.batches:
        optimizer.zero_grad()
        model(x, y, mode="loss")["loss"].backward()
        optimizer.step()
        average.update_parameters(model)

    assert len(keep.batches) == 10
    assert _equal(_copy(runner.model), _copy(model))
    ours = dict(_hook(runner).ema_model.module.named_parameters())
    for name, parameter in average.module.named_parameters():
        assert torch.equal(ours[name], parameter), name


def test_training_is_unaffected_by_the_average(make: Make, tmp_path: Path) -> None:
    plain = make(None, work_dir=str(tmp_path / "plain"))
    averaged = make({"update_buffers": True})
    for runner in (plain, averaged):
        runner.train()

    assert _equal(_copy(plain.model), _copy(averaged.model))
    assert not _equal(_seen(plain)[-1], _seen(averaged)[-1])


@pytest.mark.parametrize("buffers", [False, True], ids=["parameters", "buffers-too"])
def test_validation_uses_the_average(make: Make, buffers: bool) -> None:
    runner = make({"update_buffers": buffers}, train_cfg=_epochs(2, val_interval=2))
    runner.train()

    average = _hook(runner).ema_model.module
    [seen] = _seen(runner)
    for name, value in average.named_parameters():
        assert torch.equal(seen[name], value), name
    own = average if buffers else runner.model
    for name, value in own.named_buffers():
        assert torch.equal(seen[name], value), name
    assert not torch.equal(seen["first.weight"], runner.model.first.weight)


def test_test_after_training_uses_the_average(
    make: Make, settings: Callable[..., dict[str, Any]]
) -> None:
    data = settings()["val_dataloader"]
    runner = make(
        train_cfg=_epochs(1), test_cfg={}, test_dataloader=data, test_evaluator=WeightsSeen()
    )
    runner.train()
    trained = _copy(runner.model)
    [metric] = runner.test_evaluator.metrics
    metric.model = runner.model
    runner.test()

    assert torch.equal(metric.seen[0]["first.weight"], _hook(runner).ema_model.module.first.weight)
    assert _equal(_copy(runner.model), trained)


def test_checkpoint_has_the_average_and_beside_it_the_trained_weights(make: Make) -> None:
    runner = make(train_cfg=_epochs(1))
    runner.train()

    saved = _saved(runner, "epoch_1.pth")
    trained = {f"module.{name}": item for name, item in _copy(runner.model).items()}
    assert _equal(saved["ema_state_dict"], {"steps": torch.tensor(4), **trained})
    average = dict(_hook(runner).ema_model.module.named_parameters(remove_duplicate=False))
    assert all(torch.equal(saved["state_dict"][name], item) for name, item in average.items())
    assert list(saved["state_dict"]) == list(runner.model.state_dict())


def test_best_checkpoint_has_the_weights_that_were_validated(make: Make) -> None:
    best = {"checkpoint": {"type": "CheckpointHook", "save_best": "error", "rule": "less"}}
    runner = make(train_cfg=_epochs(2), default_hooks=best)
    runner.train()

    saved = _saved(runner, "best_error_epoch_1.pth")
    assert _equal(saved["state_dict"], _seen(runner)[0])


@pytest.mark.parametrize(
    "ema",
    [
        {},
        {"interval": 3},
        {"update_buffers": True},
        {"ema_type": "MomentumAnnealingEMA", "gamma": 5},
        {"ema_type": "StochasticWeightAverage", "interval": 2},
    ],
    ids=["ema", "interval", "buffers", "annealed", "swa"],
)
@pytest.mark.parametrize("by_epoch", [True, False], ids=["by-epoch", "by-iter"])
def test_resumed_run_continues_exactly(
    make: Make, tmp_path: Path, ema: dict[str, Any], by_epoch: bool
) -> None:
    def run(last: int, work_dir: str, **more: Any) -> Runner:
        loop = _epochs(last) if by_epoch else {"by_epoch": False, "max_iters": last * 3}
        keep = {"type": "CheckpointHook", "interval": 1 if by_epoch else 3, "by_epoch": by_epoch}
        hooks = {"checkpoint": keep}
        accumulate = {"optimizer": {"type": "SGD", "lr": 0.1}, "accumulative_counts": 2}
        runner = make(
            ema,
            train_cfg=loop,
            work_dir=str(tmp_path / work_dir),
            default_hooks=hooks,
            optim_wrapper=accumulate,
            param_scheduler=None,
            **more,
        )
        runner.train()
        return runner

    whole = run(3, "whole")
    run(2, "parts")
    resumed = run(3, "parts", resume=True)

    assert _equal(_copy(whole.model), _copy(resumed.model))
    assert _equal(_hook(whole).ema_model.state_dict(), _hook(resumed).ema_model.state_dict())
    name = "epoch_3.pth" if by_epoch else "iter_9.pth"
    for key in ("state_dict", "ema_state_dict"):
        assert _equal(_saved(whole, name)[key], _saved(resumed, name)[key])
    assert _equal(_seen(whole)[-1], _seen(resumed)[-1])


def test_run_resumed_by_a_call_continues_exactly(make: Make, tmp_path: Path) -> None:
    whole = make(work_dir=str(tmp_path / "whole"), param_scheduler=None)
    whole.train()
    first = make(train_cfg=_epochs(1), param_scheduler=None)
    first.train()
    second = make(work_dir=str(tmp_path / "second"), param_scheduler=None)
    second.resume(f"{first.work_dir}/epoch_1.pth")
    second.train()

    assert _equal(_copy(whole.model), _copy(second.model))
    assert _equal(_hook(whole).ema_model.state_dict(), _hook(second).ema_model.state_dict())


def test_loaded_average_is_the_model_of_a_test_run(make: Make, tmp_path: Path) -> None:
    first = make(train_cfg=_epochs(2))
    first.train()
    path = f"{first.work_dir}/epoch_2.pth"
    without = {"train_cfg": None, "train_dataloader": None, "optim_wrapper": None}
    second = make(
        load_from=path, param_scheduler=None, work_dir=str(tmp_path / "second"), **without
    )
    second.val()

    assert _equal(_seen(second)[0], _saved(first, "epoch_2.pth")["state_dict"])
    assert _equal(_seen(second)[0], _seen(first)[1])
    assert _equal(_copy(second.model), _seen(second)[0])


def test_checkpoint_loaded_after_a_training_is_what_is_validated(make: Make) -> None:
    runner = make(train_cfg=_epochs(2))
    runner.train()
    runner.load_checkpoint(f"{runner.work_dir}/epoch_1.pth")
    runner.val()

    assert _equal(_seen(runner)[-1], _saved(runner, "epoch_1.pth")["state_dict"])


def test_fine_tuning_begins_a_new_average(make: Make, tmp_path: Path) -> None:
    first = make(train_cfg=_epochs(1))
    first.train()
    path = f"{first.work_dir}/epoch_1.pth"
    tuned = make(load_from=path, train_cfg=_epochs(1), work_dir=str(tmp_path / "tuned"))
    tuned.train()

    assert _saved(tuned, "epoch_1.pth")["ema_state_dict"]["steps"] == 4


def test_checkpoint_without_an_average_begins_one_with_a_warning(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    make(None, train_cfg=_epochs(1)).train()
    runner = make(train_cfg=_epochs(2), resume=True)
    runner.train()

    printed = "".join(capsys.readouterr())
    assert "the checkpoint has no ema_state_dict: EMAHook begins a new average" in printed
    assert _hook(runner).ema_model.updates == 4


def test_run_without_the_hook_resumes_the_averages_as_weights(make: Make) -> None:
    make(train_cfg=_epochs(1)).train()
    runner = make(None, train_cfg=_epochs(1), resume=True)
    runner.load_or_resume()

    assert _equal(_copy(runner.model), _saved(runner, "epoch_1.pth")["state_dict"])


def test_average_that_does_not_fit_raises_if_strict(make: Make) -> None:
    first = make(train_cfg=_epochs(1))
    first.train()
    path = Path(first.work_dir, "epoch_1.pth")
    saved = _saved(first, "epoch_1.pth")
    del saved["ema_state_dict"]["module.first.bias"]
    torch.save(saved, path)

    with pytest.raises(Exception, match=r"first\.bias"):
        make({"strict_load": True}, train_cfg=_epochs(2), resume=True).train()


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

    assert _hook(runner).ema_model.updates == updates


def test_before_the_average_begins_the_trained_weights_are_validated_and_saved(make: Make) -> None:
    runner = make({"begin_epoch": 2}, train_cfg=_epochs(2))
    runner.train()

    saved = _saved(runner, "epoch_1.pth")
    assert _equal(_seen(runner)[0], saved["state_dict"])
    for name, value in saved["state_dict"].items():
        assert torch.equal(saved["ema_state_dict"][f"module.{name}"], value), name


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
        ({"momentun": 0.1}, "no argument 'momentun'; did you mean 'momentum'"),
    ],
    ids=["both", "negative", "fraction", "misspelled", "no-average", "unknown-argument"],
)
def test_wrong_argument_of_the_hook_raises(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EMAHook(**arguments)


class Greatest(BaseAveragedModel):
    """The greatest value of each parameter."""

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: int) -> None:
        torch.maximum(averaged_param, source_param, out=averaged_param)


def test_average_of_the_users_own_class_is_used(make_runner: Make) -> None:
    hook = EMAHook(ema_type=Greatest)
    keep = Batches()
    make_runner(model=Normed(), custom_hooks=[hook, keep], train_cfg=_epochs(1)).train()

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

    trained = _saved(runner, "epoch_2.pth")["ema_state_dict"]
    assert _equal(
        {f"module.{k}": v for k, v in _copy(runner.model).items()},
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

    assert _equal(_copy(whole.model), _copy(failed.model))


class SavesWithin(Hook):
    """Save in the middle of a validation, when the model holds the averages."""

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if batch_idx == 1:
            runner.save_checkpoint(runner.work_dir, "within.pth")


def test_checkpoint_within_a_validation_equals_one_outside(make: Make) -> None:
    runner = make(train_cfg=_epochs(1), custom_hooks=[SavesWithin()])
    runner.train()

    within, outside = (_saved(runner, name) for name in ("within.pth", "epoch_1.pth"))
    for key in ("state_dict", "ema_state_dict"):
        assert _equal(within[key], outside[key])


def test_early_stop_saves_the_average(make: Make) -> None:
    stop = {"type": "EarlyStoppingHook", "monitor": "error", "rule": "less", "patience": 1}
    keep = {"checkpoint": {"type": "CheckpointHook", "interval": 10}}
    runner = make(custom_hooks=[stop], default_hooks=keep)
    runner.train()

    saved = _saved(runner, "epoch_2.pth")
    assert runner.epoch == 2
    average = dict(_hook(runner).ema_model.module.named_parameters())
    assert all(torch.equal(saved["state_dict"][name], item) for name, item in average.items())


def test_compiled_model_validates_its_average(make: Make) -> None:
    runner = make(train_cfg=_epochs(1), compile={"backend": "eager"})
    runner.train()

    assert torch.equal(
        _seen(runner)[0]["first.weight"], _hook(runner).ema_model.module.first.weight
    )


def test_average_of_a_hook_used_by_two_runs_begins_anew(make_runner: Make, tmp_path: Path) -> None:
    hook = EMAHook(momentum=0.3)
    for name in ("one", "two"):
        runner = make_runner(
            model=Normed(), custom_hooks=[hook], train_cfg=_epochs(1), work_dir=str(tmp_path / name)
        )
        runner.train()

    assert hook.ema_model.updates == 4
    assert hook.src_model is runner.model


def test_subclass_exchanges_weights_at_a_point_of_its_own(make_runner: Make) -> None:
    found: dict[str, Any] = {}

    class Switching(EMAHook):
        def after_train_epoch(self, runner: Any) -> None:
            before = _copy(self.src_model)
            average = _copy(self.ema_model.module)
            self._swap_ema_parameters()
            found["model"] = torch.equal(
                _copy(self.src_model)["first.weight"], average["first.weight"]
            )
            self._swap_ema_parameters()
            found["back"] = _equal(_copy(self.src_model), before)
            checkpoint = {
                "state_dict": _copy(self.src_model),
                "ema_state_dict": _copy(self.ema_model),
            }
            self._swap_ema_state_dict(checkpoint)
            found["saved"] = torch.equal(
                checkpoint["state_dict"]["first.weight"], average["first.weight"]
            )

    hook = Switching(update_buffers=True)
    make_runner(model=Normed(), custom_hooks=[hook], train_cfg=_epochs(1)).train()

    assert found == {"model": True, "back": True, "saved": True}
    assert hook.ema_model.update_buffers
    assert "norm.running_mean" in hook.ema_model.avg_parameters
    assert (hook.strict_load, hook.begin_iter, hook.begin_epoch) == (False, 0, 0)


def test_update_reads_nothing_from_the_device(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = make({"interval": 2}, train_cfg=_epochs(1))
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
