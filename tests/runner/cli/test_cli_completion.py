"""Completion in the shell, as the README describes it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine_runner.cli import main

Complete = Callable[..., list[str]]


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complete:
    """Return a function from the words of a command line to what bash gets for the last one."""

    def run(*words: str, shell: str = "bash") -> list[str]:
        monkeypatch.setenv("_ENGINE_COMPLETE", f"{shell}_complete")
        monkeypatch.setenv("COMP_WORDS", " ".join(["engine", *words]))
        monkeypatch.setenv("COMP_CWORD", words[-1] if shell == "fish" else str(len(words)))
        with pytest.raises(SystemExit) as exit_:
            main()
        assert exit_.value.code == 0
        return capsys.readouterr().out.split("\n")[:-1]

    return run


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["tr"], ["plain,train"]),
        (["train", "--dev"], ["plain,--device"]),
        (["train", "--device", "cu"], ["plain,cuda", "plain,cuda:0", "plain,cuda:1"]),
        (["list", "ho"], ["plain,hooks"]),
        (["list", "sch"], ["plain,schedulers"]),
        (["export", "cfg.py", "a.pth", "--format", "o"], ["plain,onnx"]),
    ],
    ids=["command", "option", "device", "hooks", "schedulers", "choice"],
)
def test_names_are_completed(complete: Complete, words: list[str], found: list[str]) -> None:
    assert complete(*words) == found


@pytest.mark.parametrize(
    "words",
    [
        ["train", "conf"],
        ["check", "conf"],
        ["test", "config.py", "ep"],
        ["export", "config.py", "ep"],
        ["train", "config.py", "--resume", "ep"],
        ["train", "config.py", "--work-dir", "ep"],
        ["list", "hooks", "--config", "ep"],
    ],
    ids=" ".join,
)
def test_files_are_completed(complete: Complete, words: list[str]) -> None:
    assert complete(*words) == [f"file,{words[-1]}"]


def test_zsh_and_fish_get_the_lines_of_the_commands(complete: Complete) -> None:
    assert complete("tr", shell="zsh")[:2] == ["plain", "train"]
    assert complete("tr", shell="fish")[0].startswith("plain")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    monkeypatch.setenv("_ENGINE_COMPLETE", f"{shell}_source")
    with pytest.raises(SystemExit):
        main()

    assert f"_ENGINE_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_bash_completes_with_the_line_of_the_readme(
    program: Callable[[str], str], tmp_path: Path
) -> None:
    script = (
        'eval "$(_ENGINE_COMPLETE=bash_source engine)"\n'
        "COMP_WORDS=(engine li) COMP_CWORD=1\n"
        "_engine_completion engine\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    done = subprocess.run(
        [program("bash"), "--norc", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.stdout == "list\n", done.stderr
