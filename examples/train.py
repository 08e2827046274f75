"""Train from a config with a script of your own, in place of ``engine train``.

python examples/train.py examples/digits/config.py --cfg-options train_cfg.max_epochs=3
python -m torch.distributed.launch --nproc_per_node=2 examples/train.py examples/digits/config.py \
        --launcher pytorch
"""

import argparse
import os
import sys
from pathlib import Path

from engine_config import Config, DictAction
from engine_registry import RUNNERS
from engine_runner import Runner


def parse_arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description="Train the model of a config.")
    parser.add_argument("config", help="the config file")
    parser.add_argument("--work-dir", help="folder of logs and checkpoints")
    parser.add_argument("--resume", action="store_true", help="resume the newest checkpoint")
    parser.add_argument("--amp", action="store_true", help="train in mixed precision")
    parser.add_argument("--auto-scale-lr", action="store_true", help="scale the learning rates")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="changes: key=value")
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    # torch.distributed.launch passes this argument; torchrun sets an environment variable instead.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0)
    return parser.parse_args()


def scale_learning_rates(config: Config) -> None:
    """Switch the scaling on, if the config says for which batch size its rates are."""
    scale = config.get("auto_scale_lr") or {}
    if not {"enable", "base_batch_size"} <= scale.keys():
        raise RuntimeError(
            'Can not find "auto_scale_lr" or "auto_scale_lr.enable" or '
            '"auto_scale_lr.base_batch_size" in your configuration file.'
        )
    config.auto_scale_lr.enable = True


def main() -> None:
    """Read the config, apply the command line, train."""
    arguments = parse_arguments()
    os.environ.setdefault("LOCAL_RANK", str(arguments.local_rank))
    sys.path.append(str(Path(arguments.config).parent))  # for the config's custom_imports
    config = Config.fromfile(arguments.config)
    config.launcher = arguments.launcher
    if arguments.cfg_options is not None:
        config.merge_from_dict(arguments.cfg_options)
    if arguments.work_dir is not None:
        config.work_dir = arguments.work_dir
    elif config.get("work_dir") is None:
        config.work_dir = str(Path("work_dirs") / Path(arguments.config).stem)
    if arguments.amp:
        config.optim_wrapper.type = "AmpOptimWrapper"
        config.optim_wrapper.setdefault("loss_scale", "dynamic")
    if arguments.auto_scale_lr:
        scale_learning_rates(config)
    if arguments.resume:
        config.resume = True
    runner = RUNNERS.build(config) if "runner_type" in config else Runner.from_cfg(config)
    runner.train()


if __name__ == "__main__":
    main()
