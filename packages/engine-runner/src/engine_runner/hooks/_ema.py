"""Validate, test and save a running average of the weights."""

import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn

from engine_dist import all_reduce_params
from engine_model import (
    BaseAveragedModel,
    get_state_dict,
    is_model_wrapper,
    load_state_dict,
    local_part,
    reshard,
    revise_names,
    weights_in,
)
from engine_model.weights import is_sharded, weights_to_cpu
from engine_optim import step_of
from engine_registry import HOOKS, MODELS
from engine_runner._errors import SettingsError
from engine_runner._hook import Hook
from engine_runner._integer import integer
from engine_runner._protocols import Run
from engine_runner._types import Batch, Metrics, Outputs
from engine_runner._wrappers import guards_of
from engine_runner.checkpoint import BufferStates, average_buffers
from engine_utils import call_mistakes, did_you_mean

_SAVED = "ema_state_dict"
_BUFFERS, _OF_RANKS = "buffers", "ema_buffers"  # of the model, and of the average
_model_log = logging.getLogger("engine.model")


@HOOKS.register_module()
class EMAHook(Hook):
    """Average the weights over the training, and validate, test and save the average.

    The training itself is unaffected. Validation and test exchange the parameters of the model for
    the averages, and exchange them back at their end, however they end. Buffers are exchanged if
    ``update_buffers`` is set; otherwise evaluations use those of the model.

    A checkpoint has the averages as its ``state_dict``: whoever loads it gets the averaged model.
    ``ema_state_dict`` has the weights as trained, under ``module.<name>``, and the number of
    updates as ``steps``. A resumed run exchanges both, and continues exactly. Weights that are
    loaded without resuming begin a new average.

    An update follows each iteration. With gradient accumulation, ``interval`` set to the number of
    accumulated iterations averages once per step of the optimizer.

    Args:
        ema_type: The name of an average in ``MODELS``, such as ``"ExponentialMovingAverage"``,
            ``"MomentumAnnealingEMA"`` or ``"StochasticWeightAverage"``, or its class.
        strict_load: Raise if the average of a resumed checkpoint does not fit exactly.
        begin_iter: The first iteration to average, from 1; 0 begins at once. The average begins
            with the weights of that iteration.
        begin_epoch: The first epoch to average, from 1; 0 begins at once.
        **kwargs: Arguments of the average, such as ``momentum``, ``interval`` or
            ``update_buffers``.

    Raises:
        ValueError: ``begin_iter`` and ``begin_epoch`` are both set or are not integers >= 0,
            ``ema_type`` is not an average, or the average does not accept one of ``kwargs``.

    Attributes:
        ema_model: The average, from ``before_run`` on; its ``module`` has the averaged copy.
        src_model: The model whose weights are averaged, without its wrapper.

    Example:
        >>> hook = EMAHook(momentum=0.001, begin_epoch=2)
        >>> hook.ema_cfg
        {'type': 'ExponentialMovingAverage', 'momentum': 0.001}
        >>> EMAHook(begin_iter=100, begin_epoch=2)
        Traceback (most recent call last):
        ValueError: at most one of begin_iter and begin_epoch must be set, got 100 and 2
    """

    priority = "NORMAL"

    ema_model: BaseAveragedModel
    src_model: nn.Module

    def __init__(
        self,
        ema_type: str | type[BaseAveragedModel] = "ExponentialMovingAverage",
        strict_load: bool = False,
        begin_iter: int = 0,
        begin_epoch: int = 0,
        **kwargs: Any,
    ) -> None:
        self.strict_load = strict_load
        self.begin_iter = integer("begin_iter", begin_iter, at_least=0)
        self.begin_epoch = integer("begin_epoch", begin_epoch, at_least=0)
        if self.begin_iter and self.begin_epoch:
            raise ValueError(
                "at most one of begin_iter and begin_epoch must be set, got "
                f"{begin_iter} and {begin_epoch}"
            )
        _check_average(ema_type, kwargs)
        self.ema_cfg: dict[str, Any] = {"type": ema_type, **kwargs}
        self._source: nn.Module | None = None  # what `src_model` and `ema_model` are built for
        self._begun = False
        self._exchanged = False
        self._own: list[tuple[Tensor, Tensor]] = []  # the averaged buffers of this rank

    @contextmanager
    def around_run(self, runner: Run) -> Iterator[None]:
        """Give the model its own weights back, if an evaluation ends with an error."""
        try:
            yield
        finally:
            self._restore()

    def before_run(self, runner: Run) -> None:
        """Copy the model, unless an earlier call has averaged it already.

        Raises:
            SettingsError: Another hook averages the weights, too.
        """
        rivals = [type(hook).__name__ for hook in runner.hooks if isinstance(hook, EMAHook)]
        if len(rivals) > 1:
            # Both would exchange the weights, and keep theirs under one key of a checkpoint.
            raise SettingsError(
                f"at most one hook must average the weights, got {' and '.join(rivals)}; keep one"
            )
        self._prepare(runner)

    def before_train(self, runner: Run) -> None:
        """Warn if the training ends before the average begins."""
        begin, last, name = self.begin_iter, runner.max_iters, "begin_iter"
        if self.begin_epoch:
            begin, last, name = self.begin_epoch, runner.max_epochs, "begin_epoch"
            if not runner.trains_by_epoch:  # where the whole training is one epoch to hooks
                return
        if begin > last:
            runner.logger.warning(
                f"{type(self).__name__} never acts: {name} must be at most {last}, where the "
                f"training ends, got {begin}. Evaluations and checkpoints have the trained weights"
            )

    def before_train_iter(self, runner: Run, batch_idx: int, data_batch: Batch = None) -> None:
        """Restore the weights if a loop has caught the error of a validation."""
        if self._exchanged:
            self._restore()

    def after_train_iter(
        self, runner: Run, batch_idx: int, data_batch: Batch = None, outputs: Outputs = None
    ) -> None:
        """Update the average, unless the step was left out for a bad loss."""
        if self._waits(runner):
            return
        if self._begun or self._begins(runner):
            self.ema_model.update_parameters(self.src_model)

    def before_val_epoch(self, runner: Run) -> None:
        """Exchange the weights of the model for the averages."""
        self._use_average(runner)

    def after_val_epoch(self, runner: Run, metrics: Metrics | None = None) -> None:
        """Give the model its own weights back."""
        self._restore()

    def before_test_epoch(self, runner: Run) -> None:
        """Exchange the weights of the model for the averages."""
        self._use_average(runner)

    def after_test_epoch(self, runner: Run, metrics: Metrics | None = None) -> None:
        """Give the model its own weights back."""
        self._restore()

    def before_save_checkpoint(self, runner: Run, checkpoint: dict[str, Any]) -> None:
        """Save the averages as the weights, and the weights as trained beside them."""
        self._prepare(runner)
        if not self.ema_model.updates:
            self._follow()
        averages = get_state_dict(self.ema_model)
        if self._has_own_buffers() and runner.world_size > 1:
            self._save_buffers(runner, checkpoint, averages)
        # A writer of shards takes those of the averages, too.
        if not any(map(is_sharded, checkpoint["state_dict"].values())):
            averages = weights_to_cpu(averages)
        checkpoint[_SAVED] = averages
        for name in self._shared_names():
            if name in checkpoint["state_dict"]:
                averages[f"module.{name}"] = checkpoint["state_dict"][name]
        if not self._exchanged:  # otherwise the model holds the averages at this moment
            self._swap_ema_state_dict(checkpoint)

    def _save_buffers(
        self, runner: Run, checkpoint: dict[str, Any], averages: dict[str, Any]
    ) -> None:
        """Save the mean of the averaged buffers over the ranks, and those of each rank."""
        buffers = BufferStates(self.ema_model.module, whole=not runner.checkpointer.sharded)
        checkpoint[_OF_RANKS] = buffers.state_dict()
        if self._exchanged:  # those of the model are the averages at this moment
            former = checkpoint.pop(_BUFFERS, [])
            checkpoint[_BUFFERS], checkpoint[_OF_RANKS] = checkpoint[_OF_RANKS], former
        # Copies: the training continues with those of the rank, as it does after a resume.
        means = {
            f"module.{name}": item.detach().clone()
            for name, item in self.ema_model.module.named_buffers()
            if item.is_floating_point() and not is_sharded(item) and f"module.{name}" in averages
        }
        all_reduce_params(list(means.values()), op="mean")
        averages.update(means)

    def after_load_checkpoint(self, runner: Run, checkpoint: dict[str, Any]) -> None:
        """Begin a new average of the weights that are loaded; `after_resume` restores the old one.

        The ``state_dict`` of the checkpoint has the averages, which the model takes over.
        """
        self._prepare(runner)
        self._restore()
        self.ema_model.steps.zero_()

    def after_resume(self, runner: Run, checkpoint: Mapping[str, Any]) -> None:
        """Take over the averages of a resumed checkpoint, and give the model its own weights back.

        Raises:
            StateDictError: The average does not fit, and ``strict_load`` is set.
        """
        if _SAVED not in checkpoint:
            runner.logger.warning(
                f"the checkpoint has no {_SAVED}: {type(self).__name__} begins a new average of "
                "the resumed weights"
            )
            return
        self._prepare(runner)
        weights = revise_names(weights_in(checkpoint), [(r"^module\.", "")])
        both = {"state_dict": _copied(weights), _SAVED: _copied(checkpoint[_SAVED])}
        self._swap_ema_state_dict(both)
        load_state_dict(self.ema_model, both[_SAVED], strict=self.strict_load)
        load_state_dict(self.src_model, both["state_dict"])
        BufferStates(self.ema_model.module).load_state_dict(checkpoint.get(_OF_RANKS) or ())

    def _prepare(self, runner: Run) -> None:
        model: Any = runner.model
        model = model.module if is_model_wrapper(model) else model
        if self._source is model:
            return
        self.src_model = self._source = model
        self.ema_model = MODELS.build({**self.ema_cfg, "model": model})
        self._begun = self._exchanged = False

    def _waits(self, runner: Run) -> bool:
        """Return whether the weights are unchanged because a step was left out."""
        guards = guards_of(runner.optim_wrapper)
        step = step_of(guards) if guards else "done"
        # Within an accumulation window the forward pass may have spoiled the buffers.
        return step == "left out" or (step == "not due" and self._has_own_buffers())

    def _begins(self, runner: Run) -> bool:
        self._begun = runner.iter + 1 >= self.begin_iter and runner.epoch + 1 >= self.begin_epoch
        return self._begun

    def _use_average(self, runner: Run) -> None:
        # Without an update, the weights of the model are those to evaluate.
        if self.ema_model.updates and not self._exchanged:
            self._swap_ema_parameters()
            if self._has_own_buffers() and runner.world_size > 1:
                # Kept, because the training continues with those of the rank.
                self._own = [(item, item.clone()) for item in self.src_model.buffers()]
                average_buffers(self.src_model)

    @torch.no_grad()
    def _restore(self) -> None:
        if self._exchanged:
            for buffer, own in self._own:
                buffer.copy_(own)
            self._own = []
            self._swap_ema_parameters()

    @torch.no_grad()
    def _swap_ema_parameters(self) -> None:
        """Exchange the values of the model and of the average, in place."""
        # Values rather than tensors: optimizers, compiled graphs and sharded units have the
        # tensors of the model. One after the other, so that a single one is copied at a time.
        for ours, theirs in self._pairs():
            kept = ours.clone()
            ours.copy_(theirs)
            theirs.copy_(kept)
        self._exchanged = not self._exchanged

    def _swap_ema_state_dict(self, checkpoint: dict[str, Any]) -> None:
        """Exchange the weights of ``state_dict`` and ``ema_state_dict`` in a checkpoint."""
        # Buffers, too: where they are not averaged, both have the same ones. A resumed checkpoint
        # may be of a run that averaged them.
        weights, averages = checkpoint["state_dict"], checkpoint[_SAVED]
        for name in weights:
            key = f"module.{name}"
            if key in averages:
                weights[name], averages[key] = averages[key], weights[name]

    def _has_own_buffers(self) -> bool:
        """Return whether the buffers of the average differ from those of the model."""
        return self.ema_model.update_buffers

    def _shared_names(self) -> set[str]:
        """Return the names of the buffers that are those of the model in both."""
        buffers = self.ema_model.module.named_buffers(remove_duplicate=False)
        return set() if self._has_own_buffers() else {name for name, _ in buffers}

    @torch.no_grad()
    def _follow(self) -> None:
        """Copy the weights of the model to an average that has not begun."""
        for ours, theirs in self._pairs():
            theirs.copy_(ours)

    def _pairs(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the tensors to exchange, on this rank: that of the model, and its average."""
        reshard(self.src_model)
        tensors: list[list[Tensor]] = []
        for model in (self.src_model, self.ema_model.module):
            buffers = model.buffers() if self._has_own_buffers() else ()
            tensors.append([*model.parameters(), *buffers])
        _check_shapes(*tensors)  # before the first exchange, so that none is half done
        for ours, theirs in zip(*tensors, strict=True):
            yield local_part(ours), local_part(theirs)


def _copied(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return a shallow copy of weights, with the versions of modules that torch keeps in it."""
    result: Any = OrderedDict(weights)
    if hasattr(weights, "_metadata"):
        result._metadata = weights._metadata
    return result  # type: ignore[no-any-return]  # Any only to carry _metadata


def _check_shapes(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> None:
    """Raise if the tensors of a model have other shapes than those of its average.

    Raises:
        ValueError: They have.
    """
    for one, other in zip_longest(ours, theirs):
        shapes = [None if item is None else tuple(item.shape) for item in (one, other)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                "the model must keep the shapes of its weights while they are averaged, got "
                f"{shapes[0]} for {shapes[1]}; change the model before the run"
            )


def _check_average(kind: object, arguments: Mapping[str, Any]) -> None:
    """Raise if a name or class is not an average, or does not take the arguments.

    An average of this project is constructed on trial. One of the user's may do anything.

    Raises:
        ValueError: It is not, or does not.
        TypeError: The value of an argument is of the wrong type.
    """
    found = MODELS.in_default_scope().get(kind) if isinstance(kind, str) else kind
    if not (isinstance(found, type) and issubclass(found, BaseAveragedModel)):
        averages = [
            name
            for name, item in MODELS.module_dict.items()
            if isinstance(item, type) and issubclass(item, BaseAveragedModel)
        ]
        raise ValueError(
            f"ema_type must be an average in MODELS, got {kind!r}{did_you_mean(kind, averages)}; "
            f"there are {', '.join(averages)}, or derive a class from BaseAveragedModel"
        )
    for mistake in call_mistakes(found, arguments):
        if mistake.key != "model":
            raise ValueError(mistake.message)
    if found.__init__.__module__.startswith("engine_model."):
        level = _model_log.level
        _model_log.setLevel(logging.ERROR)  # the average of the run warns, too
        try:
            found(nn.Module(), **arguments)
        finally:
            _model_log.setLevel(level)
