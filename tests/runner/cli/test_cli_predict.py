"""``engine predict`` as a user meets it: real digits, records, pictures, and what fails."""

import functools
import http.server
import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from engine_config import Config
from engine_registry import INFERENCERS, DefaultScope
from engine_registry._roots import ROOTS
from engine_runner import Runner

if TYPE_CHECKING:
    from tests.runner.conftest import Command

EXAMPLE = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with the example, a checkpoint of three epochs, and pictures of digits.

    The module of the example stays imported until the last test.
    """
    folder = tmp_path_factory.mktemp("digits")
    shutil.copytree(EXAMPLE, folder / "examples")
    before = [(registry, dict(registry.module_dict)) for registry in ROOTS.values()]
    sys.modules.pop("digits", None)
    sys.path.append(str(folder / "examples" / "digits"))
    cfg = Config.fromfile(folder / "examples" / "digits" / "config.py")
    sys.path.remove(str(folder / "examples" / "digits"))
    cfg.work_dir = str(folder / "work")
    cfg.train_cfg.max_epochs = 3
    scopes = set(DefaultScope._instance_dict)
    Runner.from_cfg(cfg).train()
    # The guard of each test releases what the test adds, and not what this fixture adds.
    for added in set(DefaultScope._instance_dict) - scopes:
        DefaultScope.release_instance(added)
    shutil.copy(folder / "work" / "epoch_3.pth", folder / "digits.pth")
    pictures = folder / "pictures"
    pictures.mkdir()
    data = load_digits()
    for number in range(40):
        pixels = (data.images[number] * 255 / 16).round().astype(np.uint8)
        Image.fromarray(pixels).save(pictures / f"{number:02d}_{data.target[number]}.png")
    yield folder
    sys.modules.pop("digits", None)
    for registry, modules in before:
        registry.module_dict.clear()
        registry.module_dict.update(modules)


@pytest.fixture
def digits(trained: Path, project: Path) -> Path:
    """Return the folder in which the command runs, with the example and its checkpoint."""
    for name in ("examples", "pictures"):
        shutil.copytree(trained / name, project / name)
    shutil.copy(trained / "digits.pth", project / "digits.pth")
    return project


@pytest.fixture
def address(digits: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None: ...

    handler = functools.partial(Quiet, directory=str(digits / "pictures"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


CONFIG = ("examples/digits/config.py", "digits.pth")


def test_folder_of_real_digits_is_read(digits: Path, command: "Command") -> None:
    done = command("predict", *CONFIG, "pictures", "--out", "results", "--batch-size", "16")

    records = json.loads((digits / "results" / "predictions.json").read_text())
    read = [record["prediction"]["pred_label"]["label"][0] for record in records]
    written = [int(Path(record["input"]).stem[-1]) for record in records]
    assert len(records) == 40
    assert sum(a == b for a, b in zip(read, written, strict=True)) >= 34  # of 40
    assert "40 predicted: results/predictions.json" in done.stderr
    assert "\r" not in done.stderr  # no progress bar in a pipe


def test_records_have_the_path_the_class_and_the_picture(digits: Path, command: "Command") -> None:
    command("predict", *CONFIG, "pictures/00_0.png", "--out", "results")

    [record] = json.loads((digits / "results" / "predictions.json").read_text())
    assert record == {
        "input": "pictures/00_0.png",
        "prediction": {"pred_label": {"label": [0], "class_names": ["zero"]}},
        "picture": "pictures/00_0.png",
    }
    drawn = np.asarray(Image.open(digits / "results" / record["picture"]))
    assert drawn.shape == (240, 240, 3)
    red = (drawn[..., 0] > 150) & (drawn[..., 1] < 60)
    assert red[:30].any()  # the box of the text "pred: zero"
    assert not red[60:].any()


def test_evaluation_of_the_pictures_is_that_of_the_dataset(
    digits: Path, command: "Command"
) -> None:
    through_the_pipeline = command("test", *CONFIG).stdout
    options = ("--cfg-options", "test_dataloader.dataset.pipeline=None")
    without = command("test", *CONFIG, *options).stdout

    assert through_the_pipeline.splitlines()[-1] == without.splitlines()[-1]


@pytest.mark.parametrize("name", ["digits.dcp", "digits.safetensors"])
def test_weights_of_each_format_are_those_of_the_file(
    digits: Path, command: "Command", name: str
) -> None:
    command("convert", "digits.pth", name)

    tested = [command("test", CONFIG[0], weights).stdout for weights in ("digits.pth", name)]
    command("predict", CONFIG[0], name, "pictures/00_0.png", "--out", "results")

    assert tested[0].splitlines()[-1] == tested[1].splitlines()[-1]
    [record] = json.loads((digits / "results" / "predictions.json").read_text())
    assert record["prediction"]["pred_label"]["class_names"] == ["zero"]


def test_without_out_the_records_are_printed(digits: Path, command: "Command") -> None:
    done = command("predict", *CONFIG, "pictures/0[01]*.png")

    names = [r["prediction"]["pred_label"]["class_names"] for r in json.loads(done.stdout)]
    assert names == [["zero"], ["one"]]
    assert not (digits / "predictions.json").exists()


def test_address_is_an_input(digits: Path, command: "Command", address: str) -> None:
    done = command("predict", *CONFIG, f"{address}/00_0.png", f"{address}/none.png", code=1)

    first, second = json.loads(done.stdout)
    assert first["prediction"]["pred_label"]["label"] == [0]
    assert second == {"input": f"{address}/none.png", "error": "no such file"}


def test_unreadable_inputs_are_named_and_the_others_kept(digits: Path, command: "Command") -> None:
    (digits / "pictures" / "01_x.png").write_text("no picture")

    done = command(
        "predict", *CONFIG, "pictures", "gone.png", "none_*.png", "--out", "results", code=1
    )

    records = json.loads((digits / "results" / "predictions.json").read_text())
    errors = {r["input"]: r["error"] for r in records if "error" in r}
    assert errors == {
        "pictures/01_x.png": "not a picture of a known format",
        "gone.png": "no such file",
        "none_*.png": "no such file",
    }
    assert len(records) == 43
    assert "skipped gone.png: no such file" in done.stderr
    assert "40 predicted, 3 skipped" in done.stderr


def test_results_are_not_replaced_unless_asked(digits: Path, command: "Command") -> None:
    arguments = ("predict", *CONFIG, "pictures/00_0.png", "--out", "results")
    command(*arguments)
    (digits / "results" / "predictions.json").write_text("mine")

    refused = command(*arguments, code=2).stderr
    kept = (digits / "results" / "predictions.json").read_text()
    command(*arguments, "--overwrite")

    assert "results has predictions.json and pictures already" in refused
    assert kept == "mine"
    assert len(json.loads((digits / "results" / "predictions.json").read_text())) == 1


def test_input_is_never_replaced_by_its_picture(digits: Path, command: "Command") -> None:
    before = (digits / "pictures" / "00_0.png").read_bytes()

    done = command("predict", *CONFIG, "pictures/00_0.png", "--out", ".", "--overwrite", code=1)

    assert "00_0.png is an input; choose another folder" in done.stderr
    assert (digits / "pictures" / "00_0.png").read_bytes() == before


def test_input_among_the_pictures_of_the_results_is_never_replaced(
    digits: Path, command: "Command"
) -> None:
    (digits / "more").mkdir()
    shutil.copy(digits / "pictures" / "01_1.png", digits / "more" / "00_0.png")
    before = (digits / "pictures" / "00_0.png").read_bytes()
    inputs = ("more/00_0.png", "pictures/00_0.png")

    done = command("predict", *CONFIG, *inputs, "--out", ".", "--overwrite", code=1)

    assert "pictures/00_0.png is an input; choose another folder" in done.stderr
    assert (digits / "pictures" / "00_0.png").read_bytes() == before


def test_failure_before_any_record_keeps_the_earlier_results(
    digits: Path, command: "Command"
) -> None:
    (digits / "results").mkdir()
    (digits / "results" / "predictions.json").write_text("earlier")
    option = "test_dataloader.dataset.pipeline=[]"  # its samples fit no model

    arguments = ("predict", *CONFIG, "pictures/00_0.png", "--cfg-options", option)
    failed = command(*arguments, "--out", "results", "--overwrite", code=1)

    assert "predicted" not in failed.stderr
    assert (digits / "results" / "predictions.json").read_text() == "earlier"


@pytest.mark.parametrize(
    ("inputs", "out", "message"),
    [
        (["empty"], "results", "the folder empty has no files; those of its subfolders are"),
        ([""], "results", "INPUTS must be paths or addresses, got an empty one"),
        (["pictures"], "digits.pth/results", "--out must be a folder, got digits.pth/results"),
    ],
    ids=["empty folder", "empty path", "file above"],
)
def test_mistake_ends_before_any_prediction(
    digits: Path, command: "Command", inputs: list[str], out: str, message: str
) -> None:
    (digits / "empty").mkdir()

    done = command("predict", *CONFIG, *inputs, "--out", out, code=2)

    assert message in done.stderr
    assert not (digits / "results").exists()


def test_several_processes_are_refused(
    digits: Path, command: "Command", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")

    done = command("predict", *CONFIG, "pictures", code=2)

    assert "must run in one process, got WORLD_SIZE=2" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
def test_name_that_is_no_text_is_kept(digits: Path, command: "Command") -> None:
    name = os.fsdecode(b"caf\xe9.png")
    shutil.copy(digits / "pictures" / "00_0.png", digits / name)

    command("predict", *CONFIG, name, "--out", "results")

    [record] = json.loads((digits / "results" / "predictions.json").read_text())
    assert record["input"] == name
    assert (digits / "results" / record["picture"]).is_file()


def test_pictures_of_one_name_do_not_replace_each_other(digits: Path, command: "Command") -> None:
    (digits / "more").mkdir()
    shutil.copy(digits / "pictures" / "01_1.png", digits / "more" / "00_0.png")

    command("predict", *CONFIG, "pictures/00_0.png", "more", "--out", "results")

    records = json.loads((digits / "results" / "predictions.json").read_text())
    assert [r["picture"] for r in records] == ["pictures/00_0.png", "pictures/00_0-2.png"]
    assert (digits / "results" / "pictures" / "00_0-2.png").is_file()


def test_no_pictures_writes_records_only(digits: Path, command: "Command") -> None:
    command("predict", *CONFIG, "pictures/00_0.png", "--out", "results", "--no-pictures")

    assert [file.name for file in (digits / "results").iterdir()] == ["predictions.json"]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ("RuntimeError('out of memory')", 1, "RuntimeError: out of memory"),
        ("KeyboardInterrupt", 130, "stopped"),
    ],
    ids=["failure", "Ctrl-C"],
)
def test_command_that_ends_early_keeps_the_records_before(
    digits: Path, command: "Command", error: str, code: int, message: str
) -> None:
    sys.modules.pop("failing_digits", None)
    (digits / "failing_digits.py").write_text(
        "import digits\n"
        "from engine_registry import MODELS\n\n\n"
        "@MODELS.register_module(force=True)\n"
        "class Failing(digits.DigitClassifier):\n"
        "    calls = 0\n\n"
        "    def test_step(self, data):\n"
        "        self.calls += 1\n"
        "        if self.calls == 3:\n"
        f"            raise {error}\n"
        "        return super().test_step(data)\n"
    )
    (digits / "failing_cfg.py").write_text(
        '_base_ = "examples/digits/config.py"\n'
        'custom_imports = dict(imports=["digits", "failing_digits"])\n'
        'model = dict(type="Failing")\n'
    )

    done = command(
        "predict", "failing_cfg.py", "digits.pth", "pictures", "--out", "results", code=code
    )

    assert message in done.stderr
    assert len(json.loads((digits / "results" / "predictions.json").read_text())) == 2


def test_missing_checkpoint_is_a_usage_error(digits: Path, command: "Command") -> None:
    done = command("predict", CONFIG[0], "none.pth", "pictures", code=2)

    assert "no such checkpoint: none.pth" in done.stderr


def test_checkpoint_of_another_model_ends_before_any_prediction(
    digits: Path, command: "Command"
) -> None:
    weights = torch.load(digits / "digits.pth", weights_only=True)
    del weights["state_dict"]["network.9.weight"]
    torch.save(weights, digits / "part.pth")

    done = command("predict", CONFIG[0], "part.pth", "pictures/00_0.png", code=1)
    forced = command("predict", CONFIG[0], "part.pth", "pictures/00_0.png", "--partial")
    torch.save({"state_dict": {"net.weight": torch.ones(1)}}, digits / "other.pth")
    other = command("predict", CONFIG[0], "other.pth", "pictures/00_0.png", "--partial", code=1)

    assert "other.pth: none of the weights fits DigitClassifier" in other.stderr
    assert "part.pth: the weights must have all of DigitClassifier" in done.stderr
    assert len(json.loads(forced.stdout)) == 1


@pytest.mark.parametrize(
    ("value", "message"),
    [("dict(type='DigitInferencr')", "did you mean"), ("dict(type='DigitInferencer', x=1)", "'x'")],
    ids=["unknown class", "unknown argument"],
)
def test_check_reads_the_inferencer_of_a_config(
    digits: Path, command: "Command", value: str, message: str
) -> None:
    (digits / "wrong.py").write_text(
        f'_base_ = "examples/digits/config.py"\ninferencer = dict(_delete_=True, {value[5:]}\n'
    )

    done = command("check", "wrong.py", code=1)

    assert "inferencer" in done.stderr
    assert message in done.stderr


def test_inferencer_of_another_kind_is_an_error(digits: Path, command: "Command") -> None:
    INFERENCERS.register_module("Anything", module=dict)
    options = ("--cfg-options", "inferencer.type=Anything")

    done = command("predict", *CONFIG, "pictures/00_0.png", *options, code=1)

    assert (
        "inferencer must be a subclass of engine_runner.infer.Inferencer, got dict" in done.stderr
    )


def test_mistake_in_the_pipeline_names_its_line(digits: Path, command: "Command") -> None:
    config = digits / "examples" / "digits" / "config.py"
    config.write_text(config.read_text().replace('type="PackDigit"', 'type="PackDigits"'))

    done = command("predict", *CONFIG, "pictures/00_0.png", code=1)

    assert "did you mean 'PackDigit'?" in done.stderr
    assert "cannot build" not in done.stderr


def test_device_that_is_missing_is_a_usage_error(digits: Path, command: "Command") -> None:
    done = command("predict", *CONFIG, "pictures/00_0.png", "--device", "cudaa", code=2)

    assert "--device must be a device of this machine, got 'cudaa'" in done.stderr


def test_damaged_checkpoint_is_named(digits: Path, command: "Command") -> None:
    (digits / "cut.pth").write_bytes((digits / "digits.pth").read_bytes()[:2000])

    done = command("predict", CONFIG[0], "cut.pth", "pictures/00_0.png", code=1)

    assert done.stderr.startswith("Error: cut.pth")
