"""A runner whose construction fails leaves no folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine_logging import MMLogger
from engine_runner import Runner


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"type": "NoSuchModel"}},
        {"custom_hooks": [{"type": "NoSuchHook"}]},
        {"visualizer": {"type": "Visualizer", "vis_backends": [{"type": "NoSuchBackend"}]}},
        {"val_cfg": None},
        {"strategy": "DDPStrategy"},
    ],
    ids=["model", "hook", "visualizer", "settings", "strategy"],
)
@pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
def test_failed_constructor_leaves_no_folder(
    settings: Callable[..., dict[str, Any]],
    tmp_path: Path,
    changes: dict[str, Any],
    existing: bool,
) -> None:
    work_dir = tmp_path / "runs" / "a"
    if existing:
        work_dir.mkdir(parents=True)
        (work_dir / "notes.txt").write_text("kept")
    before, loggers = sorted(tmp_path.rglob("*")), set(MMLogger._instance_dict)

    with pytest.raises(Exception, match=r"NoSuch|validation needs|needs a process group"):
        Runner(**settings(**{"work_dir": work_dir, **changes}))

    assert sorted(tmp_path.rglob("*")) == before
    assert set(MMLogger._instance_dict) == loggers


def test_failed_constructor_keeps_the_folders_of_other_runs(
    settings: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    first = Runner(**settings())

    with pytest.raises(Exception, match="NoSuchHook"):
        Runner(**settings(custom_hooks=[{"type": "NoSuchHook"}]))

    assert [path for path in Path(first.work_dir).iterdir() if path.is_dir()] == [
        Path(first.log_dir)
    ]
    first.logger.info("still there")
    assert "still there" in next(Path(first.log_dir).glob("*.log")).read_text()
