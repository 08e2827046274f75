"""``engine list``: the names that a config can use."""

import json
from typing import TYPE_CHECKING

import pytest

from engine_registry import HOOKS, PARAM_SCHEDULERS
from engine_runner.cli._list import kinds

if TYPE_CHECKING:
    from pathlib import Path

    from tests.runner.conftest import Command


def test_list_counts_every_kind_once(command: "Command") -> None:
    counts = json.loads(command("list", "--json").stdout)

    assert counts["hooks"] == len(HOOKS.module_dict)
    assert counts["schedulers"] == len(PARAM_SCHEDULERS.module_dict)
    assert len({id(registry) for registry in kinds().values()}) == len(counts)
    table = [line.split() for line in command("list").stdout.splitlines()]
    assert ["hooks", str(counts["hooks"])] in table


def test_list_of_a_kind_has_signatures_and_first_lines(command: "Command") -> None:
    text = command("list", "hooks").stdout

    assert "EarlyStoppingHook(monitor, rule=None, " in text
    assert "    Stop the training when a metric has not improved" in text
    assert text.index("CheckpointHook(") < text.index("EarlyStoppingHook(")


def test_list_as_data_has_parameters_and_module(command: "Command") -> None:
    [row] = json.loads(command("list", "loops", "valloop", "--json").stdout)

    assert row["name"] == "ValLoop"
    assert row["parameters"]["runner"] is None
    assert row["parameters"]["fp16"] == "False"
    assert row["module"].startswith("engine_runner.loops")


@pytest.mark.parametrize("kind", ["schedulers", "param_schedulers", "param_scheduler"])
def test_list_takes_each_name_of_a_kind(command: "Command", kind: str) -> None:
    assert "PolyLR(optimizer, " in command("list", kind, "polylr").stdout


def test_list_with_a_config_has_the_names_of_its_custom_imports(
    command: "Command", project: "Path"
) -> None:
    assert "Line(bias=True)\n" in command("list", "models", "--config", "cfg.py").stdout
    assert not (project / "work_dirs").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["hoks"], 2, "got 'hoks'; did you mean 'hooks'?"),
        (["hooks", "CheckpontHook"], 1, "did you mean 'CheckpointHook'?"),
        (["hooks", "--config", "cgf.py"], 2, "did you mean cfg.py?"),
    ],
    ids=["kind", "text", "config"],
)
def test_list_of_something_unknown_names_what_was_meant(
    command: "Command", arguments: list[str], code: int, words: str
) -> None:
    assert words in command("list", *arguments, code=code).stderr
