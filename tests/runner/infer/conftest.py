"""A classifier of pictures by their brightness, and a server of files."""

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from engine_config import Config
from engine_model import BaseModel
from engine_registry import MODELS, TRANSFORMS
from engine_structures import BaseDataElement, LabelData

CLASSES = ["dark", "bright"]


class Brightness(BaseModel):
    """Predict 1 for pictures that are brighter than its threshold."""

    def __init__(self, data_preprocessor: Any = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.threshold = nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, inputs: Tensor, mode: str = "tensor") -> Any:
        means = torch.stack([one.float().mean() for one in inputs])
        return [
            BaseDataElement(pred_label=LabelData(label=(mean > self.threshold).long()))
            for mean in means
        ]


class PackPicture:
    """Turn the picture of a sample into the inputs of the model."""

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        return {"inputs": torch.from_numpy(sample["img"])}


@pytest.fixture(autouse=True)
def _register() -> None:
    MODELS.register_module(module=Brightness, force=True)
    TRANSFORMS.register_module(module=PackPicture, force=True)


@pytest.fixture
def config() -> Config:
    """Return the config of the classifier."""
    return Config(
        {
            "model": {"type": "Brightness"},
            "test_dataloader": {"dataset": {"pipeline": [{"type": "PackPicture"}]}},
        }
    )


@pytest.fixture
def weights(tmp_path: Path, config: Config) -> Path:
    """Return a checkpoint with the threshold 100, the config and the names of the classes."""
    path = tmp_path / "weights.pth"
    meta = {"cfg": config.pretty_text, "dataset_meta": {"classes": CLASSES}}
    torch.save({"state_dict": {"threshold": torch.tensor([100.0])}, "meta": meta}, path)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder with a bright, a dark and a gray picture, a text and a hidden file."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, value in (("a_bright", 200), ("b_dark", 50), ("c_bright", 101)):
        Image.fromarray(np.full((40, 60, 3), value, dtype=np.uint8)).save(folder / f"{name}.png")
    (folder / "notes.txt").write_text("not a picture")
    (folder / ".hidden.png").write_text("not a picture")
    return folder


@pytest.fixture
def requests() -> list[str]:
    """Return the requests that the server has got."""
    return []


@pytest.fixture
def serve(requests: list[str]) -> Iterator[Callable[[Path], str]]:
    """Return a function that serves a folder by HTTP, and returns its address."""
    servers: list[tuple[http.server.ThreadingHTTPServer, threading.Thread]] = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            requests.append(str(args[0]).rpartition(" ")[0])

    def start(folder: Path) -> str:
        handler = functools.partial(Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()
