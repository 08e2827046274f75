"""NaN and infinity are never written into JSON, which other readers reject."""

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch

import engine_fileio as fileio
from engine_config import Config, ConfigTypeError
from engine_model.weights import save_checkpoint
from engine_runner import Runner
from engine_visualization import LocalVisBackend
from engine_visualization.plots import plot_curves
from engine_visualization.plots._scalars import read_scalars

NAN, INF = float("nan"), float("inf")


def strict(text: str) -> Any:
    """Read JSON as any other reader does."""

    def reject(word: str) -> NoReturn:
        raise ValueError(f"{word} is not JSON")

    return json.loads(text, parse_constant=reject)


def test_scalars_are_strict_json_and_the_curve_has_a_gap(tmp_path: Path) -> None:
    backend = LocalVisBackend(tmp_path)
    for step, loss in enumerate([1.0, torch.tensor(NAN), 0.5, np.float32(INF)], start=1):
        backend.add_scalars({"loss": loss, "iter": step}, step=step)
    backend.close()

    lines = [strict(line) for line in (tmp_path / "scalars.json").read_text().splitlines()]
    curve = read_scalars(tmp_path / "scalars.json").losses["loss"]

    assert [line["loss"] for line in lines] == [1.0, None, 0.5, None]
    assert curve.steps == [1, 2, 3, 4]
    assert [math.isnan(value) for value in curve.values] == [False, True, False, True]
    pytest.importorskip("matplotlib")
    assert Path(plot_curves(tmp_path / "scalars.json", tmp_path / "curves.png")).is_file()


def test_metrics_of_a_test_are_strict_json(toy_run: Callable[..., Runner], tmp_path: Path) -> None:
    runner = toy_run(validate=[NAN])
    runner.train()

    for file in (tmp_path / "work").rglob("*.json"):
        text = file.read_text()
        # Scalars have one object per line, the manifest of a checkpoint is one of several lines.
        for part in [text] if file.name.endswith(".pth.json") else text.splitlines():
            strict(part)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [NAN, INF, -INF]}, '{"a": [null, null, null]}'),
        (np.array([1.0, NAN]), "[1.0, null]"),
        ({"a": {torch.tensor(0): np.float64(NAN)}}.get("a"), None),
        ({NAN: (np.float32(INF), {1})}, '{"nan": [null, [1]]}'),
    ],
    ids=["list", "array", "key", "nested"],
)
def test_dump_writes_null_and_warns(
    value: Any, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    if text is None:
        with pytest.raises(TypeError):
            fileio.dump(value, file_format="json")
        return
    with caplog.at_level(logging.WARNING, "engine"):
        assert fileio.dump(value, file_format="json") == text

    assert "NaN and infinity are written as null" in caplog.text


def test_dump_keeps_nan_where_that_is_asked_for() -> None:
    assert fileio.dump([NAN], file_format="json", allow_nan=True) == "[NaN]"


def test_config_with_infinity_is_not_written_as_json(tmp_path: Path) -> None:
    config = Config({"clip": {"norms": [1.0, INF]}})

    with pytest.raises(ConfigTypeError, match=r"clip\.norms\.1: inf is not a number of JSON"):
        config.dump(tmp_path / "config.json")

    config.dump(tmp_path / "config.yaml")
    assert Config.fromfile(tmp_path / "config.yaml").clip.norms[1] == INF


def test_run_of_a_json_config_with_infinity_writes_its_config_as_python(
    toy_run: Callable[..., Runner], tmp_path: Path
) -> None:
    config = Config({"limit": INF}, filename=str(tmp_path / "own.json"))

    toy_run(cfg=config).train()

    assert Config.fromfile(tmp_path / "work/own.py").limit == INF


def test_texts_of_safetensors_are_strict_json(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors")
    file = tmp_path / "weights.safetensors"
    save_checkpoint({"state_dict": {"a": torch.ones(1)}, "meta": {"loss": [NAN]}}, file)

    with safetensors.safe_open(file, "pt") as opened:
        assert strict(opened.metadata()["loss"]) == [None]
