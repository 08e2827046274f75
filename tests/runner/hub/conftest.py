"""A small library, as pip installs it: a package with configs and metafiles in ``.mim``."""

import functools
import http.server
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

CODE = {
    "__init__.py": "",
    "registry.py": (
        "from engine_registry import MODELS as ROOT, TRANSFORMS as ROOT_TRANSFORMS, Registry\n"
        "MODELS = Registry('model', parent=ROOT, scope={name!r}, locations=[{models!r}])\n"
        "TRANSFORMS = Registry('transform', parent=ROOT_TRANSFORMS, scope={name!r},\n"
        "                      locations=[{models!r}])\n"
    ),
    "models.py": (
        "import torch\n"
        "from engine_model import BaseModel\n"
        "from {name}.registry import MODELS, TRANSFORMS\n\n\n"
        "@MODELS.register_module()\n"
        "class Neck(torch.nn.Linear):\n"
        "    pass\n\n\n"
        "@MODELS.register_module()\n"
        "class ToyNet(BaseModel):\n"
        "    def __init__(self, width=2, neck=None, data_preprocessor=None):\n"
        "        super().__init__(data_preprocessor=data_preprocessor)\n"
        "        self.head = torch.nn.Linear(width, 1)\n"
        "        self.neck = None if neck is None else MODELS.build(neck)\n\n"
        "    def forward(self, inputs, data_samples=None, mode='tensor'):\n"
        "        return self.head(inputs)\n\n\n"
        "@TRANSFORMS.register_module()\n"
        "class Double:\n"
        "    def __call__(self, sample):\n"
        "        return {{'x': 2 * sample['x']}}\n"
    ),
    "utils.py": (
        "def register_all_modules(init_default_scope=True):\n"
        "    assert init_default_scope is False\n"
        "    import {name}.models\n"
    ),
}
CONFIGS = {
    "_base_/runtime.py": "default_scope = {name!r}\n",
    "toy/toy_w2.py": "_base_ = '../_base_/runtime.py'\nmodel = dict(type='ToyNet', width=2)\n",
    "toy/toy_w4.py": "_base_ = './toy_w2.py'\nmodel = dict(width=4)\n",
    "toy/no_weights.py": "_base_ = './toy_w2.py'\n",
    "toy/unlisted.py": "_base_ = './toy_w2.py'\n",
}
INDEX = "Import:\n  - configs/toy/metafile.yml\n"
METAFILE = """
Collections:
  - Name: Toy
Models:
  - Name: toy_w2
    In Collection: Toy
    Alias: [small, w2]
    Config: configs/toy/toy_w2.py
    Weights: {weights}
  - Name: toy_w4
    Alias: large
    Config: configs/toy/toy_w4.py
    Weights: weights/toy_w4.pth
  - Name: no_weights
    Config: configs/toy/no_weights.py
"""

Install = Callable[..., Path]


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the address at which weights of the width 2 are served."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    site = tmp_path / "site"
    site.mkdir()
    torch.save({"state_dict": weights(2)}, site / "toy_w2.pth")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None: ...

    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/toy_w2.pth"
        server.shutdown()
        thread.join()


def weights(width: int) -> dict[str, torch.Tensor]:
    return {"head.weight": torch.full((1, width), 3.0), "head.bias": torch.zeros(1)}


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that installs the library under a name, and returns its folder."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    installed: list[str] = []

    def write(name: str, *, address: str = "", editable: bool = False) -> Path:
        installed.append(name)
        source = tmp_path / "source" if editable else site
        package = source / name
        package.mkdir(parents=True)
        for file, text in CODE.items():
            (package / file).write_text(text.format(name=name, models=f"{name}.models"))
        shipped = source if editable else package / ".mim"
        for file, text in CONFIGS.items():
            path = shipped / "configs" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format(name=name))
        (shipped / "configs" / "toy" / "metafile.yml").write_text(METAFILE.format(weights=address))
        (shipped / "model-index.yml").write_text(INDEX)
        (shipped / "weights").mkdir()
        torch.save({"state_dict": weights(4)}, shipped / "weights" / "toy_w4.pth")
        _register(site, name, source if editable else None)
        if editable:
            monkeypatch.syspath_prepend(source)  # what the .pth file of such an install does
        return shipped

    yield write
    for module in [m for m in sys.modules if m.partition(".")[0] in installed]:
        del sys.modules[module]


def _register(site: Path, name: str, source: Path | None) -> None:
    """Write the metadata that pip writes for a package."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text("" if source else f"{name}/__init__.py,,\n")
    if source:
        url = {"url": source.as_uri(), "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(url))
