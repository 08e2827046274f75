"""Draws on images, and hands images and numbers to back ends."""

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any, Self

import numpy as np
import torch
from PIL import Image

from engine_dist import is_main_process
from engine_registry import VISUALIZERS
from engine_structures import BaseDataElement
from engine_utils import ManagerMixin
from engine_visualization.backends import BaseVisBackend, ConfigLike, build_backend
from engine_visualization.drawing import Canvas, can_open_window, draw_sample, show_window, to_image

_logger = logging.getLogger("engine.visualization")


@VISUALIZERS.register_module()
class Visualizer(Canvas, ManagerMixin):
    """A canvas that also records: images, numbers, the config and the model of a run.

    Every ``add_…`` call goes to all back ends, and is written by the main process only. Made with
    :meth:`get_instance`, a visualizer is found again by :meth:`get_current_instance` anywhere in
    the process.

    Args:
        name: Name of the instance.
        image: RGB image to draw on, ``(H, W, 3)``, values 0-255.
        vis_backends: Back ends, or configs of them. A config may have a ``name`` (needed where two
            have one type) and a ``save_dir`` of its own.
        save_dir: Back ends write to ``<save_dir>/vis_data``. With None, those that have no
            ``save_dir`` of their own are left out.
        fig_save_cfg: Arguments of a figure for saving. Images are saved pixel by pixel, so this
            has no effect; it is taken for configs that hold it.
        fig_show_cfg: Arguments of the figure that shows an image in a window.

    Raises:
        TypeError: ``vis_backends`` is no list, or holds something else.
        ValueError: Two back ends have one name.

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
    ) -> None:
        ManagerMixin.__init__(self, name)
        Canvas.__init__(self, image)
        self.fig_save_cfg = dict(fig_save_cfg)
        self.fig_show_cfg = dict(fig_show_cfg)
        self._dataset_meta: dict[str, Any] | None = None
        self._save_dir = None if save_dir is None else os.path.join(save_dir, "vis_data")
        self._backends: dict[str, BaseVisBackend] = {}
        if isinstance(vis_backends, Mapping | str | BaseVisBackend):
            raise TypeError(f"vis_backends is a list of back ends or configs, not {vis_backends!r}")
        for backend in vis_backends or ():
            self._attach(backend)

    @classmethod
    def get_instance(cls, name: str, **kwargs: Any) -> Self:
        """Return the instance of that name, made with ``kwargs`` if there is none.

        An instance of a subclass is also found through ``Visualizer``, so that code which does not
        know the subclass can ask for the current visualizer.
        """
        is_new = not cls.check_instance_created(name)
        instance = super().get_instance(name, **kwargs)
        if is_new and cls is not Visualizer:
            Visualizer._add(name, instance)
        return instance

    @contextmanager
    def as_current(self) -> Iterator[Self]:
        """Make this the current instance in a block, also the one of ``Visualizer``."""
        with super().as_current(), self._as_current_of(Visualizer):
            yield self

    @classmethod
    def release_instance(cls, name: str) -> bool:
        """Forget the instance of that name, also as an instance of ``Visualizer``."""
        released = super().release_instance(name)
        if released and cls is not Visualizer:
            Visualizer._remove(name)
        return released

    @property
    def dataset_meta(self) -> dict[str, Any] | None:
        """What is known about the dataset, its ``classes`` for example."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict[str, Any] | None) -> None:
        self._dataset_meta = dataset_meta

    def show(
        self,
        drawn_img: np.ndarray | None = None,
        win_name: str = "image",
        wait_time: int = 0,
        continue_key: str = " ",
    ) -> None:
        """Show an image in a window; without a display, write it to a file that the log names.

        Args:
            drawn_img: RGB image; the one drawn on if None.
            win_name: The window's title, and the file's name.
            wait_time: How long the window stays, in milliseconds; 0 means without end.
            continue_key: The key that closes it.
        """
        image = self.get_image() if drawn_img is None else to_image(drawn_img)
        if can_open_window():
            show_window(
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
        Image.fromarray(image).save(target)
        _logger.info("no window can be opened here; the image is in %s", target)

    def get_backend(self, name: str) -> BaseVisBackend:
        """Return a back end by its name, which is its type's name unless its config gives one.

        Raises:
            KeyError: There is no such back end.
        """
        if name not in self._backends:
            choices = ", ".join(self._backends) or "none; was save_dir given?"
            raise KeyError(f"{self.instance_name!r} has no back end {name!r}; it has: {choices}")
        return self._backends[name]

    def add_config(self, config: ConfigLike, **kwargs: Any) -> None:
        """Record the config in all back ends."""
        for backend in self._recording():
            backend.add_config(config=config, **kwargs)

    def add_graph(self, model: torch.nn.Module, data_batch: Sequence[Any], **kwargs: Any) -> None:
        """Record the model, which is called with ``data_batch``, in all back ends."""
        for backend in self._recording():
            backend.add_graph(model=model, data_batch=data_batch, **kwargs)

    def add_image(self, name: str, image: np.ndarray, step: int = 0) -> None:
        """Record an RGB image ``(H, W, 3)`` in all back ends."""
        for backend in self._recording():
            backend.add_image(name=name, image=image, step=step)

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a number in all back ends."""
        for backend in self._recording():
            backend.add_scalar(name=name, value=value, step=step, **kwargs)

    def add_scalars(
        self,
        scalar_dict: Mapping[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Record several numbers of one step in all back ends.

        Args:
            scalar_dict: Numbers by name; it is not changed.
            step: The step they belong to.
            file_path: One more file that local back ends write them to.
            **kwargs: What a back end takes beyond.
        """
        for backend in self._recording():
            backend.add_scalars(scalar_dict=scalar_dict, step=step, file_path=file_path, **kwargs)

    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: BaseDataElement | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: int = 0,
        step: int = 0,
    ) -> None:
        """Draw a sample on its image, show it if asked, and record it in all back ends.

        Drawn are the labels, boxes and masks of classification and detection samples; libraries
        override this for samples of their own.

        Args:
            name: Name of the recorded image.
            image: RGB image ``(H, W, 3)``, values 0-255.
            data_sample: The annotations and predictions; the bare image is recorded if None.
            draw_gt: Whether to draw the truth.
            draw_pred: Whether to draw predictions.
            show: Whether to show the drawn image.
            wait_time: How long it is shown, in milliseconds; 0 means without end.
            step: The step of the record.
        """
        self.set_image(image)
        if data_sample is not None:
            classes = (self._dataset_meta or {}).get("classes")
            draw_sample(self, data_sample, draw_gt=draw_gt, draw_pred=draw_pred, classes=classes)
        drawn = self.get_image()
        if show:
            self.show(drawn, win_name=name, wait_time=wait_time)
        self.add_image(name, drawn, step)

    def close(self) -> None:
        """Close all back ends."""
        for backend in self._backends.values():
            backend.close()

    def _recording(self) -> Iterator[BaseVisBackend]:
        return iter(self._backends.values() if is_main_process() else ())

    def _attach(self, backend: BaseVisBackend | Mapping[str, Any]) -> None:
        if isinstance(backend, BaseVisBackend):
            self._keep(type(backend).__name__, backend)
            return
        if not isinstance(backend, Mapping):
            raise TypeError(
                f"vis_backends holds {backend!r}; a back end is given as itself or as its config, "
                "such as dict(type='LocalVisBackend')"
            )
        settings = dict(backend)
        kind = settings.get("type", "")
        kind = kind.rpartition(".")[2] if isinstance(kind, str) else kind.__name__
        name = settings.pop("name", kind)
        if self._save_dir is None and "save_dir" not in settings:
            _logger.warning(
                "visualizer %r has no save_dir, so its back end %r records nothing",
                self.instance_name,
                name,
            )
            return
        self._keep(name, build_backend({"save_dir": self._save_dir, **settings}))

    def _keep(self, name: str, backend: BaseVisBackend) -> None:
        if name in self._backends:
            raise ValueError(
                f"two back ends are named {name!r}; give each a name of its own, as in "
                f"dict(type=..., name='second')"
            )
        self._backends[name] = backend
