"""Record with trackers that fail or hang in each of their methods. Not a test module.

It prints the warnings of each as one JSON object.
"""

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from engine_config import Config
from engine_visualization import BaseVisBackend, Visualizer, _record_queue, _recorder

# The real ones are for a service that answers late.
_recorder._STATE_TIMEOUT = _recorder._GRAPH_TIMEOUT = 0.03
_recorder._RECORD_TIMEOUT = _record_queue._ABANDON_TIMEOUT = 0.03
_record_queue._FIRST_PAUSE = 0.0

METHODS = (
    *("add_config", "add_graph", "add_image", "add_scalar", "add_scalars"),
    *("state_dict", "resume", "close"),
)


def fail(*args: Any, **kwargs: Any) -> Any:
    raise ConnectionError("the service is gone")


def hang(*args: Any, **kwargs: Any) -> Any:
    threading.Event().wait()


def backend_that(behaves: Callable[..., Any], method: str, threaded: bool | None) -> BaseVisBackend:
    """Return a backend with one method that behaves so; one that hangs also hangs in abandon."""

    def works(self: Any, *args: Any, **kwargs: Any) -> None:
        """Record nothing."""

    methods: dict[str, Any] = dict.fromkeys(METHODS, works)
    methods |= {"state_dict": lambda self: {"id": 1}, "abandon": behaves, method: behaves}
    kind = type("Bad", (BaseVisBackend,), {**methods, "threaded": threaded, "close_timeout": 0.03})
    backend: BaseVisBackend = kind("unused")
    return backend


def record(name: str, backends: list[Any]) -> None:
    """Call all methods of a visualizer."""
    visualizer = Visualizer(name, vis_backends=backends, save_dir=name)
    visualizer.add_config(Config({"a": 1}))
    visualizer.add_graph(torch.nn.Linear(1, 1), [])
    for step in range(1, 4):
        visualizer.add_scalar("loss", 0.5, step)
        visualizer.add_scalars({"acc": 0.5}, step)
        visualizer.add_image("demo", np.zeros((4, 4, 3), dtype=np.uint8), step)
    state = visualizer.state_dict()
    visualizer.resume(state, None)
    visualizer.close()


class Warnings(logging.Handler):
    """Collect the texts of warnings."""

    def emit(self, log: logging.LogRecord) -> None:
        texts.append(log.getMessage())


texts: list[str] = []
logging.getLogger("engine").addHandler(Warnings(logging.WARNING))
found: dict[str, Any] = {}
for behaves in (fail, hang):
    for threaded in (True, None):
        for method in METHODS:
            name = f"{behaves.__name__} {method} {threaded}"
            texts.clear()
            bad = backend_that(behaves, method, threaded)
            record(name, [bad, {"type": "LocalVisBackend"}])
            found[name] = list(texts)
print(json.dumps(found), flush=True)
