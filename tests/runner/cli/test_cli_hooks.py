"""``engine hooks``: the hooks of each point, in the order of a run."""

import json
from typing import TYPE_CHECKING

from engine_config import Config
from engine_runner import Runner

if TYPE_CHECKING:
    from pathlib import Path

    from tests.runner.conftest import Command

HOOKS = """_base_ = "cfg.py"
default_hooks = dict(timer=None, checkpoint=dict(type="CheckpointHook", priority="HIGH"))
custom_hooks = [dict(type="Send", number=15, point="train", at=6, priority=49)]
"""


def test_hooks_of_a_config_are_those_of_its_run(command: "Command", project: "Path") -> None:
    (project / "hooks.py").write_text(HOOKS)

    shown = json.loads(command("hooks", "hooks.py", "--json").stdout)

    assert not (project / "work_dirs").exists()
    config = Config.fromfile(str(project / "hooks.py"))
    config.work_dir = str(project / "work")
    runner = Runner.from_cfg(config)
    points = runner._hook_list.points()
    assert shown == {name: [place._asdict() for place in row] for name, row in points.items()}
    assert {"name": "Send", "type": "Send", "priority": 49, "level": "49"} in shown["before_run"]
    runs = [place["type"] for place in shown["before_save_checkpoint"]]
    assert runs.index("CheckpointHook") < runs.index("FiniteLossHook")


def test_hooks_are_shown_as_a_table_by_point(command: "Command") -> None:
    blocks = command("hooks", "cfg.py").stdout.split("\n\n")

    [block] = [block for block in blocks if block.startswith("before_train_iter\n")]
    assert block.split()[1:5] == ["10", "VERY_HIGH", "RuntimeInfoHook", "runtime_info"]


def test_hooks_take_changes_of_the_command_line(command: "Command") -> None:
    changed = ["--cfg-options", "default_hooks.timer=None"]

    assert "IterTimerHook" not in command("hooks", "cfg.py", *changed).stdout


def test_unknown_hook_is_an_error_with_its_line(command: "Command", project: "Path") -> None:
    (project / "hooks.py").write_text('_base_ = "cfg.py"\ncustom_hooks = [dict(type="Sent")]\n')

    error = command("hooks", "hooks.py", code=1).stderr

    assert "did you mean 'Send'?" in error
    assert "hooks.py:2: custom_hooks" in error


def test_runner_that_chooses_hooks_itself_is_warned_of(command: "Command", project: "Path") -> None:
    own = (
        "from engine_registry import RUNNERS\nfrom engine_runner import Runner\n"
        "@RUNNERS.register_module()\nclass OwnHooks(Runner):\n"
        "    def register_custom_hooks(self, hooks):\n"
        "        super().register_custom_hooks([])\n"
    )
    (project / "task.py").write_text((project / "task.py").read_text() + own)

    done = command("hooks", "cfg.py", "--cfg-options", "runner_type=OwnHooks")

    assert "OwnHooks has register_custom_hooks of its own" in done.stderr
    assert "RuntimeInfoHook" in done.stdout
