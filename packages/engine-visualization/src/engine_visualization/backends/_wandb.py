"""The tracking backend that records to Weights & Biases."""

import logging
import os
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from engine_utils import plain_value
from engine_visualization.backends._base import BaseVisBackend, ConfigLike, force_init_env
from engine_visualization.backends._library import import_library
from engine_visualization.backends._run_facts import nested_values
from engine_visualization.backends._run_handle import RunHandle
from engine_visualization.backends._run_id import keep_run_id, kept_run_id
from engine_visualization.drawing import to_image

if TYPE_CHECKING:
    import torch

_logger = logging.getLogger("engine.visualization")
_AXIS = "iter"  # as the training itself names its iteration


class WandbVisBackend(BaseVisBackend):
    """Record scalars, images, the config and the model's gradients to Weights & Biases.

    The extra ``wandb`` is required. At the first record wandb is imported and a run is started.
    Without an account, ``init_kwargs={"mode": "offline"}`` keeps the run below ``save_dir``. If the
    server cannot be reached, the run is recorded there, too; ``wandb sync`` uploads it later.

    A resumed training continues its run. wandb cannot replace a step, so the records that repeat
    those after the checkpoint are left out. An offline run continues under the same id and at the
    step of the checkpoint, in a folder of its own; ``wandb sync`` joins the folders of one id.

    The x axis of each metric is ``iter``: the step of its record. Where a validation has the epoch
    as its step, it is the iteration.

    A visualizer calls the backend in a thread, so that the training never waits for the server.

    Args:
        save_dir: Folder for the local files of wandb.
        init_kwargs: Arguments of `wandb.init`. By default its ``dir`` is ``save_dir``.
        define_metric_cfg: Summary of each metric, as in ``{"accuracy": "max"}``, or a list of
            arguments of `wandb.define_metric`, as in ``[dict(name="loss", step_metric="epoch")]``.
        commit: Whether each record ends a step of wandb. If it is false, wandb collects records
            until you commit a step through ``experiment``.
        log_code_name: Name of the code artifact. By default wandb chooses it.
        watch_kwargs: Arguments of `wandb.watch`, which `add_graph` calls.
        close_timeout: Time limit in seconds for the pending records and uploads at the end. The
            local files of wandb remain, and ``wandb sync`` uploads them.

    Example:
        >>> WandbVisBackend("logs", init_kwargs={"mode": "offline"}).save_dir
        'logs'
    """

    threaded = True
    write_delay = 10.0
    libraries: ClassVar[Mapping[str, str]] = {"wandb": "engine-visualization[wandb]"}

    def __init__(
        self,
        save_dir: str | PathLike[str],
        init_kwargs: Mapping[str, Any] | None = None,
        define_metric_cfg: Mapping[str, str] | Sequence[Mapping[str, Any]] | None = None,
        commit: bool | None = True,
        log_code_name: str | None = None,
        watch_kwargs: Mapping[str, Any] | None = None,
        close_timeout: float = 60.0,
    ) -> None:
        super().__init__(save_dir)
        self._init_kwargs = {"dir": self.save_dir, **(init_kwargs or {})}
        self._metrics = _metric_definitions(define_metric_cfg or {})
        self._commit = commit
        self._log_code_name = log_code_name
        self._watch_kwargs = dict(watch_kwargs or {})
        self.close_timeout = close_timeout
        self._id: str | None = None
        self._earlier_id: str | None = None  # of the run to continue
        self._resumed_at: int | None = None  # its records at the checkpoint, until the next one
        self._repeated = 0  # records that the run has already
        self._run = RunHandle[Any](self._start)

    def _init_env(self) -> None:
        self._run.get()

    @property
    @force_init_env
    def experiment(self) -> Any:
        """The module ``wandb``; the first use starts a run.

        Raises:
            ImportError: The library is not installed.
        """
        return self._run.get()

    @property
    def _wandb(self) -> Any:
        return self.experiment  # by this name for subclasses

    def add_config(self, config: ConfigLike, **kwargs: Any) -> None:
        """Record the text of the config as ``config``, and its values by their names."""
        values = {**nested_values(config), "config": config.pretty_text}
        # A resumed run may have other values, such as more epochs.
        self.experiment.config.update(values, allow_val_change=True)

    def add_graph(self, model: "torch.nn.Module", data_batch: Sequence[Any], **kwargs: Any) -> None:
        """Record the parameters and gradients of the model during training."""
        self.experiment.watch(model, **self._watch_kwargs)

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Record an image ``(H, W, 3)`` or ``(H, W)``."""
        pixels, wandb = to_image(image), self.experiment
        self._log({name: wandb.Image(pixels), _AXIS: step})

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a scalar."""
        self._log({_AXIS: step, name: plain_value(value, scalars=True)})

    def add_scalars(
        self,
        scalar_dict: Mapping[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Record the scalars of one step.

        Args:
            scalar_dict: Scalars by name.
            step: The step.
            file_path: Unused.
            **kwargs: ``iteration``, where the step is the epoch of a validation.
        """
        values = plain_value(dict(scalar_dict), scalars=True)
        at = kwargs.get("iteration", values.pop("step", step))
        self._log({_AXIS: at, **values})

    def _log(self, values: Mapping[str, Any]) -> None:
        wandb, begin = self.experiment, {}
        if self._resumed_at is not None:
            at, self._resumed_at = self._resumed_at, None
            # The run has one step for each record; those after the checkpoint come again. In the
            # folder of an offline run, wandb counts from 0.
            steps = int(wandb.run.step) if self._id == self._earlier_id else at
            self._repeated = max(0, steps - at)
            begin = {"step": at} if steps < at else {}
        if self._repeated:
            self._repeated -= 1
        else:
            wandb.log(values, commit=self._commit, **begin)

    def state_dict(self) -> dict[str, Any]:
        """Return the id of the run, if it has begun."""
        return {"id": self._id or self._earlier_id}

    def resume(self, state: Mapping[str, Any], save_dir: str) -> None:
        """Continue the run of an earlier process."""
        if self._init_kwargs["dir"] == self.save_dir:
            self._init_kwargs["dir"] = save_dir
        self._save_dir = save_dir
        run_id = state.get("id") or kept_run_id(save_dir, "wandb")
        if run_id:
            self._earlier_id, self._resumed_at = run_id, int(state["records"])
            self._init_kwargs = {"id": run_id, "resume": "allow", **self._init_kwargs}

    def close(self) -> None:
        """End the run; the next record starts a new run."""
        wandb = self._run.take()
        self._env_initialized = False
        if wandb is not None:
            wandb.finish()

    def abandon(self) -> None:
        """End the service process of wandb, whose exit would wait for the server."""
        wandb = import_library("wandb", "wandb")
        part: Any = wandb.sdk.wandb_setup.singleton()
        # wandb has no public function for this; a version without these names is left alone.
        for name in ("_connection", "_proc", "_process"):
            part = getattr(part, name, None)
        if part is not None:
            part.kill()
            part.wait()  # wandb does not wait for a service that no longer answers
            wandb.teardown(exit_code=1)

    def _start(self) -> Any:
        wandb = import_library("wandb", "wandb")
        # Create the folder, because wandb writes to a temporary one if it does not exist.
        os.makedirs(self.save_dir, exist_ok=True)
        run = self._open_run(wandb)
        self._id = str(run.id)
        keep_run_id(self.save_dir, "wandb", self._id)
        run.define_metric("*", step_metric=_AXIS)
        for definition in self._metrics:
            run.define_metric(**definition)
        run.log_code(name=self._log_code_name)
        return wandb

    def _open_run(self, wandb: Any) -> Any:
        try:
            return wandb.init(**self._init_kwargs)
        except wandb.errors.CommError as error:
            _logger.warning(
                "W&B cannot be reached (%s); the run is recorded offline below %s, and wandb sync "
                "uploads it",
                str(error).partition("\n")[0],
                self.save_dir,
            )
            return wandb.init(**{**self._init_kwargs, "mode": "offline"})


def _metric_definitions(
    config: Mapping[str, str] | Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return arguments of `wandb.define_metric`, whose default x axis is the iteration."""
    if isinstance(config, Mapping):
        config = [{"name": name, "summary": summary} for name, summary in config.items()]
    return [{"step_metric": _AXIS, **definition} for definition in config]
