"""BaseInferencer: where arguments go, what a subclass may override, where the model comes from."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from engine_config import Config
from engine_dataset import default_collate
from engine_model.weights import StateDictError
from engine_registry import MODELS, VISUALIZERS, DefaultScope, NotRegisteredError
from engine_runner.infer import BaseInferencer, Inferencer
from engine_visualization import Visualizer


class Scaled(BaseInferencer):
    """Multiply numbers, and note what each step got."""

    preprocess_kwargs: ClassVar[set[str]] = {"shift"}
    forward_kwargs: ClassVar[set[str]] = {"scale"}
    visualize_kwargs: ClassVar[set[str]] = {"show", "color"}
    postprocess_kwargs: ClassVar[set[str]] = {"digits"}

    def _init_pipeline(self, cfg: Config) -> Callable[[Any], Any]:
        return lambda number: torch.tensor([float(number)])

    def preprocess(self, inputs: Any, batch_size: int = 1, shift: float = 0, **kwargs: Any) -> Any:
        for batch in super().preprocess(inputs, batch_size):
            yield [number + shift for number in batch]

    def forward(self, inputs: Any, scale: float = 1, **kwargs: Any) -> Any:
        self.sizes = [*getattr(self, "sizes", []), len(inputs)]
        return [scale * number for number in inputs]

    def visualize(
        self, inputs: list[Any], preds: Any, show: bool = False, color: str = "k", **kwargs: Any
    ) -> Any:
        return [(one, color, show) for one in inputs]

    def postprocess(
        self,
        preds: Any,
        visualization: Any,
        return_datasample: bool = False,
        digits: int = 3,
        **kwargs: Any,
    ) -> dict[str, Any]:
        values = preds if return_datasample else [round(float(pred), digits) for pred in preds]
        return {"predictions": values, "visualization": visualization}


def threshold_of(inferencer: BaseInferencer) -> float:
    return float(inferencer.model.state_dict()["threshold"])


@pytest.fixture
def scaled() -> Scaled:
    return Scaled({"model": {"type": nn.Identity}}, device="cpu")


def test_call_passes_each_keyword_to_its_step(scaled: Scaled) -> None:
    results = scaled(
        [1, 2, 3], batch_size=2, shift=0.5, scale=10, color="red", digits=1, show=False
    )

    assert results["predictions"] == [15.0, 25.0, 35.0]
    assert results["visualization"] == [(1, "red", False), (2, "red", False), (3, "red", False)]
    assert scaled.sizes == [2, 1]


def test_call_returns_what_the_model_returned_on_request(scaled: Scaled) -> None:
    assert torch.equal(scaled(5, return_datasamples=True)["predictions"][0], torch.tensor([5.0]))


def test_unknown_keyword_raises_and_names_the_closest(scaled: Scaled) -> None:
    with pytest.raises(ValueError, match="'colour'; did you mean 'color'"):
        scaled([1], colour="red")


def test_keyword_that_is_nearly_one_of_the_call_names_it(scaled: Scaled) -> None:
    with pytest.raises(ValueError, match="'return_datasample'; did you mean 'return_datasamples'"):
        scaled([1], return_datasample=True)


def test_input_that_ends_an_iteration_raises(scaled: Scaled) -> None:
    scaled.pipeline = lambda number: next(iter([]))

    with pytest.raises(RuntimeError, match="StopIteration"):
        scaled([1, 2])


def test_predictions_by_name_for_a_batch_raise() -> None:
    class ByName(Scaled):
        def forward(self, inputs: Any, scale: float = 1, **kwargs: Any) -> Any:
            return {"label": inputs}

    with pytest.raises(TypeError, match="with one item per input, got dict"):
        ByName({"model": {"type": nn.Identity}}, device="cpu")([1, 2])


@pytest.mark.parametrize("size", [0, -1, 1.5])
def test_batch_size_must_be_a_positive_integer(scaled: Scaled, size: Any) -> None:
    with pytest.raises(ValueError, match=f"batch_size must be an integer >= 1, got {size}"):
        scaled([1], batch_size=size)


def test_keyword_of_two_steps_raises_when_the_class_is_defined() -> None:
    with pytest.raises(AssertionError, match="'show' in preprocess_kwargs and visualize_kwargs"):

        class Ambiguous(Scaled):
            preprocess_kwargs: ClassVar[set[str]] = {"show"}


def test_keywords_that_are_no_set_raise_when_the_class_is_defined() -> None:
    with pytest.raises(AssertionError, match="forward_kwargs must be a set of strings"):

        class Listed(Scaled):
            forward_kwargs: ClassVar[Any] = ["scale"]


def test_class_without_the_abstract_steps_cannot_be_built() -> None:
    with pytest.raises(
        TypeError, match=r"abstract methods.*_init_pipeline.*postprocess.*visualize"
    ):
        BaseInferencer()  # type: ignore[abstract]  # that it is abstract is what is tested


def test_neither_model_nor_weights_raises() -> None:
    with pytest.raises(ValueError, match="model or weights must be given"):
        Scaled()


def test_model_without_weights_is_warned_of(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    Inferencer(config, device="cpu")

    assert "randomly initialized model" in caplog.text


def test_collate_fn_of_the_config_is_used(config: Config) -> None:
    config.test_dataloader.collate_fn = {"type": "default_collate"}

    assert Inferencer(config, device="cpu").collate_fn is default_collate


def test_unknown_collate_fn_of_the_config_raises_with_its_key(config: Config) -> None:
    config.test_dataloader.collate_fn = {"type": "default_colate"}

    with pytest.raises(KeyError, match=r"test_dataloader.collate_fn: 'default_colate' is not in"):
        Inferencer(config, device="cpu")


def test_collate_fn_is_pseudo_collate_by_default(config: Config) -> None:
    assert Inferencer(config, device="cpu").collate_fn.__name__ == "pseudo_collate"


def test_weights_alone_bring_config_and_classes(weights: Path) -> None:
    inferencer = Inferencer(weights=weights, device="cpu")

    assert threshold_of(inferencer) == 100
    assert inferencer.model.dataset_meta == {"classes": ["dark", "bright"]}
    assert inferencer.visualizer.dataset_meta == {"classes": ["dark", "bright"]}
    assert not inferencer.model.training


def test_config_in_weights_runs_no_code(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    text = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\nmodel = dict(type='Brightness')"
    torch.save({"state_dict": {}, "meta": {"cfg": text}}, tmp_path / "hostile.pth")

    with pytest.raises(ValueError, match=r"cannot be read.*pass the config as model"):
        Inferencer(weights=tmp_path / "hostile.pth", device="cpu")

    assert not mark.exists()


def test_weights_without_a_config_raise(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "bare.pth")

    with pytest.raises(ValueError, match="must contain the config of its model, got none"):
        Inferencer(weights=tmp_path / "bare.pth")


def test_unimported_modules_of_a_config_in_weights_are_named(tmp_path: Path) -> None:
    text = "model = dict(type='Unheard')\ncustom_imports = dict(imports=['their.models'])\n"
    torch.save({"state_dict": {}, "meta": {"cfg": text}}, tmp_path / "theirs.pth")

    with pytest.raises(NotRegisteredError) as raised:
        Inferencer(weights=tmp_path / "theirs.pth")

    assert "their.models; import them first" in raised.value.__notes__[0]


def test_load_from_of_the_config_is_the_default_of_weights(config: Config, weights: Path) -> None:
    config.load_from = str(weights)

    assert threshold_of(Inferencer(config, device="cpu")) == 100


def test_weights_come_from_an_address(
    config: Config, weights: Path, serve: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(weights.parent / "cache"))
    address = f"{serve(weights.parent)}/{weights.name}"

    assert threshold_of(Inferencer(config, address, device="cpu")) == 100


def test_config_comes_from_a_path(config: Config, weights: Path, tmp_path: Path) -> None:
    config.dump(tmp_path / "cfg.py")

    assert threshold_of(Inferencer(tmp_path / "cfg.py", weights, device="cpu")) == 100


def test_missing_config_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"no config file nowhere/cfg\.py"):
        Inferencer("nowhere/cfg.py")


def test_names_of_classes_of_an_old_checkpoint_are_read(config: Config, tmp_path: Path) -> None:
    old = {"state_dict": {"threshold": torch.ones(1)}, "meta": {"CLASSES": ("a", "b")}}
    torch.save(old, tmp_path / "old.pth")

    inferencer = Inferencer(config, tmp_path / "old.pth", device="cpu")

    assert inferencer.model.dataset_meta == {"classes": ["a", "b"]}


def test_names_of_classes_come_from_the_config_where_the_checkpoint_has_none(
    config: Config, tmp_path: Path
) -> None:
    config.test_dataloader.dataset.metainfo = {"classes": ["c", "d"]}
    torch.save({"state_dict": {"threshold": torch.ones(1)}}, tmp_path / "bare.pth")

    assert Inferencer(config, tmp_path / "bare.pth", device="cpu").classes == ["c", "d"]


def test_weights_that_lack_some_raise_unless_partial(config: Config, tmp_path: Path) -> None:
    class Wider(MODELS.get("Brightness")):  # type: ignore[misc]  # a class of the registry
        def __init__(self) -> None:
            super().__init__()
            self.more = nn.Linear(1, 1)

    config.model = {"type": Wider}
    torch.save({"state_dict": {"threshold": torch.ones(1)}}, tmp_path / "part.pth")

    with pytest.raises(StateDictError, match=r"part\.pth.*must have all of Wider"):
        Inferencer(config, tmp_path / "part.pth", device="cpu")
    inferencer = Inferencer(config, tmp_path / "part.pth", device="cpu", partial=True)

    assert inferencer.load_report is not None
    assert inferencer.load_report.missing == ["more.weight", "more.bias"]


@pytest.mark.parametrize("partial", [False, True], ids=["whole", "partial"])
def test_weights_that_fit_nothing_raise_also_if_partial(
    config: Config, tmp_path: Path, partial: bool
) -> None:
    torch.save({"state_dict": {"model": {"threshold": torch.ones(1)}}}, tmp_path / "other.pth")

    with pytest.raises(StateDictError, match=r"(?s)other\.pth: none of the .*one level down"):
        Inferencer(config, tmp_path / "other.pth", device="cpu", partial=partial)


def test_weights_of_a_wrapped_model_are_loaded(config: Config, tmp_path: Path) -> None:
    torch.save({"state_dict": {"module.threshold": torch.ones(1)}}, tmp_path / "ddp.pth")

    assert threshold_of(Inferencer(config, tmp_path / "ddp.pth", device="cpu")) == 1


def test_subclass_may_override_how_weights_are_loaded(config: Config, weights: Path) -> None:
    class Own(Inferencer):
        def _load_weights_to_model(self, model: nn.Module, checkpoint: Any, cfg: Any) -> None:
            super()._load_weights_to_model(model, checkpoint, cfg)
            assert checkpoint["meta"]["dataset_meta"]
            model.dataset_meta = {"classes": ["x", "y"]}  # type: ignore[assignment]

    assert Own(config, weights, device="cpu").visualizer.dataset_meta == {"classes": ["x", "y"]}


def test_scope_is_that_of_the_config_during_the_construction(config: Config) -> None:
    seen = []

    class Scoped(Inferencer):
        def _init_pipeline(self, cfg: Config) -> Callable[[Any], Any]:
            current = DefaultScope.get_current_instance()
            seen.append(None if current is None else current.scope_name)
            return super()._init_pipeline(cfg)

    before = DefaultScope.get_current_instance()  # of a runner of another test, or None
    config.default_scope = "engine"
    Scoped(config, device="cpu")
    Scoped(config, device="cpu", scope="somewhere")

    assert seen == ["engine", "somewhere"]
    assert DefaultScope.get_current_instance() is before


def test_visualizer_of_the_config_is_built_without_recording(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    @VISUALIZERS.register_module()
    class OwnVisualizer(Visualizer):
        pass

    mine = Visualizer.get_instance("visualizer")
    config.visualizer = {
        "type": "OwnVisualizer",
        "name": "visualizer",
        "vis_backends": [{"type": "LocalVisBackend", "save_dir": str(tmp_path / "records")}],
    }

    with caplog.at_level(logging.WARNING):
        inferencer = Inferencer(config, device="cpu")

    assert isinstance(inferencer.visualizer, OwnVisualizer)
    assert Visualizer.get_current_instance() is mine
    assert not (tmp_path / "records").exists()
    assert "visualizer" not in caplog.text.replace("randomly initialized", "")


def test_model_without_test_step_raises() -> None:
    class Plain(Scaled):
        def forward(self, inputs: Any, scale: float = 1, **kwargs: Any) -> Any:
            return BaseInferencer.forward(self, inputs)

    with pytest.raises(TypeError, match="must have test_step, as BaseModel has, got Identity"):
        Plain({"model": {"type": nn.Identity}}, device="cpu")([1])


def test_synchronized_batch_norm_becomes_an_ordinary_one(config: Config) -> None:
    class Normalized(MODELS.get("Brightness")):  # type: ignore[misc]  # a class of the registry
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.SyncBatchNorm(2)

    config.model = {"type": Normalized}

    assert not isinstance(Inferencer(config, device="cpu").model.norm, nn.SyncBatchNorm)
