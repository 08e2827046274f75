"""Trackers that fail or hang in any method, that are slow, or whose library is missing."""

import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine_utils import MissingExtraError
from engine_visualization import BaseVisBackend, Visualizer
from engine_visualization.backends import _table
from engine_visualization.backends._row import BackendRow

if TYPE_CHECKING:
    from conftest import Scripts

HERE = Path(__file__).parent


def test_tracker_that_fails_or_hangs_in_any_method_is_warned_of_once(
    scripts: "Scripts", tmp_path: Path
) -> None:
    ended = scripts.run(HERE / "misbehaving_script.py", folder=tmp_path)

    assert ended.returncode == 0, ended.stdout
    found = json.loads(ended.stdout.splitlines()[-1])
    assert len(found) == 32
    assert {name: len(texts) for name, texts in found.items() if len(texts) != 1} == {}
    for name, (text,) in found.items():
        kind, method, _ = name.split()
        assert text.startswith("the tracking backend 'Bad' ")
        assert text.endswith("check its service and settings, or remove it from vis_backends")
        if kind == "fail":
            assert f"failed in {method}: ConnectionError: the service is gone" in text
        lines = (tmp_path / name / "vis_data/scalars.json").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == [1, 1, 2, 2, 3, 3]
        images = tmp_path / name / "vis_data/vis_image"
        assert len(list(images.iterdir())) == 3


def test_tracker_of_a_user_is_called_before_a_record_returns(tmp_path: Path) -> None:
    class Own(BaseVisBackend):
        def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
            seen.append((name, value))

    seen: list[Any] = []
    visualizer = Visualizer("own", vis_backends=[Own(tmp_path)])

    visualizer.add_scalar("loss", 0.5)

    assert seen == [("loss", 0.5)]
    visualizer.close()


def test_tracker_that_is_not_waited_for_gets_all_records_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Slow(BaseVisBackend):
        def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
            assert answers.wait(30)
            seen.append(step)

    seen: list[int] = []
    answers = threading.Event()
    monkeypatch.setattr("engine_visualization._recorder._RECORD_TIMEOUT", 0.01)
    visualizer = Visualizer("slow", vis_backends=[Slow(tmp_path)])

    for step in range(5):
        visualizer.add_scalar("loss", 0.5, step)
    assert seen == []
    answers.set()
    visualizer.close()

    assert seen == [0, 1, 2, 3, 4]
    assert caplog.text.count("is not waited for") == 1


def test_tracker_whose_server_is_gone_when_it_is_built_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Gone(BaseVisBackend):
        def __init__(self, save_dir: str) -> None:
            raise ConnectionRefusedError("no server")

    backends: list[Any] = [{"type": Gone}, {"type": "LocalVisBackend"}]
    visualizer = Visualizer("gone", vis_backends=backends, save_dir=tmp_path)
    visualizer.add_scalar("loss", 0.5)

    assert visualizer.get_backend("Gone") is None
    assert "'Gone' cannot start: ConnectionRefusedError: no server; the run" in caplog.text
    assert (tmp_path / "vis_data/scalars.json").is_file()


def test_wrong_argument_of_a_tracker_raises(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="no_such"):
        Visualizer(
            "wrong", vis_backends=[{"type": "LocalVisBackend", "no_such": 1}], save_dir=tmp_path
        )


@pytest.mark.parametrize(
    "row", [row for row in _table.ROWS if row.load().libraries], ids=lambda row: row.name
)
def test_missing_library_raises_one_line_when_the_visualizer_is_built(
    row: BackendRow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ((library, requirement),) = row.load().libraries.items()
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(MissingExtraError) as raised:
        Visualizer("missing", vis_backends=[{"type": row.name}], save_dir=tmp_path)

    assert f'pip install "{requirement}"' in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_scalar_that_a_service_cannot_record_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("tensorboard")
    backends = [{"type": "TensorboardVisBackend"}]
    visualizer = Visualizer("texts", vis_backends=backends, save_dir=tmp_path)

    for step in range(3):
        visualizer.add_scalars({"loss": 0.5, "note": "text", "other": [1, 2]}, step=step)
    visualizer.close()

    assert caplog.text.count("single numbers only; 'note' is a str") == 1
    assert caplog.text.count("single numbers only; 'other' is a list") == 1


def test_step_of_a_validation_has_its_iteration_where_a_backend_takes_it(tmp_path: Path) -> None:
    class Takes(BaseVisBackend):
        def add_scalars(self, scalar_dict: Any, step: int = 0, **kwargs: Any) -> None:  # type: ignore[override]  # as users write it
            seen.append(kwargs["iteration"])

    class Plain(BaseVisBackend):
        def add_scalars(self, scalar_dict: Any, step: int = 0, file_path: Any = None) -> None:  # type: ignore[override]  # as users write it
            seen.append(step)

    seen: list[int] = []
    visualizer = Visualizer("steps", vis_backends=[Takes(tmp_path), Plain(tmp_path)])

    visualizer.add_scalars({"acc": 0.5}, step=2, iteration=200)

    assert seen == [200, 2]
    visualizer.close()
