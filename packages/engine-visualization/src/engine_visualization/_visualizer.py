"""The visualizer: draw on images, and record a run in tracking backends."""

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from engine_registry import VISUALIZERS
from engine_utils import ManagerMixin, expand_home
from engine_visualization._main_process import is_main_process
from engine_visualization._record_queue import close_together
from engine_visualization._recorder import Recorder, reason_of
from engine_visualization.backends import BaseVisBackend, ConfigLike, build_backend, without_secrets
from engine_visualization.drawing import (
    DPI,
    Axes,
    Canvas,
    Figure,
    PainterName,
    can_open_window,
    save_png,
    show_cv2_window,
    show_window,
    to_image,
)
from engine_visualization.samples import Notices, SampleOptions, draw_sample, options_from

if TYPE_CHECKING:
    import torch

    from engine_structures import BaseDataElement

_logger = logging.getLogger("engine.visualization")


@VISUALIZERS.register_module()
class Visualizer(Canvas, ManagerMixin):
    """Draw on an image, and record images, scalars, the config and the model of a run.

    Each ``add_…`` method calls all backends, on the main process only. An exception of a backend is
    logged once and does not end the run; the other backends record. After `get_instance` has
    built a visualizer, `get_current_instance` returns it anywhere in the process.

    Args:
        name: Name of the instance.
        image: RGB image to draw on, ``(H, W, 3)``, values 0-255.
        vis_backends: Backends or configs of backends. A config may have its own ``save_dir``, and a
            ``name``, which is required if two backends have the same type.
        save_dir: Backends write to ``<save_dir>/vis_data``. If it is ``None``, backends without
            their own ``save_dir`` are skipped.
        fig_save_cfg: Accepted for older configs and unused: images are saved pixel by pixel.
        fig_show_cfg: Arguments of the matplotlib figure that shows an image in a window.
        sample_options: How `add_datasample` draws: `SampleOptions`, or a dict of its arguments.
        antialias: Whether the edges of shapes and letters are smooth, as for `Canvas`.
        painter: The library that draws, as for `Canvas`.

    Attributes:
        ax_save: Some methods of matplotlib's axes, which draw on the image: `text`, `imshow`,
            `add_collection` and `axis`.
        fig_save: The size and the pixels of the image, by methods of a figure of matplotlib.
        fig_save_canvas: The same, for `engine_visualization.drawing.img_from_canvas`.
        dpi: The pixels per inch of ``fig_save``.
        sample_options: How `add_datasample` draws; it may be replaced.

    Raises:
        ImportError: ``painter`` is ``"opencv"``, and OpenCV is not installed.
        TypeError: ``vis_backends`` is not a list of backends and configs.
        ValueError: Two backends have the same name, or ``painter`` is unknown.

    Example:
        >>> import numpy as np
        >>> visualizer = Visualizer(image=np.zeros((32, 32, 3), dtype=np.uint8))
        >>> image = visualizer.draw_circles(np.array([16, 16]), np.array([8])).get_image()
        >>> bool(image.any())
        True
    """

    def __init__(
        self,
        name: str = "visualizer",
        image: np.ndarray | None = None,
        vis_backends: Sequence[BaseVisBackend | Mapping[str, Any]] | None = None,
        save_dir: str | PathLike[str] | None = None,
        fig_save_cfg: Mapping[str, Any] = {"frameon": False},
        fig_show_cfg: Mapping[str, Any] = {"frameon": False},
        *,
        sample_options: SampleOptions | Mapping[str, Any] | None = None,
        antialias: bool = True,
        painter: PainterName | None = None,
    ) -> None:
        ManagerMixin.__init__(self, name)
        Canvas.__init__(self, image, antialias=antialias, painter=painter)
        self.dpi = DPI
        self.ax_save = Axes(self)
        self.fig_save = Figure(self)
        self.fig_save_canvas = self.fig_save.canvas
        self.fig_save_cfg = dict(fig_save_cfg)
        self.fig_show_cfg = dict(fig_show_cfg)
        self.sample_options = options_from(sample_options)
        self._notices = Notices()
        self._dataset_meta: dict[str, Any] | None = None
        self._save_dir = None
        if save_dir is not None:
            self._save_dir = os.path.join(expand_home(save_dir), "vis_data")
        self._recorders: dict[str, Recorder] = {}
        self._left_out: set[str] = set()  # names of backends without a folder
        if isinstance(vis_backends, Mapping | str | BaseVisBackend):
            raise TypeError(
                f"vis_backends must be a list of backends or configs, got {vis_backends!r}"
            )
        for backend in vis_backends or ():
            self._attach(backend)

    @classmethod
    def get_instance(cls, name: str, **kwargs: Any) -> Self:
        """Return the instance of that name, or build it with ``kwargs``.

        An instance of a subclass is also registered for `Visualizer`. So code that does not import
        the subclass can get the current visualizer.
        """
        is_new = not cls.check_instance_created(name)
        instance = super().get_instance(name, **kwargs)
        if is_new and cls is not Visualizer:
            Visualizer._add(name, instance)
        return instance

    @contextmanager
    def as_current(self) -> Iterator[Self]:
        """Make this the current instance inside the context, for `Visualizer` too."""
        with super().as_current(), self._as_current_of(Visualizer):
            yield self

    @classmethod
    def release_instance(cls, name: str) -> bool:
        """Remove the instance of that name, for `Visualizer` too."""
        released = super().release_instance(name)
        if released and cls is not Visualizer:
            Visualizer._remove(name)
        return released

    @property
    def save_dirs(self) -> list[Path]:
        """The absolute paths of the folders that the backends write to."""
        return [Path(one.backend.save_dir).absolute() for one in self._recorders.values()]

    @property
    def dataset_meta(self) -> dict[str, Any] | None:
        """The metadata of the dataset, such as its ``classes``."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict[str, Any] | None) -> None:
        self._dataset_meta = dataset_meta

    def show(
        self,
        drawn_img: np.ndarray | None = None,
        win_name: str = "image",
        wait_time: float = 0.0,
        continue_key: str = " ",
        backend: Literal["matplotlib", "cv2"] = "matplotlib",
    ) -> None:
        """Show an image in a window. Without a display, write it to a file and log the path.

        Args:
            drawn_img: RGB image; by default the image of the canvas.
            win_name: The title of the window and the name of the file.
            wait_time: Time in milliseconds after which the window closes; never if 0.
            continue_key: The key that closes the window.
            backend: The library of the window: ``"matplotlib"``, or ``"cv2"`` for OpenCV.

        Raises:
            ImportError: ``backend`` is ``"cv2"``, and OpenCV is not installed.
            ValueError: ``backend`` is neither of these.
        """
        if backend not in ("matplotlib", "cv2"):
            raise ValueError(f"backend must be 'matplotlib' or 'cv2', got {backend!r}")
        image = self.get_image() if drawn_img is None else to_image(drawn_img)
        if can_open_window(backend):
            draw = show_cv2_window if backend == "cv2" else show_window
            draw(
                image,
                title=win_name,
                wait_ms=wait_time,
                continue_key=continue_key,
                figure=self.fig_show_cfg,
            )
            return
        folder = os.path.join(self._save_dir or tempfile.gettempdir(), "shown")
        os.makedirs(folder, exist_ok=True)
        target = os.path.join(folder, f"{win_name.replace(os.sep, '_')}.png")
        save_png(image, target)
        _logger.info("no window can be opened; wrote the image to %s", target)

    @property
    def _vis_backends(self) -> Mapping[str, BaseVisBackend]:
        # By this name for subclasses, which call methods that only their backends have.
        backends = {name: recorder.backend for name, recorder in self._recorders.items()}
        return MappingProxyType(backends)

    def get_backend(self, name: str) -> BaseVisBackend | None:
        """Return a backend by name: the ``name`` of its config, or the name of its class.

        It is ``None`` where the visualizer has left the backend out, as there is no ``save_dir`` or
        the backend could not start.

        Raises:
            KeyError: No backend has the name; the message lists the names.
        """
        if name in self._left_out:
            return None
        if name not in self._recorders:
            choices = ", ".join(self._recorders) or "none; check that save_dir is given"
            raise KeyError(f"{self.instance_name!r} has no backend {name!r}; it has: {choices}")
        return self._recorders[name].backend

    def add_config(self, config: ConfigLike, **kwargs: Any) -> None:
        """Record the config in all backends, without its passwords, keys and tokens."""
        config = without_secrets(config)
        for recorder in self._recording():
            recorder.record("add_config", config=config, **kwargs)

    def add_graph(self, model: "torch.nn.Module", data_batch: Sequence[Any], **kwargs: Any) -> None:
        """Record the model in all backends. A backend may call it with ``data_batch``."""
        for recorder in self._recording():
            recorder.record("add_graph", model=model, data_batch=data_batch, **kwargs)

    def add_image(self, name: str, image: np.ndarray, step: int = 0) -> None:
        """Record an RGB image ``(H, W, 3)`` in all backends."""
        for recorder in self._recording():
            recorder.record("add_image", name=name, image=image, step=step)

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a scalar in all backends."""
        for recorder in self._recording():
            recorder.record("add_scalar", name=name, value=value, step=step, **kwargs)

    def add_scalars(
        self,
        scalar_dict: Mapping[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Record the scalars of one step in all backends.

        Args:
            scalar_dict: Scalars by name.
            step: The step.
            file_path: An additional file for the local backends.
            **kwargs: Arguments of the backends.
        """
        for recorder in self._recording():
            recorder.record(
                "add_scalars", scalar_dict=scalar_dict, step=step, file_path=file_path, **kwargs
            )

    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: "BaseDataElement | None" = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: int = 0,
        step: int = 0,
    ) -> None:
        """Draw a sample on its image, record it in all backends, and show it if ``show`` is set.

        Labels, boxes, masks, keypoints, tracks and maps of pixels are drawn; other fields are
        logged once. ``sample_options`` sets colors, thresholds and layout. Small images are
        enlarged. Libraries override this method for other kinds of samples.

        Args:
            name: Name of the recorded image.
            image: RGB image ``(H, W, 3)``, values 0-255.
            data_sample: The annotations and predictions; ``None`` records the image alone.
            draw_gt: Whether to draw the ground truth.
            draw_pred: Whether to draw the predictions.
            show: Whether to show the drawn image.
            wait_time: Time in milliseconds after which the window closes; never if 0.
            step: The step of the record.
        """
        pixels = to_image(image)
        scale = self.sample_options.scale_for(*pixels.shape[:2])
        self.set_image(pixels.repeat(scale, axis=0).repeat(scale, axis=1))
        if data_sample is not None:
            draw_sample(
                self,
                data_sample,
                draw_gt=draw_gt,
                draw_pred=draw_pred,
                meta=self._dataset_meta,
                options=self.sample_options,
                scale=scale,
                notices=self._notices,
            )
        drawn = self.get_image()
        if show:
            self.show(drawn, win_name=name, wait_time=wait_time)
        self.add_image(name, drawn, step)

    def state_dict(self) -> dict[str, Any]:
        """Return what a later process needs to continue the records of the backends.

        The main rank records, so other ranks return no backends.
        """
        recorders = self._recorders.items() if is_main_process() else ()
        backends = {name: recorder.state_dict() for name, recorder in recorders}
        return {"save_dir": self._save_dir, "backends": backends}

    def resume(self, state: Mapping[str, Any], save_dir: str | None) -> None:
        """Continue the records of an earlier process, from where a checkpoint has saved them.

        Call it before the first record but that of the config. A backend with a folder of its own
        continues if that is the folder it had.

        Args:
            state: What `state_dict` has returned.
            save_dir: The folder of the earlier records, for the backends without one of their own;
                None if they begin anew.
        """
        for recorder in self._recording():
            earlier = state["backends"].get(recorder.name)
            if not earlier:
                continue
            own = recorder.backend.save_dir
            if own == self._save_dir and save_dir is not None:
                recorder.resume(earlier, save_dir)
            elif own != self._save_dir and own == earlier["save_dir"]:
                recorder.resume(earlier, own)
        if save_dir is not None:
            self._save_dir = save_dir

    def close(self) -> None:
        """Close all backends. The next record opens them again."""
        recorders = self._recorders.values()
        for recorder in recorders:
            if not recorder.is_queued:
                recorder.close()
        close_together(each for each in recorders if each.is_queued)

    def _recording(self) -> Iterator[Recorder]:
        return iter(self._recorders.values() if is_main_process() else ())

    def _attach(self, backend: BaseVisBackend | Mapping[str, Any]) -> None:
        if isinstance(backend, BaseVisBackend):
            self._keep(type(backend).__name__, backend)
            return
        if not isinstance(backend, Mapping):
            raise TypeError(
                f"vis_backends must be backends or configs such as dict(type='LocalVisBackend'), "
                f"got {backend!r}"
            )
        settings = dict(backend)
        kind = settings.get("type", "")
        # The type may have a scope, as in "engine.LocalVisBackend". The name does not have it.
        kind = kind.rpartition(".")[2] if isinstance(kind, str) else kind.__name__
        name = settings.pop("name", kind)
        if self._save_dir is None and "save_dir" not in settings:
            self._left_out.add(name)
            _logger.warning(
                "visualizer %r has no save_dir, so its backend %r records nothing",
                self.instance_name,
                name,
            )
            return
        try:
            built = build_backend({"save_dir": self._save_dir, **settings})
        except OSError as error:  # its service or its disk; a wrong argument raises
            self._left_out.add(name)
            _logger.warning(
                "the tracking backend %r cannot start: %s; the run continues without it; check "
                "its service and settings, or remove it from vis_backends",
                name,
                reason_of(error.__cause__ or error),  # the registry adds the config
            )
            return
        self._keep(name, built)

    def _keep(self, name: str, backend: BaseVisBackend) -> None:
        if name in self._recorders:
            raise ValueError(
                f"names of vis_backends must differ, got {name!r} twice; add a name, as in "
                f"dict(type=..., name='second')"
            )
        self._recorders[name] = Recorder(name, backend)
