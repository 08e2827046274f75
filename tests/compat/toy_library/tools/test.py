import argparse
import os
import os.path as osp
import warnings

from mmengine.config import Config, ConfigDict, DictAction
from mmengine.evaluator import DumpResults
from mmengine.runner import Runner
from mmtoy.utils import register_all_modules


def parse_args():
    parser = argparse.ArgumentParser(description="Test (and eval) a model")
    parser.add_argument("config", help="test config file path")
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument(
        "--work-dir", help="the directory to save the file containing evaluation metrics"
    )
    parser.add_argument("--out", help="dump predictions to a pickle file for offline evaluation")
    parser.add_argument("--show-dir", help="directory where painted images will be saved")
    parser.add_argument("--tta", action="store_true", help="test time augmentation")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="override settings")
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0)
    args = parser.parse_args()
    if "LOCAL_RANK" not in os.environ:
        os.environ["LOCAL_RANK"] = str(args.local_rank)
    return args


def trigger_visualization_hook(cfg, args):
    default_hooks = cfg.default_hooks
    if "visualization" not in default_hooks:
        raise RuntimeError(
            "VisualizationHook must be included in default_hooks. "
            'refer to usage "visualization=dict(type="ToyVisualizationHook")"'
        )
    visualization_hook = default_hooks["visualization"]
    visualization_hook["enable"] = True
    cfg.visualizer["save_dir"] = args.show_dir
    return cfg


def main():
    args = parse_args()

    # register all modules in mmtoy into the registries
    # do not init the default scope here because it will be init in the runner
    register_all_modules(init_default_scope=False)

    # load config
    cfg = Config.fromfile(args.config)
    cfg.launcher = args.launcher
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get("work_dir", None) is None:
        cfg.work_dir = osp.join("./work_dirs", osp.splitext(osp.basename(args.config))[0])

    cfg.load_from = args.checkpoint

    if args.show_dir:
        cfg = trigger_visualization_hook(cfg, args)

    if args.tta:
        if "tta_model" not in cfg:
            warnings.warn("Cannot find ``tta_model`` in config")
            cfg.tta_model = dict(type="AverageScoreTTA")
        cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
        cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline

    # build the runner from config
    runner = Runner.from_cfg(cfg)

    # add `DumpResults` dummy metric
    if args.out is not None:
        assert args.out.endswith((".pkl", ".pickle")), "The dump file must be a pkl file."
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))

    # start testing
    runner.test()


if __name__ == "__main__":
    main()
