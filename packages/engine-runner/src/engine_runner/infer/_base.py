"""The base class of inferencers: preprocess, forward, visualize, postprocess."""

import logging
import math
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import torch
from rich.console import Console
from rich.progress import track
from torch import nn

from engine_config import Config
from engine_dist.device import get_device
from engine_model import revert_sync_batchnorm
from engine_model.weights import (
    LoadReport,
    load_state_dict,
    naming_the_checkpoint,
    revise_names,
    weights_in,
)
from engine_registry import VISUALIZERS, DefaultScope, RegistryError
from engine_runner.hub import ModelEntry, import_parts, models_of
from engine_runner.hub._index import models_in
from engine_runner.infer._inputs import list_inputs
from engine_runner.infer._load import (
    config_and_weights,
    config_in,
    dataset_meta_of,
    read_weights,
    test_loader,
    unimported,
)
from engine_runner.infer._meta import STEPS, InferencerMeta
from engine_runner.infer._types import InputsType, ModelType, ResType
from engine_runner.parts import build_collate_fn, build_model, with_preprocessor
from engine_utils import ManagerMixin, did_you_mean, expand_home
from engine_visualization import Visualizer

_log = logging.getLogger("engine.runner")
_IN_ANY_WRAPPER = [(r"^module\.", "")]


class BaseInferencer(metaclass=InferencerMeta):
    """Apply a trained model: preprocess inputs, predict, visualize, postprocess.

    A subclass states `_init_pipeline`, `visualize` and `postprocess`. A call passes each of its
    keywords to the step whose set contains it: ``preprocess_kwargs``, ``forward_kwargs``,
    ``visualize_kwargs`` or ``postprocess_kwargs``. No keyword may be in two sets.

    Args:
        model: The config of the model, its path, ``package::path``, or the name or alias of a model
            in the metafiles of the package ``scope``. None takes the config that ``weights``
            contains; no code runs from it.
        weights: The path or address of a checkpoint; by default what the metafile lists, or
            ``load_from`` of the config. Without any the model keeps its initial weights, and a
            warning says so.
        device: The device; by default the accelerator of this machine, or else the CPU.
        scope: The scope of the parts of the model: by default ``default_scope`` of the config, or
            the current one. If a package has its name, its parts are registered.
        show_progress: Whether a call shows a progress bar, where there is a terminal.

    Attributes:
        model: The model on its device, in evaluation mode, with ``cfg`` and ``dataset_meta``.
        cfg: The config.
        pipeline: The callable that prepares one input.
        collate_fn: The function that makes a batch from a list of prepared inputs.
        visualizer: The visualizer, with the class names; it records nothing.
        load_report: The weights that did not fit, or None if none were loaded.

    Raises:
        ValueError: Neither ``model`` nor ``weights`` is given.

    Example:
        >>> from engine_runner.infer import BaseInferencer
        >>> class Doubler(BaseInferencer):
        ...     visualize_kwargs = {"show"}
        ...     def _init_pipeline(self, cfg):
        ...         return lambda number: torch.tensor(float(number))
        ...     def forward(self, inputs):
        ...         return [2 * number for number in inputs]
        ...     def visualize(self, inputs, preds, show=False):
        ...         return None
        ...     def postprocess(self, preds, visualization, return_datasample=False):
        ...         return {"predictions": [float(p) for p in preds], "visualization": None}
        >>> doubler = Doubler({"model": {"type": nn.Identity}}, device="cpu")
        >>> doubler([1, 2, 3], batch_size=2)["predictions"]
        [2.0, 4.0, 6.0]
    """

    preprocess_kwargs: ClassVar[set[str]] = set()
    forward_kwargs: ClassVar[set[str]] = set()
    visualize_kwargs: ClassVar[set[str]] = set()
    postprocess_kwargs: ClassVar[set[str]] = set()

    def __init__(
        self,
        model: ModelType | None = None,
        weights: str | Path | None = None,
        device: str | torch.device | None = None,
        scope: str | None = None,
        show_progress: bool = True,
    ) -> None:
        self.show_progress = show_progress
        self.device = torch.device(device or get_device())
        self.load_report: LoadReport | None = None
        self._weights = None if weights is None else str(weights)
        self._checkpoint: Any = None
        self.cfg = self._find_config(model, scope or _current_scope())
        self.scope: str | None = scope or self.cfg.get("default_scope") or _current_scope()
        with DefaultScope.overwrite_default_scope(self.scope):
            if self.scope:
                import_parts(self.scope)
            self.model = self._init_model(self.cfg, self._weights, self.device)
            self._checkpoint = None  # its memory is that of a second model
            self.pipeline = self._init_pipeline(self.cfg)
            self.collate_fn = self._init_collate(self.cfg)
            self.visualizer = self._init_visualizer(self.cfg)

    def __call__(
        self,
        inputs: InputsType,
        return_datasamples: bool = False,
        batch_size: int = 1,
        **kwargs: Any,
    ) -> ResType:
        """Return the predictions and visualizations of inputs.

        Args:
            inputs: One input or several: paths, folders, patterns, addresses, arrays or samples.
            return_datasamples: Whether predictions stay what the model returned.
            batch_size: The number of inputs per forward pass.
            **kwargs: Keywords of the steps.

        Returns:
            What `postprocess` returns: ``predictions`` and ``visualization``.

        Raises:
            ValueError: A keyword belongs to no step, or ``batch_size`` is less than 1.
        """
        _check_size(batch_size)
        preprocess, forward, visualize, postprocess = self._dispatch_kwargs(**kwargs)
        with DefaultScope.overwrite_default_scope(self.scope):
            originals = self._inputs_to_list(inputs)
            batches = self.preprocess(originals, batch_size=batch_size, **preprocess)
            count = math.ceil(len(originals) / batch_size) if isinstance(originals, Sized) else None
            preds: list[Any] = []
            for batch in self._tracked(batches, count):
                preds.extend(_one_per_input(self.forward(batch, **forward)))
            visualization = self.visualize(originals, preds, **visualize)
            return self.postprocess(preds, visualization, return_datasamples, **postprocess)

    @torch.no_grad()
    def forward(self, inputs: Any, **kwargs: Any) -> Any:
        """Return the predictions for one batch: the result of ``model.test_step``.

        Args:
            inputs: What `preprocess` yielded.
            **kwargs: For subclasses; the model takes none.
        """
        step: Any = getattr(self.model, "test_step", None)
        if step is None:
            raise TypeError(
                f"the model must have test_step, as BaseModel has, got "
                f"{type(self.model).__name__}; or override forward of the inferencer"
            )
        return step(inputs)

    def preprocess(self, inputs: Any, batch_size: int = 1, **kwargs: Any) -> Iterator[Any]:
        """Yield batches: inputs through the pipeline, ``batch_size`` at a time, and collated.

        Args:
            inputs: The inputs that `_inputs_to_list` returned.
            batch_size: The number of inputs per batch; the last one may have fewer.
            **kwargs: For subclasses.
        """
        # Not by map: a StopIteration of a transform would end the inputs without an error.
        prepared = (self.pipeline(one) for one in inputs)
        chunks = self._get_chunk_data(prepared, batch_size)
        yield from map(self.collate_fn, chunks)

    @abstractmethod
    def visualize(self, inputs: list[Any], preds: Any, show: bool = False, **kwargs: Any) -> Any:
        """Return the visualizations of predictions, such as RGB arrays ``(H, W, 3)``.

        Args:
            inputs: The inputs that `_inputs_to_list` returned.
            preds: The predictions, one per input.
            show: Whether to show them in a window.
            **kwargs: The keywords of ``visualize_kwargs``.
        """

    @abstractmethod
    def postprocess(
        self, preds: Any, visualization: Any, return_datasample: bool = False, **kwargs: Any
    ) -> ResType:
        """Return the results: a dict with ``predictions`` and ``visualization``.

        Args:
            preds: The predictions, one per input.
            visualization: What `visualize` returned.
            return_datasample: Whether predictions stay what the model returned; by default they
                become values that JSON can represent.
            **kwargs: The keywords of ``postprocess_kwargs``.
        """

    @staticmethod
    def list_models(scope: str | None = None, patterns: str = ".*") -> dict[str, list[str]]:
        """Return the names of the models that the metafiles of a package list, with their aliases.

        Args:
            scope: The package; by default that of the current scope.
            patterns: A regular expression that must match the start of the name or of an alias.

        Raises:
            HubError: The package is not installed, or has no index of models.
            ValueError: No scope is given, and none is set; or ``patterns`` is not an expression.
        """
        scope = scope or _current_scope()
        if scope is None:
            raise ValueError("scope must name a package, as no default scope is set, got None")
        models = models_of(scope)
        try:
            return {model.name: list(model.aliases) for model in models if model.matches(patterns)}
        except re.error as error:
            raise ValueError(
                f"patterns must be a regular expression, such as 'resnet.*', got {patterns!r}: "
                f"{error}"
            ) from error

    # ---- the steps of the construction, for subclasses to override -------------------------

    @abstractmethod
    def _init_pipeline(self, cfg: Config) -> Callable[..., Any]:
        """Return the callable that prepares one input.

        Args:
            cfg: The config.
        """

    def _init_model(self, cfg: Config, weights: str | None, device: Any = "cpu") -> nn.Module:
        """Return the model with its weights, on its device, in evaluation mode."""
        checkpoint = self._checkpoint
        if checkpoint is None and weights is not None:
            checkpoint = read_weights(weights, cfg)
        if cfg.get("model") is None:
            raise ValueError("the config must have a model, got none; pass the config of a model")
        model = self._build_model(cfg)
        model.cfg = cfg  # type: ignore[assignment]  # a config, which torch's stub does not foresee
        with naming_the_checkpoint(weights or ""):
            self._load_weights_to_model(model, checkpoint, cfg)
        return revert_sync_batchnorm(model).to(device).eval()

    def _build_model(self, cfg: Config) -> nn.Module:
        try:
            return build_model(with_preprocessor(cfg.model, cfg.get("data_preprocessor")))
        except RegistryError as error:
            if self._from_checkpoint and (modules := unimported(cfg)):
                error.add_note(
                    f"the config comes from a checkpoint, whose custom_imports are not imported: "
                    f"{', '.join(modules)}; import them first, or pass the config as model"
                )
            raise

    def _load_weights_to_model(
        self, model: nn.Module, checkpoint: Mapping[str, Any] | None, cfg: Config | None
    ) -> None:
        """Load the weights of a checkpoint, and set ``dataset_meta`` of the model.

        Args:
            model: The model.
            checkpoint: The loaded checkpoint, or None to keep the initial weights.
            cfg: The config, which may have the class names that a checkpoint lacks.
        """
        model.dataset_meta = dataset_meta_of(  # type: ignore[assignment]  # as for the config
            checkpoint, cfg or Config()
        )
        if checkpoint is None:
            if next(model.parameters(), None) is not None:
                _log.warning(
                    "no weights are given, so the predictions are those of a randomly initialized "
                    "model; pass weights, or set load_from in the config"
                )
            return
        weights = revise_names(weights_in(checkpoint), _IN_ANY_WRAPPER)
        self.load_report = load_state_dict(model, weights)

    def _init_collate(self, cfg: Config) -> Callable[..., Any]:
        """Return ``collate_fn`` of the test data in the config, or `pseudo_collate`."""
        given = test_loader(cfg).get("collate_fn")
        return build_collate_fn(given, "test_dataloader.collate_fn")  # type: ignore[no-any-return]  # a user's

    def _init_visualizer(self, cfg: Config) -> Any:
        """Return the visualizer of the config without its backends, or a `Visualizer`.

        It gets a name of its own, so that those of runs in this process stay as they are.
        """
        config = dict(cfg.get("visualizer") or {"type": "Visualizer"})
        for recording in ("vis_backends", "save_dir"):
            config.pop(recording, None)
        config["name"] = _free_name(str(config.get("name", "inferencer")))
        visualizer = VISUALIZERS.build(config)
        if isinstance(visualizer, ManagerMixin):  # the current one of the process stays current
            visualizer.release_instance(visualizer.instance_name)
        visualizer.dataset_meta = getattr(self.model, "dataset_meta", None)
        return visualizer

    def _inputs_to_list(self, inputs: Any) -> list[Any]:
        """Return the single inputs that ``inputs`` stands for; see `list_inputs`."""
        return list_inputs(inputs)

    def _get_chunk_data(self, inputs: Iterable[Any], chunk_size: int) -> Iterator[list[Any]]:
        """Yield lists of ``chunk_size`` items; the last one may have fewer.

        Raises:
            ValueError: ``chunk_size`` is not an integer >= 1.
        """
        _check_size(chunk_size)
        remaining = iter(inputs)
        while chunk := list(islice(remaining, chunk_size)):
            yield chunk

    def _dispatch_kwargs(self, **kwargs: Any) -> tuple[dict[str, Any], ...]:
        """Return the keywords of each step: preprocess, forward, visualize, postprocess.

        Raises:
            ValueError: A keyword belongs to no step.
        """
        sets = [getattr(self, f"{step}_kwargs") for step in STEPS]
        known = sorted(set().union(*sets))
        for name in kwargs:
            if name not in known:
                own = ("batch_size", "return_datasamples")  # of the call itself
                choice = f"; choose from {', '.join(known) or 'none'}"
                hint = did_you_mean(name, (*known, *own)) or choice
                raise ValueError(
                    f"keywords must be in one of the sets of {type(self).__name__}, such as "
                    f"visualize_kwargs, got {name!r}{hint}"
                )
        return tuple({name: kwargs[name] for name in kwargs if name in step} for step in sets)

    @staticmethod
    def _get_models_from_metafile(dir: str) -> Iterator[ModelEntry]:
        """Yield the models of the index in a folder."""
        return models_in(Path(expand_home(dir)))

    # ---- for this class ---------------------------------------------------------------------

    def _find_config(self, model: ModelType | None, scope: str | None) -> Config:
        self._from_checkpoint = model is None
        if model is not None:
            cfg, listed = config_and_weights(model, scope)
            self._weights = self._weights or listed or cfg.get("load_from")
            return cfg
        if self._weights is None:
            raise ValueError(
                "model or weights must be given, got neither; pass a config, or a checkpoint that "
                "contains one"
            )
        self._checkpoint = read_weights(self._weights, Config())
        return config_in(self._checkpoint, self._weights)

    def _tracked(self, batches: Iterable[Any], count: int | None) -> Iterable[Any]:
        """Return the batches, with a progress bar on a terminal or in a notebook."""
        console = Console(stderr=True)
        if not self.show_progress or not (console.is_terminal or console.is_jupyter):
            return batches
        return track(batches, "Inference", total=count, console=console)


def _one_per_input(preds: Any) -> Any:
    if isinstance(preds, Mapping | str):  # its keys would be taken for predictions
        raise TypeError(
            "forward must return predictions with one item per input, got "
            f"{type(preds).__name__}; return a list, or override __call__ of the inferencer"
        )
    return preds


def _check_size(batch_size: int) -> None:
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size must be an integer >= 1, got {batch_size!r}")


def _current_scope() -> str | None:
    current = DefaultScope.get_current_instance()
    return None if current is None else current.scope_name


def _free_name(name: str) -> str:
    number, free = 1, name
    while Visualizer.check_instance_created(free):
        number += 1
        free = f"{name}-{number}"
    return free
