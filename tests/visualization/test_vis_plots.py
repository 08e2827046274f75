import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from engine_visualization.plots import Curve, plot_curves, read_scalars


def write_run(file: Path, *, epochs: int = 3) -> Path:
    with file.open("w") as stream:
        for epoch in range(1, epochs + 1):
            for i in range(1, 5):
                step = (epoch - 1) * 40 + i * 10
                record = {"lr": 0.1 / epoch, "loss": 1 / step, "loss_cls": 0.5 / step}
                record |= {"epoch": epoch, "iter": step, "time": 0.1, "step": step}
                stream.write(json.dumps(record) + "\n")
            record = {"accuracy": 0.9 + epoch / 100, "loss": 0.3, "data_time": 0.1, "step": epoch}
            stream.write(json.dumps(record) + "\n")
    return file


def test_scalars_are_read_as_curves(tmp_path: Path) -> None:
    scalars = read_scalars(write_run(tmp_path / "scalars.json"))

    assert sorted(scalars.losses) == ["loss", "loss_cls"]
    assert len(scalars.losses["loss"].steps) == 12
    assert sorted(scalars.rates) == ["lr"]
    assert scalars.metrics["accuracy"] == Curve(steps=[1, 2, 3], values=[0.91, 0.92, 0.93])
    assert sorted(scalars.metrics) == ["accuracy", "loss"]
    assert scalars.metric_unit == "epoch"


def test_metrics_of_an_iteration_based_run_have_iterations_as_steps(tmp_path: Path) -> None:
    file = tmp_path / "scalars.json"
    file.write_text('{"lr": 0.1, "iter": 100, "step": 100}\n{"mAP": 0.5, "step": 100}\n')

    assert read_scalars(file).metric_unit == "iteration"


def test_values_that_are_not_numbers_are_skipped(tmp_path: Path) -> None:
    file = tmp_path / "scalars.json"
    file.write_text('{"lr": 0.1, "loss": NaN, "iter": 1}\n\n{"a": "high", "f1": 0.5, "ok": true}\n')

    scalars = read_scalars(file)

    assert not scalars.losses
    assert sorted(scalars.metrics) == ["f1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", ":1 must be JSON"),
        ("[1]", "must be an object"),
        ('{"step": 1}', "must contain losses"),
    ],
    ids=["malformed", "list", "empty"],
)
def test_malformed_scalars_raise_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "scalars.json"
    file.write_text(text)

    with pytest.raises(ValueError, match=message):
        read_scalars(file)


def test_plot_writes_an_image_without_pyplot(tmp_path: Path) -> None:
    before = "matplotlib.pyplot" in sys.modules

    path = plot_curves(write_run(tmp_path / "scalars.json", epochs=30), tmp_path / "curves.png")

    with Image.open(path) as picture:
        assert picture.width > 1500  # three panels and a fourth below
        assert picture.height > 700
        assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 10
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_plot_without_matplotlib_raises_and_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(ImportError, match=r'pip install "engine-visualization\[plots\]"'):
        plot_curves(write_run(tmp_path / "scalars.json"), tmp_path / "curves.png")
