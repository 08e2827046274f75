"""Train from the config of the tutorial in three lines (manual, 1371)."""

from pathlib import Path

from engine_config import Config
from engine_runner import Runner

config = Config.fromfile(Path(__file__).with_name("example_config.py"))
runner = Runner.from_cfg(config)
runner.train()
