"""Norms of gradients: of true gradients, computed only where the run logs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine_model import BaseModel
from engine_optim import OptimWrapper, OptimWrapperDict
from engine_runner import Hook, Runner
from engine_runner.hooks import GradientNormHook

MakeRunner = Callable[..., Runner]


class Layers(BaseModel):
    """A backbone and a head, without random numbers in a step."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.backbone = nn.Sequential(nn.Linear(1, 4), nn.Tanh())
        self.head = nn.Linear(4, 1)

    def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
        predicted = self.head(self.backbone(x))
        if mode == "loss":
            return {"loss": (predicted.float() - y).square().mean()}
        return (predicted, y) if mode == "predict" else predicted


class Reference(Hook):
    """Record the norms of the gradients that a backward pass leaves, by hand."""

    def __init__(self) -> None:
        self.norms: list[dict[str, float]] = []

    def before_train(self, runner: Runner) -> None:
        """Look at the gradients before the wrapper clips them and steps."""
        wrapper = runner.optim_wrapper
        step = wrapper.step

        def recorded(**kwargs: Any) -> None:
            scaler = getattr(wrapper, "loss_scaler", None)
            scale = scaler.get_scale() if scaler else 1.0
            groups = {"": runner.model, "head": runner.model.head, "body": runner.model.backbone}
            norms = {}
            for name, module in groups.items():
                squares = [(p.grad / scale).square().sum() for p in module.parameters()]
                norms[name] = torch.stack(squares).sum().sqrt().item()
            self.norms.append(norms)
            step(**kwargs)

        wrapper.step = recorded


def _scalars(runner: Runner, name: str) -> list[float]:
    values: list[float] = runner.message_hub.get_scalar(f"train/{name}").data[0].tolist()
    return values


def _log(runner: Runner) -> str:
    return next(Path(runner.log_dir).glob("*.log")).read_text()


def _train(make_runner: MakeRunner, hook: GradientNormHook, **changes: Any) -> tuple[Any, Runner]:
    reference = Reference()
    runner = make_runner(
        model=Layers(),
        custom_hooks=[hook, reference],
        param_scheduler=None,
        **{"default_hooks": {"logger": {"type": "LoggerHook", "interval": 2}}, **changes},
    )
    runner.train()
    return reference.norms, runner


def test_norm_is_computed_where_the_run_logs(make_runner: MakeRunner) -> None:
    norms, runner = _train(make_runner, GradientNormHook(per_module=True))

    logged = norms[1::2]
    assert len(norms) == 12
    assert _scalars(runner, "grad_norm") == pytest.approx([one[""] for one in logged])
    assert _scalars(runner, "grad_norm/head") == pytest.approx([one["head"] for one in logged])
    assert _scalars(runner, "grad_norm/backbone") == pytest.approx([one["body"] for one in logged])
    line = next(line for line in _log(runner).splitlines() if "[2/4]" in line)
    assert f"grad_norm: {logged[0]['']:.4f}" in line


@pytest.mark.parametrize(
    "wrapper",
    [
        pytest.param({"type": "AmpOptimWrapper", "loss_scale": 16.0}, id="float16"),
        pytest.param({"type": "AmpOptimWrapper", "dtype": "bfloat16"}, id="bfloat16"),
        pytest.param(
            {
                "type": "AmpOptimWrapper",
                "loss_scale": 16.0,
                "optimizer": {"type": "SGD", "lr": 0.1, "fused": True},
            },
            id="float16 fused",
        ),
        pytest.param({"clip_grad": {"max_norm": 0.05}}, id="clipped"),
        pytest.param({"clip_grad": {"max_norm": 0.05, "norm_type": 1.0}}, id="clipped by L1"),
        pytest.param(
            {"type": "AmpOptimWrapper", "loss_scale": 16.0, "clip_grad": {"max_norm": 0.05}},
            id="float16 clipped",
        ),
    ],
)
def test_norms_are_those_of_true_gradients(
    make_runner: MakeRunner, wrapper: dict[str, Any]
) -> None:
    optimizer = {"optimizer": {"type": "SGD", "lr": 0.1}, **wrapper}

    norms, runner = _train(make_runner, GradientNormHook(per_module=True), optim_wrapper=optimizer)

    expected = [one["head"] for one in norms[1::2]]
    assert _scalars(runner, "grad_norm/head") == pytest.approx(expected, rel=1e-3)


def test_norm_of_a_window_is_logged_with_accumulation(make_runner: MakeRunner) -> None:
    wrapper = {"optimizer": {"type": "SGD", "lr": 0.1}, "accumulative_counts": 3}

    norms, runner = _train(make_runner, GradientNormHook(), optim_wrapper=wrapper)

    # Steps after iterations 3, 6, 9, 12; lines of the log after each second one.
    assert len(norms) == 4
    assert _scalars(runner, "grad_norm") == pytest.approx([one[""] for one in norms])


def test_step_without_a_line_of_the_log_computes_nothing(make_runner: MakeRunner) -> None:
    logger = {"logger": {"type": "LoggerHook", "interval": 4}}

    norms, runner = _train(make_runner, GradientNormHook(), default_hooks=logger)

    assert _scalars(runner, "grad_norm") == pytest.approx([one[""] for one in norms[3::4]])


def test_interval_of_its_own(make_runner: MakeRunner) -> None:
    norms, runner = _train(make_runner, GradientNormHook(interval=3))

    assert _scalars(runner, "grad_norm") == pytest.approx([norms[n][""] for n in (2, 6, 10)])


def test_total_of_clipping_is_recorded_once(make_runner: MakeRunner) -> None:
    wrapper = {"optimizer": {"type": "SGD", "lr": 0.1}, "clip_grad": {"max_norm": 0.05}}

    norms, runner = _train(make_runner, GradientNormHook(per_module=True), optim_wrapper=wrapper)

    assert _scalars(runner, "grad_norm") == pytest.approx([one[""] for one in norms])


def test_hook_that_adds_nothing_to_clipping_is_a_warning(make_runner: MakeRunner) -> None:
    wrapper = {"optimizer": {"type": "SGD", "lr": 0.1}, "clip_grad": {"max_norm": 0.05}}

    _, runner = _train(make_runner, GradientNormHook(), optim_wrapper=wrapper)

    assert "with clip_grad the run logs grad_norm by itself" in _log(runner)


def test_each_of_several_optimizers_has_its_norm(make_runner: MakeRunner) -> None:
    class Two(Layers):
        def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
            loss = self(*data, mode="loss")["loss"]
            loss.backward()
            for wrapper in optim_wrapper.values():
                wrapper.step()
                wrapper.zero_grad()
            return {"loss": loss}

    model = Two()
    wrappers = OptimWrapperDict(
        body=OptimWrapper(torch.optim.SGD(model.backbone.parameters(), lr=0.0)),
        top=OptimWrapper(torch.optim.SGD(model.head.parameters(), lr=0.0)),
    )
    runner = make_runner(
        model=model,
        optim_wrapper=wrappers,
        param_scheduler=None,
        custom_hooks=[GradientNormHook(per_module=True)],
    )

    runner.train()

    assert _scalars(runner, "body.grad_norm") == _scalars(runner, "body.grad_norm/backbone")
    assert _scalars(runner, "top.grad_norm") == _scalars(runner, "top.grad_norm/head")
    assert _scalars(runner, "top.grad_norm") != _scalars(runner, "body.grad_norm")


class InTwo(Layers):
    """Each of two optimizers updates its part from a loss of its own."""

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        losses = {}
        for name in ("body", "top"):
            losses[f"loss_{name}"] = self(*data, mode="loss")["loss"]
            optim_wrapper[name].update_params(losses[f"loss_{name}"])
        return losses


@pytest.mark.parametrize("hooked", [False, True])
def test_run_logs_the_norms_of_several_optimizers_that_clip(
    make_runner: MakeRunner, hooked: bool
) -> None:
    model = InTwo()
    body, top = (
        torch.optim.SGD(part.parameters(), lr=0.0) for part in (model.backbone, model.head)
    )
    runner = make_runner(
        model=model,
        optim_wrapper=OptimWrapperDict(
            body=OptimWrapper(body, clip_grad={"max_norm": 1e-3}), top=OptimWrapper(top)
        ),
        param_scheduler=None,
        custom_hooks=[GradientNormHook(interval=1)] if hooked else [],
    )

    runner.train()

    clipped = [float(norm) for norm in _scalars(runner, "body.grad_norm")]
    assert len(clipped) == runner.iter
    assert min(clipped) > 1e-3
    assert "body.grad_norm: " in _log(runner)
    assert bool(_scalars(runner, "top.grad_norm") if hooked else []) == hooked


def test_closure_is_a_warning(make_runner: MakeRunner) -> None:
    class Closure(Layers):
        def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
            def closure() -> Tensor:
                optim_wrapper.zero_grad()
                loss: Tensor = self(*data, mode="loss")["loss"]
                optim_wrapper.backward(loss)
                return loss

            optim_wrapper.step(closure=closure)
            return {"loss": closure().detach()}

    runner = make_runner(
        model=Closure(),
        optim_wrapper={"optimizer": {"type": "LBFGS", "lr": 0.1}},
        param_scheduler=None,
        custom_hooks=[GradientNormHook()],
    )

    runner.train()

    assert _log(runner).count("never acts on LBFGS") == 1


def test_run_without_a_logger_is_a_warning(make_runner: MakeRunner) -> None:
    _, runner = _train(make_runner, GradientNormHook(), default_hooks={"logger": None})

    assert "the run has no hook that logs" in _log(runner)


def test_optimizer_is_left_as_it_was(make_runner: MakeRunner) -> None:
    class Broken(Hook):
        def after_train_epoch(self, runner: Runner) -> None:
            raise RuntimeError("broken")

    runner = make_runner(
        model=Layers(), param_scheduler=None, custom_hooks=[GradientNormHook(), Broken()]
    )
    with pytest.raises(RuntimeError, match="broken"):
        runner.train()

    assert not runner.optim_wrapper.optimizer._optimizer_step_pre_hooks


def test_sparse_gradients_have_a_norm(make_runner: MakeRunner) -> None:
    class Table(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(3, 1, sparse=True)

        def forward(self, x: Tensor, y: Tensor, mode: str = "tensor") -> Any:
            chosen = self.table(torch.tensor([0, 0, 1]))
            return {"loss": chosen.sum()}

    runner = make_runner(
        model=Table(),
        val_dataloader=None,
        val_cfg=None,
        val_evaluator=None,
        param_scheduler=None,
        custom_hooks=[GradientNormHook()],
    )

    runner.train()

    assert _scalars(runner, "grad_norm")[0] == pytest.approx(5**0.5)


def test_interval_must_be_positive() -> None:
    with pytest.raises(ValueError, match="interval must be an integer >= 1, got 0"):
        GradientNormHook(interval=0)
