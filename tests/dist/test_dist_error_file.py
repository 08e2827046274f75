"""The error file of torchrun, written by a rank that fails."""

import json
from pathlib import Path

import pytest
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

import engine_dist as dist


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


@pytest.fixture
def error_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(file))
    return file


def test_error_file_is_read_by_the_agent_of_torchrun(error_file: Path) -> None:
    dist.record_failure(raised(ValueError("bad sample 7")))

    failure = ProcessFailure(local_rank=1, pid=2, exitcode=1, error_file=str(error_file))
    assert failure.message["message"] == "ValueError: bad sample 7"  # type: ignore[index]  # a dict
    assert "raise error" in failure.message["extraInfo"]["py_callstack"]  # type: ignore[index]


def test_rank_that_lost_another_one_is_not_the_root_cause(error_file: Path) -> None:
    dist.record_failure(raised(ValueError("bad sample 7")))
    cause = ProcessFailure(local_rank=1, pid=2, exitcode=1, error_file=str(error_file))
    error_file.unlink()

    dist.record_failure(raised(dist.RankLost("barrier", {1: "died"})))

    survivor = ProcessFailure(local_rank=0, pid=1, exitcode=1, error_file=str(error_file))
    assert survivor.timestamp > cause.timestamp


def test_error_file_with_content_is_kept(error_file: Path) -> None:
    error_file.write_text(json.dumps({"message": "written by record"}))

    dist.record_failure(raised(ValueError("bad sample 7")))

    assert json.loads(error_file.read_text()) == {"message": "written by record"}


def test_error_file_that_cannot_be_written_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "missing" / "error.json"))

    dist.record_failure(raised(ValueError("bad sample 7")))

    assert "cannot write TORCHELASTIC_ERROR_FILE" in caplog.text


@pytest.mark.parametrize("value", [None, ""], ids=["unset", "empty"])
def test_error_file_is_not_written_without_torchrun(
    value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if value is None:
        monkeypatch.delenv("TORCHELASTIC_ERROR_FILE", raising=False)
    else:
        monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", value)

    dist.record_failure(raised(ValueError("bad sample 7")))

    assert list(tmp_path.iterdir()) == []
