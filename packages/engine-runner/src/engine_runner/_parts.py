"""The parts of a run: built once, when first needed, each in a step of its own."""

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from engine_evaluator import Evaluator
from engine_logging import MessageHub, MMLogger
from engine_optim import OptimWrapper, OptimWrapperDict
from engine_runner import _build
from engine_runner._errors import NotConfiguredError, SettingsError
from engine_runner._identity import Identity
from engine_runner._log_processor import LogProcessor
from engine_runner.hooks import Hook
from engine_runner.loops import BaseLoop, EpochBasedTrainLoop, TestLoop, ValLoop
from engine_runner.strategies import choose_strategy
from engine_visualization import Visualizer

DEFAULT_HOOKS: Mapping[str, Mapping[str, Any]] = {
    "runtime_info": {"type": "RuntimeInfoHook"},
    "timer": {"type": "IterTimerHook"},
    "sampler_seed": {"type": "DistSamplerSeedHook"},
    "logger": {"type": "LoggerHook"},
    "param_scheduler": {"type": "ParamSchedulerHook"},
    "checkpoint": {"type": "CheckpointHook", "interval": 1},
}


class Parts(Identity):
    """Owns the parts of a run and builds them; `Runner` adds what a run does with them.

    What is late is built by the steps named ``build_…`` when a loop first needs it: a run that only
    tests builds no optimizer.
    """

    # built when first needed
    _optim_wrapper: OptimWrapper | OptimWrapperDict | None
    _train_loop: BaseLoop | None
    _val_loop: BaseLoop | None
    _test_loop: BaseLoop | None
    param_schedulers: list[Any] | dict[str, list[Any]]

    # ---- loops and what they go through ----------------------------------------------------

    @property
    def train_loop(self) -> BaseLoop:
        """The training loop.

        Raises:
            NotConfiguredError: Training is not configured.
        """
        if self._train_loop is None:
            self._require("training", self._settings.train_cfg)
            self._train_loop = self.build_train_loop(self._settings.train_cfg)
        return self._train_loop

    @property
    def val_loop(self) -> BaseLoop | None:
        """The validation loop, or ``None`` if validation is not configured."""
        if self._val_loop is None and self._settings.val_cfg is not None:
            self._val_loop = self.build_val_loop(self._settings.val_cfg)
        return self._val_loop

    @property
    def test_loop(self) -> BaseLoop:
        """The test loop.

        Raises:
            NotConfiguredError: Testing is not configured.
        """
        if self._test_loop is None:
            self._require("test", self._settings.test_cfg)
            self._test_loop = self.build_test_loop(self._settings.test_cfg)
        return self._test_loop

    @property
    def train_dataloader(self) -> DataLoader[Any]:
        """The training data."""
        return self.train_loop.dataloader

    @property
    def val_dataloader(self) -> DataLoader[Any]:
        """The validation data."""
        return self._validation().dataloader

    @property
    def test_dataloader(self) -> DataLoader[Any]:
        """The test data."""
        return self.test_loop.dataloader

    @property
    def val_evaluator(self) -> Evaluator:
        """The evaluator of the validation."""
        evaluator: Evaluator = self._validation().evaluator  # type: ignore[attr-defined]  # any loop of the user's may bring its own
        return evaluator

    @property
    def test_evaluator(self) -> Evaluator:
        """The evaluator of the test."""
        evaluator: Evaluator = self.test_loop.evaluator  # type: ignore[attr-defined]  # any loop of the user's may bring its own
        return evaluator

    @property
    def optim_wrapper(self) -> OptimWrapper | OptimWrapperDict:
        """The optimizers.

        Raises:
            NotConfiguredError: Training is not configured.
        """
        if self._optim_wrapper is None:
            self._require("training", self._settings.optim_wrapper)
            self._optim_wrapper = self.build_optim_wrapper(self._settings.optim_wrapper)
        return self._optim_wrapper

    @optim_wrapper.setter
    def optim_wrapper(self, optim_wrapper: OptimWrapper | OptimWrapperDict) -> None:
        self._optim_wrapper = optim_wrapper

    # ---- how far training goes --------------------------------------------------------------

    @property
    def max_epochs(self) -> int:
        """Epochs to train in all."""
        return int(self._counting_loop.max_epochs)

    @property
    def max_iters(self) -> int:
        """Iterations to train in all."""
        return int(self._counting_loop.max_iters)

    @property
    def trains_by_epoch(self) -> bool:
        """Whether training is configured and counts epochs."""
        return isinstance(self._train_loop, EpochBasedTrainLoop)

    @property
    def val_begin(self) -> int:
        """The epoch or iteration from which training validates."""
        return int(self._counting_loop.val_begin)

    @property
    def val_interval(self) -> int:
        """Epochs or iterations from one validation to the next."""
        return int(self._counting_loop.val_interval)

    # ---- building --------------------------------------------------------------------------

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader[Any] | Mapping[str, Any],
        seed: int | None = None,
        diff_rank_seed: bool = False,
    ) -> DataLoader[Any]:
        """Return the data loader of a config: data set, sampler and workers; or the loader given.

        Args:
            dataloader: A loader, or the arguments of one, with configs for its parts.
            seed: Seed of the sampler.
            diff_rank_seed: Whether ranks are seeded differently; the sampler's seed is then
                drawn and shared among them.
        """
        return _build.build_dataloader(dataloader, seed, diff_rank_seed)

    def build_model(self, model: nn.Module | Mapping[str, Any]) -> nn.Module:
        """Return the model of a config, or the model given."""
        return _build.build_model(model, self._settings.data_preprocessor)

    def wrap_model(
        self, model_wrapper_cfg: Mapping[str, Any] | str | None, model: nn.Module
    ) -> nn.Module:
        """Return the model on its device, and in its wrapper if there are several processes."""
        return choose_strategy(model_wrapper_cfg).wrap(model)

    def build_optim_wrapper(self, optim_wrapper: Any) -> OptimWrapper | OptimWrapperDict:
        """Return the optimizers of a config, an optimizer, or a mapping of built wrappers."""
        return _build.build_optimizers(self.model, optim_wrapper)

    def build_param_scheduler(self, scheduler: Any) -> list[Any] | dict[str, list[Any]]:
        """Return a list of schedules, or for several optimizers a list for each."""
        loop = self._counting_loop
        ends = {False: loop.max_iters}
        if self.trains_by_epoch:
            ends[True] = loop.max_epochs
        length = _length(loop.dataloader) or loop.max_iters
        built: list[Any] | dict[str, list[Any]] = _build.build_schedulers(
            scheduler, self.optim_wrapper, epoch_length=length, ends=ends
        )
        return built

    def build_train_loop(self, loop: BaseLoop | Mapping[str, Any]) -> BaseLoop:
        """Return the training loop of a config, or the loop given."""
        return _build.build_train_loop(self, loop, self._settings.train_dataloader)

    def build_val_loop(self, loop: BaseLoop | Mapping[str, Any]) -> BaseLoop:
        """Return the validation loop of a config, or the loop given."""
        settings = self._settings
        return _build.build_evaluation_loop(
            self, loop, ValLoop, settings.val_dataloader, settings.val_evaluator
        )

    def build_test_loop(self, loop: BaseLoop | Mapping[str, Any]) -> BaseLoop:
        """Return the test loop of a config, or the loop given."""
        settings = self._settings
        return _build.build_evaluation_loop(
            self, loop, TestLoop, settings.test_dataloader, settings.test_evaluator
        )

    def build_evaluator(self, evaluator: Any) -> Evaluator:
        """Return the evaluator of metrics or configs, or the evaluator given."""
        return _build.build_evaluator(evaluator)

    def build_log_processor(self, log_processor: Any) -> LogProcessor:
        """Return the log processor of a config, or the one given."""
        return _build.build_log_processor(log_processor)

    def build_logger(
        self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any
    ) -> MMLogger:
        """Return the run's logger, which is from now on the current one.

        Args:
            log_level: Least severe level that is shown.
            log_file: The file; ``<log_dir>/<timestamp>.log`` by default.
            **kwargs: Passed to `MMLogger`.
        """
        file = log_file or str(self._log_dir / f"{self.timestamp}.log")
        arguments = {"name": self._experiment_name, "logger_name": "engine", **kwargs}
        return MMLogger.get_instance(log_level=log_level, log_file=file, **arguments)

    def build_message_hub(self, message_hub: Mapping[str, Any] | None = None) -> MessageHub:
        """Return the run's message hub, which is from now on the current one."""
        return MessageHub.get_instance(**{"name": self._experiment_name, **(message_hub or {})})

    def build_visualizer(
        self, visualizer: Visualizer | Mapping[str, Any] | None = None
    ) -> Visualizer:
        """Return the visualizer of a config, or the one given; the current one from now on."""
        return _build.build_visualizer(visualizer, self._experiment_name, self.log_dir)

    # ---- hooks -----------------------------------------------------------------------------

    @property
    def hooks(self) -> list[Hook]:
        """The hooks in the order in which they are called."""
        return list(self._hooks)

    def get_hooks_info(self) -> str:
        """Return which hooks act at which point."""
        return self._hooks.table()

    def register_hook(
        self, hook: Hook | Mapping[str, Any], priority: int | str | None = None
    ) -> None:
        """Add a hook.

        Args:
            hook: A hook or its config, which may set ``priority``.
            priority: Its place; by default the config's ``priority``, or else the hook's own.
        """
        built, own = _build.build_hook(hook)
        self._hooks.add(built, priority if priority is not None else own)

    def register_default_hooks(
        self, hooks: Mapping[str, Hook | Mapping[str, Any] | None] | None = None
    ) -> None:
        """Add the default hooks; ``hooks`` replaces, adds or (with ``None``) drops by name.

        Raises:
            SettingsError: A hook is dropped that is none of the default ones.
        """
        for name, hook in {**DEFAULT_HOOKS, **(hooks or {})}.items():
            if hook is None and name not in DEFAULT_HOOKS:
                raise SettingsError(
                    f"default_hooks drops {name!r}, which is none of the default hooks: "
                    f"{', '.join(DEFAULT_HOOKS)}"
                )
            if hook is not None:
                self.register_hook(hook)

    def register_custom_hooks(self, hooks: list[Hook | Mapping[str, Any]]) -> None:
        """Add further hooks."""
        for hook in hooks:
            self.register_hook(hook)

    def register_hooks(
        self,
        default_hooks: Mapping[str, Hook | Mapping[str, Any] | None] | None = None,
        custom_hooks: list[Hook | Mapping[str, Any]] | None = None,
    ) -> None:
        """Add the default hooks and further ones."""
        self.register_default_hooks(default_hooks)
        self.register_custom_hooks(custom_hooks or [])

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Let every hook that has a method of this name act.

        Args:
            fn_name: The point, such as ``"before_train_epoch"``, or one of the user's own.
            **kwargs: What the point passes beside the runner.
        """
        for method in self._hooks.methods(fn_name):
            method(self, **kwargs)

    # ---- what is missing -------------------------------------------------------------------

    @property
    def _counting_loop(self) -> Any:
        """The training loop; one of the user's own counts by the same properties."""
        return self.train_loop

    def _validation(self) -> BaseLoop:
        loop = self.val_loop
        if loop is None:
            self._require("validation", None)
        return loop  # type: ignore[return-value]  # _require raised

    def _require(self, purpose: str, setting: Any) -> None:
        if setting is None:
            group = {"training": "train", "validation": "val", "test": "test"}[purpose]
            third = "optim_wrapper" if group == "train" else f"{group}_evaluator"
            raise NotConfiguredError(
                f"{purpose} is not configured: give the Runner {group}_dataloader, {group}_cfg "
                f"and {third}"
            )


def _length(dataloader: Any) -> int:
    try:
        return len(dataloader)
    except TypeError:  # an iterable data set tells no length
        return 0
