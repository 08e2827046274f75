"""get_config and get_model: configs, weights and models that an installed package ships."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from engine_config import Config
from engine_registry import DefaultScope
from engine_runner.hub import get_config, get_model
from engine_runner.infer import BaseInferencer, Inferencer

if TYPE_CHECKING:
    from tests.runner.hub.conftest import Install


@pytest.mark.parametrize("ending", [".py", ""], ids=["with .py", "without .py"])
def test_config_is_found_in_a_package(install: "Install", ending: str) -> None:
    install("toylib")

    cfg = get_config(f"toylib::toy/toy_w4{ending}")

    assert isinstance(cfg, Config)
    assert cfg.model == {"type": "ToyNet", "width": 4}
    assert cfg.default_scope == "toylib"
    assert "model_path" not in cfg


def test_pretrained_sets_the_address_of_the_weights(install: "Install", address: str) -> None:
    install("toylib", address=address)

    assert get_config("toylib::toy/toy_w2.py", pretrained=True).model_path == address


def test_weights_that_the_package_ships_have_a_path(install: "Install") -> None:
    shipped = install("toylib")

    cfg = get_config("toylib::toy/toy_w4.py", pretrained=True)

    assert cfg.model_path == str(shipped / "weights" / "toy_w4.pth")


def test_path_of_a_config_finds_the_index_above_it(install: "Install", address: str) -> None:
    shipped = install("toylib", address=address)
    path = shipped / "configs" / "toy" / "toy_w2"

    assert get_config(str(path)).model.width == 2
    assert get_config(f"{path}.py", pretrained=True).model_path == address


def test_relative_path_of_a_config(install: "Install", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(install("toylib") / "configs")

    assert get_config("toy/toy_w4.py", pretrained=True).model_path.endswith("toy_w4.pth")


def test_editable_install_ships_the_configs_of_its_source_tree(
    install: "Install", address: str
) -> None:
    install("toylib", address=address, editable=True)

    cfg = get_config("toylib::toy/toy_w2.py", pretrained=True)

    assert cfg.model_path == address
    assert type(get_model("toylib::toy/toy_w2.py")).__name__ == "ToyNet"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nolib::toy/toy_w2.py", "the package 'nolib' is not installed"),
        ("toylib::toy/toy_w3.py", "no config 'toy/toy_w3.py'; did you mean toy/toy_w"),
        ("toylib::qqqqqqqqqq", "it has 4 others"),
        ("toylib::../registry.py", "leaves the package 'toylib'"),
        ("", "must name a config, as package::path, got ''"),
        ("toylib::", "must name a config, as package::path, got 'toylib::'"),
        ("nowhere/toy.py", "no config file nowhere/toy.py; a config of an installed package is"),
    ],
    ids=["no package", "close name", "no close name", "outside", "empty", "package", "no file"],
)
def test_config_that_is_not_found_raises(install: "Install", path: str, message: str) -> None:
    install("toylib")

    with pytest.raises(LookupError, match=message.replace(".", r"\.")):
        get_config(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [("no_weights", "lists no weights for"), ("unlisted", "does not list")],
)
def test_pretrained_without_weights_raises(install: "Install", name: str, message: str) -> None:
    install("toylib")

    with pytest.raises(LookupError, match=rf"model-index\.yml {message} .*{name}\.py; use pretr"):
        get_config(f"toylib::toy/{name}.py", pretrained=True)


def test_pretrained_without_an_index_raises(install: "Install", tmp_path: Path) -> None:
    (install("toylib") / "model-index.yml").unlink()
    (tmp_path / "own.py").write_text("model = dict()\n")

    with pytest.raises(LookupError, match=r"the package 'toylib' has no model-index\.yml"):
        get_config("toylib::toy/toy_w2.py", pretrained=True)
    with pytest.raises(LookupError, match=r"above .*own\.py there is no model-index\.yml"):
        get_config(str(tmp_path / "own.py"), pretrained=True)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("model-index.yml", "[]", "must have the key Import, a list of metafiles"),
        ("model-index.yml", "Import: [gone.yml]", r"gone\.yml is listed .*, but does not exist"),
        ("configs/toy/metafile.yml", "Models: [{Config: a.py}]", r"Models\[0\] must be a mapping"),
        ("configs/toy/metafile.yml", "[{Name: a}]", r"Models\[0\] \(a\) must have a Config"),
    ],
    ids=["no import", "no metafile", "no name", "no config"],
)
def test_malformed_index_raises_and_names_the_place(
    install: "Install", file: str, text: str, message: str
) -> None:
    (install("toylib") / file).write_text(text)

    with pytest.raises(LookupError, match=message):
        get_config("toylib::toy/toy_w2.py", pretrained=True)


def test_get_model_builds_the_model(install: "Install") -> None:
    install("toylib")

    model = get_model("toylib::toy/toy_w4.py")

    assert f"{type(model).__module__}.{type(model).__name__}" == "toylib.models.ToyNet"
    assert model.head.in_features == 4  # type: ignore[union-attr]  # of the test's own class
    assert model.cfg.model.width == 4  # type: ignore[union-attr]  # a config
    current = DefaultScope.get_current_instance()
    assert current is None or current.scope_name != "toylib"


def test_get_model_loads_pretrained_weights(
    install: "Install", address: str, caplog: pytest.LogCaptureFixture
) -> None:
    install("toylib", address=address)

    with caplog.at_level(logging.INFO, "engine.model"):
        model = get_model("toylib::toy/toy_w2.py", pretrained=True)

    assert torch.equal(model.state_dict()["head.weight"], torch.full((1, 2), 3.0))
    assert f"http loads checkpoint from path: {address}" in caplog.messages


def test_arguments_of_get_model_are_defaults(install: "Install") -> None:
    install("toylib")

    neck = {"type": "Neck", "in_features": 1, "out_features": 1}

    model = get_model("toylib::toy/toy_w2.py", width=9, neck=neck)

    assert model.head.in_features == 2  # type: ignore[union-attr]  # the config sets it
    assert model.neck is not None


def test_get_model_uses_the_preprocessor_of_the_config(install: "Install") -> None:
    shipped = install("toylib")
    with (shipped / "configs" / "toy" / "toy_w2.py").open("a") as config:
        config.write("data_preprocessor = dict(type='engine.ImgDataPreprocessor')\n")

    model = get_model("toylib::toy/toy_w2.py")

    assert type(model.data_preprocessor).__name__ == "ImgDataPreprocessor"


def test_config_without_a_model_raises(install: "Install") -> None:
    install("toylib")

    with pytest.raises(LookupError, match="_base_/runtime has no model"):
        get_model("toylib::_base_/runtime")


def test_list_models_gives_names_and_aliases(install: "Install") -> None:
    install("toylib")

    assert BaseInferencer.list_models("toylib") == {
        "toy_w2": ["small", "w2"],
        "toy_w4": ["large"],
        "no_weights": [],
    }
    assert list(BaseInferencer.list_models("toylib", "toy")) == ["toy_w2", "toy_w4"]
    assert list(BaseInferencer.list_models("toylib", patterns="lar.*")) == ["toy_w4"]
    with DefaultScope.overwrite_default_scope("toylib"):
        assert "no_weights" in BaseInferencer.list_models()


def test_pattern_that_is_no_expression_raises(install: "Install") -> None:
    install("toylib")

    with pytest.raises(ValueError, match=r"patterns must be a regular expression.*'\*small'"):
        BaseInferencer.list_models("toylib", "*small")


def test_list_models_of_a_package_that_is_not_installed_raises() -> None:
    with pytest.raises(LookupError, match="'nolib' is not installed"):
        BaseInferencer.list_models("nolib")


@pytest.mark.parametrize("name", ["toy_w4", "large"], ids=["name", "alias"])
def test_inferencer_takes_a_name_of_a_metafile(install: "Install", name: str) -> None:
    shipped = install("toylib")
    with (shipped / "configs" / "toy" / "toy_w4.py").open("a") as config:
        config.write("test_dataloader = dict(dataset=dict(pipeline=[dict(type='Double')]))\n")

    inferencer = Inferencer(name, scope="toylib", device="cpu")

    assert torch.equal(inferencer.model.state_dict()["head.weight"], torch.full((1, 4), 3.0))
    assert type(inferencer.pipeline.transforms[0]).__module__ == "toylib.models"  # type: ignore[attr-defined]  # a Compose


def test_unknown_name_of_a_model_raises_and_names_the_closest(install: "Install") -> None:
    install("toylib")

    with pytest.raises(LookupError, match="lists no model 'toy_w5' among 3; did you mean 'toy_w"):
        Inferencer("toy_w5", scope="toylib")


def test_inferencer_takes_package_and_path(install: "Install") -> None:
    shipped = install("toylib")
    with (shipped / "configs" / "toy" / "toy_w2.py").open("a") as config:
        config.write("test_dataloader = dict(dataset=dict(pipeline=[dict(type='Double')]))\n")

    inferencer = Inferencer("toylib::toy/toy_w2.py", device="cpu")

    assert inferencer.scope == "toylib"
    assert type(inferencer.model).__name__ == "ToyNet"
